"""What a query rule is given and what it answers: a pool of cases, and those to have labelled, in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study_active import QueryRule
from huizhen.errors import InvalidInputError

__all__ = ["Asked", "Picks", "Pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The n cases of one site that may be asked about, as its current model sees them.

    `features` (n, d): the encoder's output or the table's columns, scaled as the classifier sees them (so
    that 0 is the mean); NaN where a modality or a value is missing. `labelled` (n,): cases with a label.
    `pending` (n,): cases already asked about and not answered. `group` (n,): patients or near-duplicates; one
    case a group is asked at a time. `probability` (n,) of the positive class, None before there is a model.
    `samples` (m, n): the same from m draws of the model (Monte-Carlo dropout). `penalty`: the ridge of the
    classifier's last layer. Raises `InvalidInputError` when shapes don't fit, or a value is infinite or out
    of range.
    """

    features: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    pending: NDArray[np.bool_]
    group: NDArray[np.int64]
    probability: NDArray[np.float64] | None = None
    samples: NDArray[np.float64] | None = None
    penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.features.ndim != 2:
            raise _refused("features", f"has {self.features.ndim} axes, not (n, d)")
        n = len(self.features)
        for name in ("labelled", "pending", "group", "probability"):
            column = getattr(self, name)
            if column is not None and column.shape != (n,):
                raise _refused(name, f"has shape {column.shape} for {n} cases")
        if self.samples is not None and (self.samples.ndim != 2 or self.samples.shape[1] != n):
            raise _refused("samples", f"has shape {self.samples.shape} for {n} cases")
        if np.isinf(self.features).any():
            raise _refused("features", "holds an infinite value")
        for name in ("probability", "samples"):
            column = getattr(self, name)
            if column is not None and not ((column >= 0) & (column <= 1)).all():
                raise _refused(name, "leaves [0, 1] or holds NaN")
        if not (np.isfinite(self.penalty) and self.penalty > 0):
            raise _refused("penalty", "is not above 0")

    def __len__(self) -> int:
        """Return n."""
        return len(self.features)

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Return (n,): labelled, or soon to be."""
        return self.labelled | self.pending


def _refused(field: str, why: str) -> InvalidInputError:
    return InvalidInputError(why, remedy="give one row a case, finite or NaN where missing", field=field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picks:
    """What a rule chose: `rows` (k,) of the pool, best first, and the `score` (k,) of each when chosen."""

    rows: NDArray[np.int64]
    score: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The cases to have labelled next, best first, and one line why for each, fit to show to a reader."""

    rule: QueryRule
    rows: NDArray[np.int64]
    score: NDArray[np.float64]
    reason: tuple[str, ...]
