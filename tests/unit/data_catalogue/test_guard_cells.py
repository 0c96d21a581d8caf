"""Cells as they are cut, against a slow count."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.data.catalogue.guard_cells import Answers, Cells

K = 5


def test_answers_are_kept_by_rows() -> None:
    answers, draw = Answers(7), stream(1, "answers")
    rows = np.ones((7, 1))
    for _ in range(70):  # over the end of a word
        inside = draw.random(7) < 0.5
        answers.add(inside)
        rows = np.column_stack([rows, inside])
    answers.append(rows[3])
    answers.copy_rows(np.array([5, 0]))
    assert np.array_equal(answers.of(np.arange(10)), np.vstack([rows, rows[[3]], rows[[5, 0]]]))
    assert len(answers) == 10


@pytest.mark.parametrize("each", [1, 3])
def test_cells_are_those_of_a_slow_count(each: int) -> None:
    """Which parts are large after each question, by subjects' shares counted one by one."""
    owners = np.repeat(np.arange(120, dtype=np.uint32), each)
    cells, draw = Cells(owners, smallest=K), stream(2, "cells", each)
    label = np.zeros(len(owners), np.int64)  # -1: in a small cell
    for _ in range(6):
        mask = draw.random(len(owners)) < draw.choice([0.02, 0.5, 0.98])
        cut = cells.cut(mask)
        split = np.where(label < 0, -1, 2 * label + mask)
        large = [cell for cell in np.unique(split[split >= 0]) if (split == cell).sum() / each > K - 0.5]
        split[~np.isin(split, large)] = -1
        assert np.array_equal(cells.in_small(cut, np.arange(len(owners)), mask), split < 0)
        halves = {cell // 2 for cell in large}
        assert cut.divides == (len(halves) < len(large))
        if not cut.divides:
            rows, wanted = cells.equations(cut, 10_000)
            assert (rows.shape[0], int(wanted.sum())) == (len(large), sum(cell % 2 for cell in large))
        cells.take(cut)
        label = split
