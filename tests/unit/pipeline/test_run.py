"""A whole run over tables: the ledger's order, sealed outcomes, who trains, one study a folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.digests import digest_file, digest_value
from huizhen.data.splits import Fold
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import StageError, StudyError
from huizhen.ledger.commitments import check_opening
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline import fit_stage
from huizhen.pipeline import run as pipeline_run
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.predict_stage import predict_stage
from huizhen.pipeline.protocol import changed_keys
from huizhen.train.fit import Fit, Fitted
from huizhen.validate.calibration import fit_platt

Tables = Callable[..., Path]
Start = Callable[..., RunResult]


KINDS = ("study", "intake", "commit", "model", "lock", "predictions", "unseal")


def stage_folder(result: RunResult, name: str) -> Path:
    [found] = (result.run_folder / "stages").glob(f"{name}-*")
    return found


def entries(result: RunResult) -> list[tuple[str, dict[str, Any]]]:
    key = SigningKey.create_or_load(result.run_folder.parent / "home" / "signing_key.pem")
    with Log.open(result.run_folder / "ledger", key) as log:
        return [(entry.kind, dict(entry.body)) for entry in log.entries]


def test_the_dossier_verifies_under_the_runs_key(finished: RunResult) -> None:
    verified = verify_dossier(finished.dossier, expected_key_id=finished.key_id)
    assert verified.entries == finished.entries


def test_the_ledger_tells_the_order_of_signing(finished: RunResult) -> None:
    found = entries(finished)
    kinds = [kind for kind, _ in found]
    first = {kind: kinds.index(kind) for kind in KINDS}
    assert first["study"] == 0
    assert first["study"] < first["intake"] < first["commit"] < first["model"] < first["lock"]
    assert first["lock"] < first["predictions"] < first["unseal"]
    assert found[first["unseal"]][1]["lock_entry"] == first["lock"]
    results = [
        i for i, (kind, body) in enumerate(found) if kind == "evidence" and body["stage"] == "validate"
    ]
    assert min(results) > first["unseal"]
    assert all(kinds.count(kind) == 1 for kind in first)


def test_the_chain_of_stages_leads_from_the_results_to_the_signed_study(finished: RunResult) -> None:
    found = entries(finished)
    stages = {body["digest"]: body for kind, body in found if kind == "stage"}
    place = {body["digest"]: k for k, (kind, body) in enumerate(found) if kind == "stage"}
    seen, waiting = set[str](), [body for body in stages.values() if body["stage"] == "assess"]
    while waiting:
        body = waiting.pop()
        seen.add(body["stage"])
        assert body["inputs"], f"{body['stage']} says nothing of what it was made from"
        sources = [one["digest"] for one in body["inputs"] if one["digest"] in stages]
        assert all(place[digest] < place[body["digest"]] for digest in sources)
        waiting += [stages[digest] for digest in sources]
    assert {"assess", "unseal", "predict", "lock", "cohort"} <= seen
    assert len([name for name in seen if name.startswith("fit/")]) == 4


def test_parts_of_the_study_that_stages_were_made_from_are_those_that_were_signed(
    finished: RunResult,
) -> None:
    found = entries(finished)
    [signed] = [body["study"] for kind, body in found if kind == "study"]
    parts = [one for kind, body in found if kind == "stage" for one in body["inputs"]]
    plain = [one for one in parts if one["what"].startswith("study: ") and "(" not in one["what"]]
    assert len(plain) >= 3
    for one in plain:
        keys = one["what"].removeprefix("study: ").split(", ")
        assert one["digest"] == digest_value({key: signed[key] for key in keys})
    [file] = [body["sha256"] for kind, body in found if kind == "artefact" and body["path"] == "study.toml"]
    [protocol] = [body["inputs"] for kind, body in found if kind == "stage" and body["stage"] == "protocol"]
    assert protocol == [{"what": "study.toml", "digest": file}]


def test_every_evidence_key_stands_once(finished: RunResult) -> None:
    keys = [body["key"] for kind, body in entries(finished) if kind == "evidence"]
    assert sorted(keys) == sorted(set(keys))


def test_outcomes_of_the_unseen_are_sealed_until_the_lock(finished: RunResult) -> None:
    folder = stage_folder(finished, "cohort")
    cases = json.loads((folder / "cases.json").read_text())
    sealed = json.loads((folder / "sealed.json").read_text())
    [fold] = json.loads((folder / "folds.json").read_text())
    unseen = {p for p, part in fold["parts"].items() if part in ("test", "external")}
    assert {c["pseudonym"] for c in cases if c["outcome"] is None} == unseen == set(sealed)
    assert {c["pseudonym"] for c in cases if c["site"] == "far"} <= unseen
    assert set(sealed.values()) == {0, 1}
    assert len(unseen) < len(cases)


def test_no_count_of_outcomes_is_entered_before_the_unseal(finished: RunResult) -> None:
    found = entries(finished)
    unsealed = next(k for k, (kind, _) in enumerate(found) if kind == "unseal")
    counted = [body for kind, body in found[:unsealed] if kind == "evidence" and body["stage"] == "data"]
    assert {body["key"] for body in counted} == {
        "data/flow",
        "data/cohort",
        "data/allocation",
        "data/leakage",
    }
    for body in counted:
        assert "n_events" not in body
        assert "positive" not in json.dumps(body)
    [after] = [body for _, body in found[unsealed:] if body.get("key") == "data/outcomes"]
    assert {row["site"]: row["positive"] for row in after["detail"]["sites"]} == {
        "north": 30,
        "south": 20,
        "far": 15,
    }
    parts = {row["part"]: row for row in after["detail"]["parts"]}
    assert parts["external"] == {"part": "external", "patients": 30, "positive": 15}
    assert sum(row["patients"] for row in parts.values()) == 130


def test_what_was_sealed_was_committed_to_and_opened_as_such(finished: RunResult) -> None:
    found = dict(entries(finished))
    check_opening(found["commit"]["commitments"], found["unseal"]["salt"], found["unseal"]["opened"])
    folder = stage_folder(finished, "cohort")
    assert found["unseal"]["opened"] == {
        name: digest_file(folder / name) for name in found["unseal"]["opened"]
    }
    folds = json.loads((folder / "folds.json").read_text())
    tested = [part for part in folds[0]["parts"].values() if part == "test"]
    assert found["commit"]["cohorts"] == {
        "internal": {"patients": len(tested), "sealed": len(tested)},
        "external": {"patients": 30, "sealed": 30},
    }


def test_who_holds_the_dossier_can_calibrate_again(finished: RunResult) -> None:
    found = dict(entries(finished))
    with (finished.dossier / "files" / "tuning_predictions.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["model"] == "table_lr"]
    truth = np.array([row["outcome"] == "1" for row in rows])
    platt = fit_platt(np.array([float(row["log_odds"]) for row in rows]), truth)
    locked = found["lock"]["decisions"]["table_lr"]["0"]["platt"]
    assert (platt.intercept, platt.slope) == (locked["intercept"], locked["slope"])
    training = found["model"]["card"]["training"]
    assert training["n_tune"] == len(rows)
    assert training["n_train"] + training["n_tune"] == training["n"]


def test_answers_were_fixed_without_outcomes(finished: RunResult) -> None:
    fixed = dict(entries(finished))["predictions"]["without_outcomes"]
    folder = stage_folder(finished, "predict")
    for name, digest in fixed.items():
        assert digest_file(folder / name) == digest
        assert "outcome" not in (folder / name).read_text().splitlines()[0].split(",")


@pytest.mark.parametrize("name", ["folds.json", "cases.json", "sealed.json"])
def test_what_was_changed_after_the_commitment_is_not_opened(
    tables: Tables, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def tampered(run: object, cohort: OpenCohort, *more: object) -> object:
        path = cohort.stage.folder / name
        path.write_text(path.read_text() + " ")
        return predict_stage(run, cohort, *more)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(pipeline_run, "predict_stage", tampered)
    with pytest.raises(StageError, match="not those that the ledger's commit entry fixed"):
        start(tables(tmp_path))
    assert not list((tmp_path / "study.run" / "stages").glob("unseal-*"))


def test_patient_ids_stay_out_of_the_dossier(finished: RunResult) -> None:
    for path in finished.dossier.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"north-17" not in content, path.name
            assert b"far-3" not in content, path.name


def test_the_predictions_are_of_the_unseen_only(finished: RunResult) -> None:
    folder = stage_folder(finished, "cohort")
    [fold] = json.loads((folder / "folds.json").read_text())
    for part in ("test", "external"):
        text = (stage_folder(finished, "unseal") / "artefacts" / f"predictions_{part}.csv").read_text()
        named = {line.split(",")[0] for line in text.splitlines()[1:]}
        assert named == {p for p, at in fold["parts"].items() if at == part}


def test_a_second_run_makes_nothing_and_enters_nothing(
    finished: RunResult, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("something was fitted again")

    monkeypatch.setattr(Fit, "run", refuse)
    monkeypatch.setattr(fit_stage, "fit_table_regression", refuse)
    before = times(finished.run_folder)
    again = start(finished.run_folder.with_suffix(".toml"))
    assert replace(again, seconds=0) == replace(finished, seconds=0)
    assert times(finished.run_folder) == before


def times(folder: Path) -> dict[Path, int]:
    """Return when each file was written, but the lock's, which says who has the log open."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path: path.stat().st_mtime_ns for path in files}


@pytest.fixture
def fitted_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[str]]]:
    """Collect who each fit trains and tunes on, by pseudonym: from the rows that fits are really given."""
    seen: list[tuple[str, set[str]]] = []
    rows_of = fit_stage.Development.rows
    regress, run = fit_stage.fit_table_regression, Fit.run
    given: list[tuple[tuple[int, ...], set[str]]] = []

    def rows(
        self: fit_stage.Development, fold: Fold, part: Part, data: object, names: tuple[str, ...]
    ) -> object:
        found = rows_of(self, fold, part, data, names)  # type: ignore[arg-type]  # passed on as it came
        people = {self.material.cases[row].pseudonym for row in found}
        given.append((tuple(found.tolist()), people))
        return found

    def people_of(found: np.ndarray) -> set[str]:
        return next(people for rows, people in reversed(given) if rows == tuple(found.tolist()))

    def spied_run(self: Fit, *args: object, **kwargs: object) -> Fitted:
        seen.append(("train", people_of(self.train)))
        seen.append(("tune", people_of(self.tune)))
        return run(self, *args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    def spied_regress(data: object, train: np.ndarray, seed: int) -> object:
        seen.append(("train", people_of(train)))
        return regress(data, train, seed)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(fit_stage.Development, "rows", rows)
    monkeypatch.setattr(Fit, "run", spied_run)
    monkeypatch.setattr(fit_stage, "fit_table_regression", spied_regress)
    return seen


@pytest.mark.parametrize("method", ["holdout", "folds"])
def test_nobody_external_or_tested_is_in_any_training_row(
    tables: Tables, start: Start, tmp_path: Path, fitted_on: list[tuple[str, set[str]]], method: str
) -> None:
    study_file = tables(tmp_path)
    study_file.write_text(study_file.read_text() + f'[split]\nmethod = "{method}"\nfolds = 2\n')
    result = start(study_file)
    folder = stage_folder(result, "cohort")
    cases = {c["pseudonym"]: c["site"] for c in json.loads((folder / "cases.json").read_text())}
    folds = json.loads((folder / "folds.json").read_text())
    assert len(fitted_on) == len(folds) * (
        3 * 2 + 1
    )  # cman and two singles train and tune, the regression trains
    for part, people in fitted_on:
        assert people
        assert all(cases[p] != "far" for p in people)
        allowed = [{p for p, at in fold["parts"].items() if at == part} for fold in folds]
        assert people in allowed  # all have both tables


def test_what_external_patients_look_like_changes_no_weight(
    tables: Tables, start: Start, tmp_path: Path
) -> None:
    """The table encodings too are learned from training patients alone."""
    results = [start(tables(tmp_path / str(shift), far=shift)) for shift in (0, 500)]
    for name in ("fit-cman", "fit-single-clinic", "fit-single-blood"):
        one, other = (stage_folder(r, name) / "weights.safetensors" for r in results)
        assert one.read_bytes() == other.read_bytes()
    one, other = (stage_folder(r, "fit-table_lr") / "regression.json" for r in results)
    assert one.read_bytes() == other.read_bytes()
    first, second = (dict(r.headline[-1]) for r in results)
    assert first != second  # and yet the external result is another


class TestChangedStudy:
    """One run's folder is one signed study's."""

    @pytest.mark.parametrize(
        ("old", "new", "key"),
        [
            ("seed = 3", "seed = 4", "seed"),
            ("epochs = 2", "epochs = 3", "training"),
            ('title = "Tables"', 'title = "Tablets"', "title"),
            ("heads = 2", "heads = 4", "network"),
            ('role = "external"', 'role = "development"', "site"),
        ],
    )
    def test_a_changed_study_is_refused_by_the_name_of_its_key(
        self, finished: RunResult, start: Start, tmp_path: Path, old: str, new: str, key: str
    ) -> None:
        text = finished.run_folder.with_suffix(".toml").read_text()
        assert old in text
        (tmp_path / "study.toml").write_text(text.replace(old, new))
        before = entries(finished)
        with pytest.raises(StudyError, match=rf"changed after it was signed: {key}\.") as caught:
            start(
                tmp_path / "study.toml",
                out=finished.run_folder,
                data_root=finished.run_folder.parent,
                home=finished.run_folder.parent / "home",
            )
        assert (caught.value.file, "--out" in caught.value.remedy) == ("study.toml", True)
        assert entries(finished) == before

    def test_a_comment_is_no_change(self, finished: RunResult, start: Start, tmp_path: Path) -> None:
        text = finished.run_folder.with_suffix(".toml").read_text()
        (tmp_path / "study.toml").write_text("# only a comment\n" + text)
        again = start(
            tmp_path / "study.toml",
            out=finished.run_folder,
            data_root=finished.run_folder.parent,
            home=finished.run_folder.parent / "home",
        )
        assert again.entries == finished.entries

    def test_all_changed_keys_are_named(self, make_study: Callable[..., object]) -> None:
        clinic = {"name": "clinic", "kind": "table", "numeric": ["age"]}
        one = make_study(clinic)
        other = make_study(clinic, seed=8, title="B")
        assert changed_keys(one.model_dump(mode="json"), other) == "seed, title"  # type: ignore[attr-defined, arg-type]  # a Study


def test_data_that_changed_after_a_failure_is_taken_in_anew(
    tables: Tables, start: Start, tmp_path: Path
) -> None:
    """The cohort was entered before the failure; the corrected one is the one that is reported."""
    study_file = tables(tmp_path)
    whole = (tmp_path / "south.csv").read_text()
    lines = whole.splitlines()
    (tmp_path / "south.csv").write_text("\n".join(lines[:31]) + "\n")
    first = start(study_file)
    (tmp_path / "south.csv").write_text(whole)
    second = start(study_file)
    assert second.entries > first.entries
    verify_dossier(second.dossier, expected_key_id=second.key_id)
    verify_dossier(first.dossier, expected_key_id=first.key_id)
    internal = [r for r in second.headline if r["key"] == "auc/cman/internal/all"]
    assert internal[-1]["n"] > [r for r in first.headline if r["key"] == "auc/cman/internal/all"][-1]["n"]
    found = entries(second)
    locks = [i for i, (kind, _) in enumerate(found) if kind == "lock"]
    unseals = [body["lock_entry"] for kind, body in found if kind == "unseal"]
    assert unseals == locks
