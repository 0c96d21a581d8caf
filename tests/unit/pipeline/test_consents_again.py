"""A run over all sites holds consents again before it trains and before it opens the test set."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from consent_hospitals import USE, register, withdraw, write_hospitals

from huizhen.core.progress import Silent
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.data.consent.barred import bar
from huizhen.data.consent.screening import today
from huizhen.errors import StageError
from huizhen.ledger.reading import read_log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline import consents_again
from huizhen.pipeline import run as running
from huizhen.pipeline.consent_lists import people_secret
from huizhen.pipeline.learned_from import How, Learning, read_learned
from huizhen.pipeline.run import run_study
from huizhen.pipeline.stage import Run

SITES = ("east", "north")


def written(root: Path, **given: Any) -> Path:
    """Write hospitals whose study runs in one process, and return its file."""
    file = write_hospitals(root, sites=SITES, **given)
    text = file.read_text(encoding="utf-8").partition("[federation]")[0]
    file.write_text(text, encoding="utf-8")
    (root / "home").mkdir(exist_ok=True)
    return file


def run(root: Path, file: Path) -> Path:
    """Run the study with its key beside it, and return the run's folder."""
    found = run_study(
        file, out=None, data_root=None, home=root / "home", progress=Silent(), language=Language.EN
    )
    return found.run_folder


def cohorts(folder: Path) -> list[int]:
    """Return how many patients each cohort of a run's ledger has, in order."""
    read = [e.body for e in read_log(folder / "ledger").entries if e.kind == "intake"]
    return [int(body["patients"]) for body in read]


def test_who_withdraws_while_a_run_trains_is_not_in_what_is_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, real = written(tmp_path), running.fit_stages
    fitted: list[list[Any]] = []

    def slow(opened: Run, cohort: Any) -> list[Any]:
        found = real(opened, cohort)
        if not fitted:
            withdraw(tmp_path / "data", "north", 3, 4)
        fitted.append(found)
        return found

    monkeypatch.setattr(running, "fit_stages", slow)
    folder = run(tmp_path, file)
    assert cohorts(folder) == [80, 78]
    assert len(fitted) == 2
    assert not any(fit.stage.folder.exists() for fit in fitted[0]), "what had learned from them is deleted"
    assert all(fit.stage.folder.exists() for fit in fitted[1])
    entries = read_log(folder / "ledger").entries
    (ended,) = [e.body for e in entries if e.kind == "consents"]
    assert (ended["before"], ended["ended"]) == ("test", {"north": {"withdrawn": 2}})
    (told,) = [e.body for e in entries if e.kind == "evidence" and e.body["metric"] == "consent_rounds"]
    assert (told["n"], told["detail"]["left_out"]) == (40, 2)
    assert [e.kind for e in entries].count("unseal") == 1, "outcomes were opened for the second cohort alone"
    found = list(read_learned(tmp_path / "home"))
    assert {one.how for one in found} == {How.TRAINED, How.TUNED, How.TESTED, How.DROPPED}
    assert sizes(found, How.DROPPED) + sizes(found, How.TESTED) <= 80
    assert {one.file for one in found} == {str(file)}


def sizes(found: list[Learning], how: How) -> int:
    """Return how many patients were used so."""
    return len(frozenset().union(*(one.people for one in found if one.how is how)))


def test_a_list_of_who_withdrew_holds_when_the_register_is_lost(tmp_path: Path) -> None:
    """The cohort alone: with a register, and then without one in the study at all."""
    key = SigningKey.create_or_load(tmp_path / "home" / "signing_key.pem")
    bar(tmp_path / "home", people_secret(key), [("north", "north-7", today())])
    file = written(tmp_path)
    assert len(cohort_of(tmp_path, file, key)) == 79
    register(tmp_path / "data", "north", {7: {"given": today().isoformat()}})
    assert len(cohort_of(tmp_path, file, key)) == 79, "a consent of the day of the withdrawal isn't a new one"
    text = file.read_text(encoding="utf-8").replace(USE, "")
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith("consent =")]
    file.write_text("".join(kept), encoding="utf-8")
    assert load_study(file).use is None
    assert len(cohort_of(tmp_path, file, key)) == 79, "nothing else is held against them"
    (tmp_path / "home" / "withdrawn.jsonl").unlink()
    assert len(cohort_of(tmp_path, file, key)) == 80


def cohort_of(root: Path, file: Path, key: SigningKey) -> list[str]:
    """Return the patients of a study's cohort."""
    from huizhen.data.cache import Cache
    from huizhen.ledger.log import Log
    from huizhen.pipeline.cohort_stage import cohort_stage

    with Log.open(root / "run" / "ledger", key) as log:
        opened = Run(
            study=load_study(file),
            folder=root / "run",
            roots=(root / "data",),
            key=key,
            log=log,
            cache=Cache(root / "run" / "cache"),
            progress=Silent(),
            kept=root / "home",
        )
        return [case.patient_id for case in cohort_stage(opened).cases]


def test_a_clock_before_the_ledgers_last_entry_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path)
    monkeypatch.setattr(consents_again, "today", lambda: today() - timedelta(days=1))
    with pytest.raises(StageError, match="clock stands before"):
        run(tmp_path, file)
