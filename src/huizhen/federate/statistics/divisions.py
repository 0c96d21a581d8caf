"""Divisions of patients into groups, and which groups' numbers may be told so that no small one follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

__all__ = ["NOBODY", "Division", "flat", "held_back"]

Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]
NOBODY = -1
"""The group of a patient who is in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Patients divided into `shape` groups: (k,) of one kind, or (k, l) by two divisions at once.

    `of`: the places of these two divisions among those that are asked for.
    """

    shape: tuple[int, ...]
    of: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shape) not in (1, 2) or min(self.shape) < 1 or len(self.of) != 2 * (len(self.shape) - 1):
            raise InvalidInputError("is no division", remedy="give (k,), or (k, l) of two", field="shape")

    @property
    def groups(self) -> int:
        """How many groups it has."""
        return prod(self.shape)


def held_back(
    divisions: Sequence[Division], sizes: Sequence[Counts], barred: Sequence[Bools], *, smallest: int
) -> list[Bools]:
    """Return by division which groups (in its shape) may not be shown; empty ones may.

    Those with 1 to `smallest` - 1 patients and those `barred`; and, in every row and column, as many of the
    next smallest as it takes that at least two with `smallest` patients together are held back, so that none
    follows from a total. What is held back in one division is in those made of it.

    >>> sex, both = Division(shape=(2,)), Division(shape=(2, 2), of=(0, 0))
    >>> nobody = [np.zeros(2, bool), np.zeros((2, 2), bool)]
    >>> [kept.tolist() for kept in held_back([sex, both], [np.array([9, 30]), np.array([[9, 0], [2, 28]])],
    ...     nobody, smallest=5)]
    [[False, False], [[True, False], [True, True]]]
    """
    found: list[Bools] = []
    for division, size, bar in zip(divisions, sizes, barred, strict=True):
        hidden = (size > 0) & ((size < smallest) | bar)
        if division.of:
            rows, columns = (found[place] for place in division.of)
            hidden |= (size > 0) & (rows[:, np.newaxis] | columns[np.newaxis])
        found.append(_closed(size, hidden, smallest))
    return found


def _closed(size: Counts, hidden: Bools, smallest: int) -> Bools:
    """Return `hidden` with what it takes in every row and column; of one dimension it is one row."""
    while True:
        before = int(hidden.sum())
        lines = [(size, hidden)]
        if size.ndim > 1:
            lines = [*zip(size, hidden, strict=True), *zip(size.T, hidden.T, strict=True)]
        for sizes, held in lines:  # views of `hidden`
            for place in np.argsort(sizes, kind="stable"):
                if not held.any() or (held.sum() >= 2 and sizes[held].sum() >= smallest):
                    break
                held[place] |= sizes[place] > 0
        if int(hidden.sum()) == before:
            return hidden


def flat(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return arrays of any shape as one row.

    >>> flat([np.zeros(1), np.ones((1, 2))]).tolist()
    [0.0, 1.0, 1.0]
    """
    return np.concatenate([part.reshape(-1) for part in parts]) if parts else np.zeros(0, np.int64)
