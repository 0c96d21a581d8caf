"""Files that let a recipient make numbers again: exact, by pseudonym, marked where they are of phantoms."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.study import ThresholdRule
from huizhen.explain.localisation import LocalisationRow
from huizhen.pipeline.localisation_file import row_of, write_rows
from huizhen.pipeline.tuning_file import Tuned, write_tuning
from huizhen.validate.calibration import apply_platt, fit_platt
from huizhen.validate.thresholds import choose_threshold


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_calibration_and_threshold_can_be_made_again_to_the_last_bit(tmp_path: Path) -> None:
    draws = np.random.default_rng(2)
    outcome = draws.random(60) < 0.4
    log_odds = draws.normal(size=60) + outcome
    names = [f"P-{i}" for i in range(60)]
    tuned = Tuned(model="cman|MG+US", fold=1, patient=names, outcome=outcome, log_odds=log_odds)
    write_tuning(tmp_path / "t.csv", [tuned], phantom=False)
    rows = read(tmp_path / "t.csv")
    assert list(rows[0]) == ["patient", "model", "fold", "outcome", "log_odds"]
    assert {(row["model"], row["fold"]) for row in rows} == {("cman|MG+US", "1")}
    again = np.array([float(row["log_odds"]) for row in rows])
    truth = np.array([row["outcome"] == "1" for row in rows])
    assert again.tobytes() == log_odds.tobytes()
    ours, theirs = fit_platt(log_odds, outcome), fit_platt(again, truth)
    assert ours == theirs
    one, other = apply_platt(ours, log_odds), apply_platt(theirs, again)
    assert choose_threshold(outcome, one, ThresholdRule()) == choose_threshold(truth, other, ThresholdRule())


@pytest.mark.parametrize("phantom", [True, False])
def test_files_of_phantoms_say_so_in_every_row(tmp_path: Path, phantom: bool) -> None:
    tuned = Tuned(model="cman", fold=0, patient=["P-1"], outcome=np.array([True]), log_odds=np.array([0.1]))
    write_tuning(tmp_path / "t.csv", [tuned], phantom=phantom)
    image = LocalisationRow(pseudonym="P-1", hit=False, energy=0.1 + 0.2, area_share=0.25)
    write_rows(tmp_path / "l.csv", [row_of(image, "US", "external")], phantom=phantom)
    for name in ("t.csv", "l.csv"):
        assert [row.get("phantom") for row in read(tmp_path / name)] == (["1"] if phantom else [None])
    assert float(read(tmp_path / "l.csv")[0]["energy"]) == 0.1 + 0.2


def test_without_a_lesion_there_is_no_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "l.csv", [], phantom=True)
    assert list(tmp_path.iterdir()) == []
