"""validate, study lock and verify --recompute as a user meets them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a table of predictions; keys are kept beside it."""
    monkeypatch.setenv("HUIZHEN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(1)
    path = tmp_path / "preds.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient_id", "label", "prob", "rival"])
        for k in range(90):
            label = int(draw.random() < 0.4)
            prob = 1 / (1 + np.exp(-(1.5 * label - 0.7 + draw.normal())))
            writer.writerow([f"person-{k}", label, round(float(prob), 4), int(draw.integers(1, 6)) + label])
    return path


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run in this process; unlike the shared fixture it keeps the home that the table's fixture set."""
    from typer.testing import CliRunner

    from huizhen.cli.app import root_app

    monkeypatch.setenv("LANG", "C")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *arguments: CliRunner().invoke(root_app(), list(map(str, arguments)))


def test_a_table_alone_gives_a_verified_dossier(invoke: Any, table: Path) -> None:
    result = invoke("validate", table, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["ok"] is True
    assert found["model"] is None
    dossier = Path(found["dossier"])
    assert dossier.parent == table.with_suffix(".validation")
    verified = invoke("verify", dossier, "--key", found["key_id"], "--recompute", "--json")
    again = json.loads(verified.stdout)
    assert (verified.exit_code, again["recomputed"]["differing"]) == (0, [])
    assert again["recomputed"]["values"] > 300
    shown = invoke("show", dossier)
    assert "AUC, the model, external test set" in shown.stdout


def test_the_screen_says_what_was_taken_and_what_is_missing(invoke: Any, table: Path) -> None:
    result = invoke("validate", table, "--quiet")
    assert "Patient: column patient_id (by its name)" in result.stdout
    assert "No threshold was fixed" in result.stdout
    assert "huizhen verify" in result.stdout


def test_a_plan_is_written_changed_locked_and_run(invoke: Any, table: Path) -> None:
    first = invoke("validate", table, "--threshold", "0.5", "--compare", "rival", "--plan-only")
    plan = table.with_suffix(".plan.toml")
    assert (first.exit_code, plan.exists()) == (0, True)
    assert invoke("validate", table, "--plan-only").exit_code == 20  # never overwritten
    plan.write_text(plan.read_text() + "\n[protocol]\nlock = true\n")
    refused = invoke("validate", "--study", plan)
    assert refused.exit_code == 20
    assert "huizhen study lock" in refused.output
    locked = json.loads(invoke("study", "lock", plan, "--json").stdout)
    assert Path(locked["lock"]).exists()
    result = invoke("validate", "--study", plan, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    changed = plan.read_text().replace("threshold = 0.5", "threshold = 0.4")
    plan.write_text(changed)
    assert invoke("study", "lock", plan).exit_code == 20
    amended = json.loads(invoke("study", "lock", plan, "--reason", "agreed", "--json").stdout)
    assert amended["digest"] != locked["digest"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 10, "no table was given"),
        (("preds.csv", "--study", "p.toml"), 10, "the plan says all of it"),
        (("preds.csv", "--outcome", "lable"), 30, "did you mean label"),
        (("preds.csv", "--score", "rival"), 30, "outside [0, 1]"),
        (("preds.csv", "--tune", "preds.csv"), 20, "tested table"),
        (("absent.csv",), 31, "check that it exists"),
        (("preds.csv", "--at-least", "sensitivity=0.9"), 20, "needs decisions"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_wrong_is_said_with_its_remedy(
    invoke: Any, table: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = invoke("validate", *arguments)
    assert result.exit_code == code, result.output
    assert said in result.output
    assert "person-" not in result.output
    assert not table.with_suffix(".validation").exists()


def test_nobodys_own_files_are_taken_away_with_a_refused_run(invoke: Any, table: Path) -> None:
    own = table.parent / "mine"
    own.mkdir()
    (own / "notes.txt").write_text("keep me")
    assert invoke("validate", table, "--score", "rival", "--out", own).exit_code == 30
    assert [path.name for path in own.iterdir()] == ["notes.txt"]


def test_other_flags_need_another_folder(invoke: Any, table: Path) -> None:
    assert invoke("validate", table, "--quiet").exit_code == 0
    signed = (table.with_suffix(".validation") / "plan.toml").read_text()
    result = invoke("validate", table, "--threshold", "0.5")
    assert result.exit_code == 20
    assert "--out" in result.output
    assert (table.with_suffix(".validation") / "plan.toml").read_text() == signed


def test_a_number_that_does_not_follow_gives_the_code_of_verification(
    invoke: Any, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = json.loads(invoke("validate", table, "--json").stdout)
    copy = Path(found["dossier"]).with_name("copy")
    shutil.copytree(found["dossier"], copy)
    predictions = copy / "files" / "predictions_external.csv"
    text = predictions.read_text().splitlines()
    cells = text[1].split(",")
    place = text[0].split(",").index("outcome")
    cells[place] = str(1 - int(cells[place]))
    predictions.write_text("\n".join([text[0], ",".join(cells), *text[2:]]) + "\n")
    from huizhen.dossier import verification

    monkeypatch.setattr(  # pretend that the signatures held, so that only the numbers speak
        verification, "verify_dossier", lambda *a, **k: verification_of(found)
    )
    result = invoke("verify", copy, "--recompute")
    assert result.exit_code == 51
    assert "auc/model/external/all estimate: signed" in result.stdout


def verification_of(found: dict[str, Any]) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(entries=found["entries"], numbers=1, files=1, key_id=found["key_id"], head="h")
