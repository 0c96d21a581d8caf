"""The gallery shows right and wrong, positive and negative alike, drawn by the study's seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.predictions import Predictions
from huizhen.pipeline.explain_stage import GALLERY_CASES, gallery_rows


def table(true: int, missed: int, false: int, well: int, part: Part = Part.TEST) -> Predictions:
    """Return a table of so many true positives, missed, false alarms and true negatives."""
    cells = [(1, 1)] * true + [(1, 0)] * missed + [(0, 1)] * false + [(0, 0)] * well
    outcome, decision = (np.array([cell[k] for cell in cells], bool) for k in (0, 1))
    return Predictions(
        patient=np.array([f"P-{i}" for i in range(len(cells))]),
        site=np.array(["a"] * len(cells)),
        part=part,
        outcome=outcome,
        risk={"cman": decision * 0.8 + 0.1},
        decision={"cman": decision},
    )


def shown(predictions: Predictions, seed: int = 1) -> Counter[tuple[bool, bool]]:
    rows = gallery_rows(predictions, seed)
    assert len(set(rows)) == len(rows)
    pairs = zip(predictions.outcome[rows].tolist(), predictions.decision["cman"][rows].tolist(), strict=True)
    return Counter(pairs)


def test_the_four_cells_take_turns() -> None:
    assert set(shown(table(50, 50, 50, 50)).values()) == {GALLERY_CASES // 4}


def test_a_rare_cell_is_shown_whole() -> None:
    found = shown(table(50, 1, 0, 50))
    assert (found[True, False], found[False, True]) == (1, 0)
    assert found.total() == GALLERY_CASES


@pytest.mark.parametrize("counts", [(1, 0, 0, 0), (0, 0, 2, 1), (3, 0, 0, 4), (2, 2, 2, 2)])
def test_few_patients_are_all_shown_once(counts: tuple[int, int, int, int]) -> None:
    assert shown(table(*counts)).total() == sum(counts)


def test_the_seed_and_the_cohort_decide() -> None:
    internal, external = (table(50, 50, 50, 50, part) for part in (Part.TEST, Part.EXTERNAL))
    assert gallery_rows(internal, 1) == gallery_rows(internal, 1) != gallery_rows(internal, 2)
    assert gallery_rows(internal, 1) != gallery_rows(external, 1)
