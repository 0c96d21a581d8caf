"""The form and own checklists of a run: checked before it, entered once a version, newest last."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from given_tables import scored, write_study

from huizhen.core.progress import Silent
from huizhen.core.study_dossier import DossierPlan
from huizhen.core.words import Language
from huizhen.dossier.form_template import form_text
from huizhen.errors import StudyError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.reporting import Reporting, added_entries, enter_added, reporting_problems
from huizhen.pipeline.table_run import run_given

BLANK = form_text("a study")
GOOD = BLANK.replace('owner = ""', 'owner = "Dr A"', 1).replace('due = ""', 'due = "2027-01-31"', 1)
OWN = """id = "house"
title = "House"
edition = "1"
date = "2026"
citation = "Ours."
[[item]]
number = "1"
topic = "Accuracy"
evidence = ["EV20"]
by = "automatic"
"""


def study(**plan: Any) -> Any:
    """Return what is asked of a study here."""
    return SimpleNamespace(dossier=DossierPlan(**plan) if plan else None)


def write(path: Path, text: str) -> Path:
    """Write a file and return its path."""
    path.write_text(text, encoding="utf-8")
    return path


def test_a_study_without_it_adds_nothing(tmp_path: Path) -> None:
    assert added_entries(study(), tmp_path / "study.toml", Reporting()) == ()


def test_files_are_found_beside_the_study(tmp_path: Path) -> None:
    write(tmp_path / "form.toml", GOOD)
    write(tmp_path / "own.toml", OWN)
    plan = study(form="form.toml", checklists=["gdpr", "own.toml"])
    added = added_entries(plan, tmp_path / "study.toml", Reporting())
    assert [kind for kind, _ in added] == ["checklist", "form"]
    assert added[0][1]["checklist"]["id"] == "house"
    assert added[1][1]["default"]["owner"] == "Dr A"


def test_the_command_lines_form_comes_before_the_studys(tmp_path: Path) -> None:
    write(tmp_path / "form.toml", GOOD)
    other = write(tmp_path / "other.toml", GOOD.replace("Dr A", "Dr B"))
    added = added_entries(study(form="form.toml"), tmp_path / "study.toml", Reporting(form=other))
    assert [body["default"]["owner"] for _, body in added] == ["Dr B"]


def test_every_problem_of_a_form_is_told(tmp_path: Path) -> None:
    form = write(tmp_path / "form.toml", BLANK)
    with pytest.raises(StudyError, match="EV48: is blank") as caught:
        added_entries(study(), tmp_path / "study.toml", Reporting(form=form))
    assert caught.value.file == str(form)
    assert "EV01: is blank" in caught.value.message


def test_problems_of_a_checklist_are_told(tmp_path: Path) -> None:
    own = write(tmp_path / "own.toml", OWN.replace("EV20", "EV77"))
    with pytest.raises(StudyError, match="names an item that there is not"):
        added_entries(study(), tmp_path / "study.toml", Reporting(checklists=(own,)))


def test_an_unknown_checklist_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no checklist claim-1999"):
        added_entries(study(checklists=["claim-1999"]), tmp_path / "study.toml", Reporting())


@pytest.mark.parametrize("data", [b"\xff\xfe", None], ids=["not-text", "absent"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, data: bytes | None) -> None:
    form = tmp_path / "form.toml"
    if data is not None:
        form.write_bytes(data)
    with pytest.raises(StudyError):
        added_entries(study(), tmp_path / "study.toml", Reporting(form=form))


def test_study_check_tells_the_same(tmp_path: Path) -> None:
    write(tmp_path / "form.toml", BLANK)
    found = reporting_problems(study(form="form.toml"), tmp_path / "study.toml")
    assert [problem.field for problem in found] == ["dossier.form"]
    assert reporting_problems(study(), tmp_path / "study.toml") == []


def test_each_version_enters_the_ledger_once(tmp_path: Path) -> None:
    one = added_entries(
        study(),
        tmp_path / "s",
        Reporting(form=write(tmp_path / "a", GOOD), checklists=(write(tmp_path / "o", OWN),)),
    )
    two = added_entries(
        study(), tmp_path / "s", Reporting(form=write(tmp_path / "b", GOOD.replace("Dr A", "Dr B")))
    )
    with Log.open(tmp_path / "ledger", SigningKey.generate()) as log:
        for added in (one, one, two, two, one):
            enter_added(log, added)
        kinds = [entry.kind for entry in log.entries]
        owners = [entry.body["default"]["owner"] for entry in log.entries if entry.kind == "form"]
    assert kinds == ["checklist", "form", "form", "form"]
    assert owners == ["Dr A", "Dr B", "Dr A"]


def test_nothing_to_add_commits_nothing(tmp_path: Path) -> None:
    with Log.open(tmp_path / "ledger", SigningKey.generate()) as log:
        log.append("study", {"a": 1})
        log.commit()
        enter_added(log, ())
        assert log.size == 1


def test_a_run_shows_the_newest_form_and_computes_nothing_again(tmp_path: Path) -> None:
    def judged(form: Path) -> RunResult:
        return run_given(
            plan,
            out=tmp_path / "run",
            roots=[],
            home=tmp_path / "home",
            progress=Silent(),
            language=Language.EN,
            reporting=Reporting(form=form),
        )

    plan = write_study(tmp_path, scored(), "threshold = 0.5\n")
    said = GOOD.replace('[EV01]\nanswer = ""', '[EV01]\nanswer = "To find lesions."')
    first = judged(write(tmp_path / "a.toml", GOOD))
    second = judged(write(tmp_path / "b.toml", said))
    again = judged(write(tmp_path / "b.toml", said))
    assert (second.entries, again.entries) == (first.entries + 1, first.entries + 1)
    assert "To find lesions." not in (first.dossier / "index.html").read_text(encoding="utf-8")
    assert "To find lesions." in (again.dossier / "index.html").read_text(encoding="utf-8")
