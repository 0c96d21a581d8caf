"""What calibration and thresholds were chosen from, as CSV with pseudonyms: both can be made again."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.core.files import write_text

TUNING = "tuning_predictions.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """One model's log-odds (n,) in one fold, of the tuning patients that it answers, with outcomes (n,)."""

    model: str
    fold: int
    patient: Sequence[str]
    outcome: NDArray[np.bool_]
    log_odds: NDArray[np.float64]


def read_tuning(path: Path, *, column: str = "log_odds") -> list[Tuned]:
    """Return what `write_tuning` wrote, models and folds in the order of the file."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    found: list[Tuned] = []
    for model, fold in dict.fromkeys((row["model"], row["fold"]) for row in rows):
        own = [row for row in rows if (row["model"], row["fold"]) == (model, fold)]
        found.append(
            Tuned(
                model=model,
                fold=int(fold),
                patient=[row["patient"] for row in own],
                outcome=np.array([row["outcome"] == "1" for row in own]),
                log_odds=np.array([float(row[column]) for row in own]),
            )
        )
    return found


def write_tuning(path: Path, found: Sequence[Tuned], *, phantom: bool, column: str = "log_odds") -> None:
    """Write a row a patient, model and fold: log-odds before calibration, exact to the last bit.

    `column` is "score" where scores were made elsewhere and are kept on their own scale.
    The calibrated risk is 1 / (1 + exp(-(intercept + slope x log-odds))) with the lock's intercept and slope.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["patient", *(["phantom"] if phantom else []), "model", "fold", "outcome", column])
    for one in found:
        for patient, outcome, log_odds in zip(one.patient, one.outcome, one.log_odds, strict=True):
            mark = ["1"] if phantom else []
            writer.writerow([patient, *mark, one.model, one.fold, int(outcome), repr(float(log_odds))])
    write_text(path, text.getvalue())
