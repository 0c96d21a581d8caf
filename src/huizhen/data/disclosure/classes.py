"""Equivalence classes: the patients whom an outsider can't tell apart, and how many they are.

Reference: Sweeney, k-anonymity: a model for protecting privacy, IJUFKS 10(5):557-570 (2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.microdata import Codes

__all__ = ["Classes", "class_sizes", "classes_of", "combined", "counted_pairs"]

_WIDE = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classes:
    """`ids` (rows,): the class of each row. `sizes` (classes,): how many patients each class holds."""

    ids: Codes
    sizes: Codes

    @property
    def k(self) -> int:
        """The smallest class; 0 of a table without rows."""
        return int(self.sizes.min()) if len(self.sizes) else 0


def combined(codes: Sequence[Codes], cardinalities: Sequence[int]) -> Codes:
    """Return one number (rows,) for the combination of several columns' codes, dense from 0.

    Combinations are numbered as they first appear. `codes` may be empty of columns but not of rows.

    >>> combined([np.array([0, 1, 0]), np.array([2, 2, 2])], [2, 3]).tolist()
    [0, 1, 0]
    """
    ids, width = codes[0], max(1, int(cardinalities[0]))
    for column, cardinality in zip(codes[1:], cardinalities[1:], strict=True):
        if width * max(1, cardinality) > _WIDE:
            ids, width = _dense(ids)
        ids, width = ids * cardinality + column, width * max(1, cardinality)
    return _dense(ids)[0]


def _dense(ids: Codes) -> tuple[Codes, int]:
    """Return numbers as ranks of their first appearance, and how many there are."""
    import pandas as pd

    codes, found = pd.factorize(ids)
    return codes.astype(np.int64), len(found)


def class_sizes(ids: Codes, patients: Codes | None, weights: Codes | None = None) -> Codes:
    """Return how many patients each class holds: rows (or their `weights`), or distinct `patients`."""
    if patients is None:
        return np.bincount(ids, weights=weights).astype(np.int64)
    pairs = np.unique(ids * (int(patients.max()) + 1) + patients)
    return np.bincount(pairs // (int(patients.max()) + 1), minlength=int(ids.max()) + 1)


def classes_of(
    codes: Sequence[Codes], cardinalities: Sequence[int], *, patients: Codes | None = None
) -> Classes:
    """Return the equivalence classes over the quasi-identifiers' `codes`, a row each.

    >>> classes_of([np.array([0, 0, 1])], [2]).sizes.tolist()
    [2, 1]
    """
    ids = combined(codes, cardinalities)
    return Classes(ids=ids, sizes=class_sizes(ids, patients))


def counted_pairs(
    ids: Codes, values: Codes, cardinality: int, weights: NDArray[np.int64] | None = None
) -> tuple[Codes, Codes, Codes]:
    """Return (class, value, rows) of each pair that occurs, in order of class, then value."""
    pairs, back = np.unique(ids * cardinality + values, return_inverse=True)
    counts = np.bincount(back, weights=weights).astype(np.int64)
    return pairs // cardinality, pairs % cardinality, counts
