"""Robustness and prediction sets of a study of tables alone, tested by folds: no image is needed."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.finish import RunResult

MORE = """
[split]
method = "folds"
folds = 2
[robustness]
steps = [1, 5]
patients = 40
[conformal]
level = 0.8
"""


@pytest.fixture(scope="module")
def told(
    tables: Callable[..., Path], start: Callable[..., RunResult], tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunResult, list[tuple[str, dict[str, Any]]]]:
    """A finished run, and its entries."""
    study = tables(tmp_path_factory.mktemp("robust"))
    study.write_text(study.read_text(encoding="utf-8") + MORE, encoding="utf-8")
    result = start(study)
    key = SigningKey.create_or_load(study.parent / "home" / "signing_key.pem")
    with Log.open(result.run_folder / "ledger", key) as log:
        return result, [(entry.kind, dict(entry.body)) for entry in log.entries]


Told = tuple[RunResult, list[tuple[str, dict[str, Any]]]]


def evidence(told: Told) -> dict[str, dict[str, Any]]:
    return {str(body["key"]): body for kind, body in told[1] if kind == "evidence"}


def test_only_what_tables_allow_is_tried(told: Told) -> None:
    found = evidence(told)
    kinds = {key.split("/")[1] for key in found if key.startswith("robustness/")}
    assert kinds == {"undisturbed", "missing", "measurement_error"}
    base = found["robustness/undisturbed/tables/auc"]
    assert (base["n"], base["n_events"]) == (40, 20)
    assert base["detail"]["apart"] < 1e-9, "each patient is asked by the networks of the fold that tests them"
    assert base["detail"]["sampled_from"] == 100


def test_gross_errors_move_every_risk_and_small_ones_less(told: Told) -> None:
    path = told[0].dossier / "files" / "robustness_measurement_error.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    moved = [[abs(float(row[f"risk:{step}"]) - float(row["risk:0"])) for row in rows] for step in (1, 5)]
    assert 0 < sum(moved[0]) < sum(moved[1])


def test_sites_are_told_by_tables_too_and_no_lesion_is_blanked(told: Told) -> None:
    shortcuts = {key for key in evidence(told) if key.startswith("shortcut/")}
    assert shortcuts == {
        f"shortcut/site/{modality}/{site}"
        for modality in ("clinic", "blood")
        for site in ("far", "north", "south")
    }
    page = (told[0].dossier / "index.html").read_text(encoding="utf-8")
    assert "No image with a lesion mask was tested" in page


def test_each_fold_has_cuts_and_external_patients_their_mean(told: Told) -> None:
    [lock] = [body for kind, body in told[1] if kind == "lock"]
    assert set(lock["conformal"]) == {"0", "1"}
    assert all("pooled" in by_site for by_site in lock["conformal"].values())
    found = evidence(told)
    assert found["conformal/coverage/external/all/any"]["detail"]["cuts"] == "pooled"
    assert found["conformal/coverage/internal/all/any"]["n"] == 100
    assert found["conformal/coverage/internal/all/any"]["estimate"] > 0.6
