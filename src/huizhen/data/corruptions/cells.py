"""Rows of covariates as they might have been: cells missing at random, values measured with error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.data.tables import ColumnEncoding, ColumnKind, TableEncoding

__all__ = ["WRONG_LEVEL", "mismeasured", "without_cells"]

Row = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""An encoded row: values (features,), and which columns are there (columns,)."""

WRONG_LEVEL = 0.2
"""The chance of a wrong category for each standard deviation of error in the numbers."""


def without_cells(row: Row, share: float, rng: np.random.Generator, encoding: TableEncoding) -> Row:
    """Return `row` with each column missing with probability `share`, whatever its value.

    >>> from huizhen.data.tables import numeric_column
    >>> age = numeric_column("age", start=0, n=9, mean=50.0, sd=10.0)
    >>> row = np.ones(1, np.float32), np.ones(1, bool)
    >>> without_cells(row, 1.0, np.random.default_rng(1), TableEncoding(modality="t", columns=(age,)))
    (array([0.], dtype=float32), array([False]))
    """
    values, there = row[0].copy(), row[1] & (rng.random(len(row[1])) >= share)
    for column, kept in zip(encoding.columns, there, strict=True):
        if not kept:
            values[column.start : column.stop] = 0
    return values, there


def mismeasured(row: Row, sd: float, rng: np.random.Generator, encoding: TableEncoding) -> Row:
    """Return `row` with errors: numbers by `sd` training standard deviations, normal; categories at times.

    A category is wrong with probability `WRONG_LEVEL` x `sd`, and then any other one. Missing stays missing.

    >>> from huizhen.data.tables import numeric_column
    >>> age = numeric_column("age", start=0, n=9, mean=50.0, sd=10.0)
    >>> row = np.ones(1, np.float32), np.zeros(1, bool)
    >>> mismeasured(row, 2.0, np.random.default_rng(1), TableEncoding(modality="t", columns=(age,)))[1]
    array([False])
    """
    values = row[0].copy()
    for column, there in zip(encoding.columns, row[1], strict=True):
        error, chance, pick = rng.standard_normal(), rng.random(), rng.random()
        if not there:
            continue
        if column.kind is ColumnKind.NUMERIC:
            values[column.start] += np.float32(sd * error)
        elif chance < WRONG_LEVEL * sd:
            _swap(values, column, pick)
    return values, row[1].copy()


def _swap(values: NDArray[np.float32], column: ColumnEncoding, pick: float) -> None:
    """Set another level of `column` in `values` (features,); `pick` in [0, 1) says which."""
    cells = values[column.start : column.stop]
    others = np.flatnonzero(cells == 0)
    if len(others):
        cells[:] = 0
        cells[others[int(pick * len(others))]] = 1
