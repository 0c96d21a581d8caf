"""A run's own dossier recomputed from its tables; what has none says so."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.predictions import Predictions
from huizhen.errors import DossierError
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.recompute import _by_cut, recompute


def test_every_number_of_a_run_follows_from_its_tables(finished: RunResult) -> None:
    found = recompute(finished.dossier)
    assert found.differing == ()
    assert found.claims > 40
    assert found.values > 500
    assert not [key for key in found.left if key.startswith(("auc/", "sensitivity/", "threshold/"))]


def test_a_threshold_that_the_tuning_table_does_not_give_is_found(
    finished: RunResult, tmp_path: Path
) -> None:
    copy = tmp_path / "dossier"
    shutil.copytree(finished.dossier, copy)
    table = copy / "files" / "tuning_predictions.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    for row in rows:
        row["log_odds"] = repr(2 * float(row["log_odds"]) + 1)
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert {one.key.partition("/")[0] for one in recompute(copy).differing} >= {"threshold"}


def test_a_dossier_without_predictions_cannot_be_recomputed(finished: RunResult, tmp_path: Path) -> None:
    copy = tmp_path / "dossier"
    shutil.copytree(finished.dossier, copy)
    for table in (copy / "files").glob("predictions_*.csv"):
        table.unlink()
    with pytest.raises(DossierError, match="holds no table of predictions"):
        recompute(copy)


def given(decision: list[bool], *, ranked: bool = False) -> Predictions:
    """Return four rows of a given table."""
    risk = np.array([0.2, 0.5, 0.7, np.nan])
    return Predictions(
        patient=np.array(list("abcd")),
        site=np.array(["s"] * 4),
        part=Part.EXTERNAL,
        outcome=np.array([False, True, True, False]),
        risk={"m": risk},
        decision={"m": np.array(decision)},
        ranked=("m",) if ranked else (),
    )


@pytest.mark.parametrize(
    ("decision", "cut", "scale", "held"),
    [
        ([False, True, True, False], 0.5, "probability", True),
        ([True, True, True, False], 0.5, "probability", False),  # one threshold, but not the locked one
        ([False, False, True, False], 0.5, "probability", False),
        ([False, True, True, False], 3.0, "rank", True),
        ([False, False, True, False], 0.4, "logit", True),
        ([False, True, True, False], 0.4, "logit", False),
    ],
)
def test_decisions_are_those_of_the_locked_threshold(
    decision: list[bool], cut: float, scale: str, held: bool
) -> None:
    assert _by_cut(given(decision, ranked=scale == "rank"), "m", cut, scale) is held
