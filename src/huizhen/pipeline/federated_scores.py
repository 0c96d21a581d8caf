"""What a lead knows of tested patients' scores: distributions by model and group, and a table made from them.

Patients come in blocks that are asked about together: a fold's, judged by its own threshold, or an external
site's. In a block each model's scores go with their outcomes, and each column's groups with the main model's
scores and outcomes. From these a table of nobody's predictions is made whose columns are so distributed, and
all that pooled predictions are assessed by is reckoned from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.predictions import Predictions
from huizhen.errors import MessageError
from huizhen.federate.statistics.delong import BINS
from huizhen.federate.statistics.grouped import GroupedDistribution
from huizhen.federate.statistics.scores import ScoreDistribution
from huizhen.pipeline.federated_groups import Counted
from huizhen.validate.assessments.interface import HeldBack
from huizhen.validate.grouping import NONE

__all__ = ["TOGETHER", "Block", "held_back_of", "predictions_of"]

TOGETHER = "all"
"""The site of patients of whom is known only that they are of several sites."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Patients who were asked about together: of one `site`, or of several (`TOGETHER`), in one fold or all.

    `scores`: model -> the distribution of its calibrated risks, the main model's first; `thresholds`: model
    -> the risk from which on it calls a patient. `groups`: the main model's scores by the groups counted.
    """

    site: str
    fold: int | None
    scores: Mapping[str, ScoreDistribution]
    thresholds: Mapping[str, float]
    groups: GroupedDistribution | None = None

    @property
    def main(self) -> ScoreDistribution:
        """The main model's scores."""
        return next(iter(self.scores.values()))

    @property
    def n(self) -> int:
        """How many patients the main model answers for."""
        return int(self.main.events.sum() + self.main.others.sum())


def predictions_of(blocks: Sequence[Block], part: Part, counted: Sequence[Counted] = ()) -> Predictions:
    """Return blocks as a table of nobody's predictions, in no patient's order.

    Of a group that is held back in one block nobody is said to be in it. Raises `MessageError` when a model
    answers, or groups hold, more patients of an outcome than there are.
    """
    held = _held(blocks)
    risk, decision = _by_model(blocks)
    count = sum(block.n for block in blocks)
    labels = [_labels(block, counted, held) for block in blocks]
    return Predictions(
        patient=np.array([f"of-{count}-{i}" for i in range(count)]),
        site=np.repeat([block.site for block in blocks], [block.n for block in blocks]),
        part=part,
        outcome=np.concatenate([block.main.outcome for block in blocks]),
        risk=risk,
        decision=decision,
        groups={one.column: np.concatenate([own[i] for own in labels]) for i, one in enumerate(counted)},
    )


def held_back_of(blocks: Sequence[Block], counted: Sequence[Counted]) -> dict[str, HeldBack]:
    """Return column -> its groups that are held back in a block, where there are any."""
    held, found, start = _held(blocks), {}, 0
    for one in counted:
        stop = start + len(one.names)
        places = start + np.flatnonzero(held[start:stop]) if held.size else np.zeros(0, np.int64)
        if places.size:
            patients = sum(int(b.groups.sizes[places].sum()) for b in blocks if b.groups is not None)
            names = tuple(one.names[place - start] for place in places)
            found[one.column] = HeldBack(groups=names, patients=patients)
        start = stop
    return found


def _held(blocks: Sequence[Block]) -> NDArray[np.bool_]:
    """Return which groups (g,) are held back in any block; empty without groups."""
    hidden = [block.groups.hidden for block in blocks if block.groups is not None]
    return np.any(hidden, axis=0) if hidden else np.zeros(0, bool)


def _by_model(
    blocks: Sequence[Block],
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.bool_]]]:
    """Return every model's risks (n,), NaN where it answers nobody, and decisions (n,)."""
    risk: dict[str, NDArray[np.float64]] = {}
    decision: dict[str, NDArray[np.bool_]] = {}
    for name in dict.fromkeys(name for block in blocks for name in block.scores):
        columns = [_column(block, name) for block in blocks]
        with np.errstate(invalid="ignore"):
            called = [c >= b.thresholds.get(name, np.inf) for c, b in zip(columns, blocks, strict=True)]
        risk[name], decision[name] = np.concatenate(columns), np.concatenate(called)
    return risk, decision


def _column(block: Block, name: str) -> NDArray[np.float64]:
    """Return one model's risks (n,) in a block: first of each outcome those that it answers, then NaN."""
    column, outcome = np.full(block.n, np.nan), block.main.outcome
    if (own := block.scores.get(name)) is None:
        return column
    for side in (False, True):
        rows, values = np.flatnonzero(outcome == side), own.score[own.outcome == side]
        if len(values) > len(rows):
            raise MessageError(
                "a model answers for more patients than there are", remedy="leave out the site that lies"
            )
        column[rows[: len(values)]] = values
    return column


def _labels(block: Block, counted: Sequence[Counted], held: NDArray[np.bool_]) -> list[NDArray[np.str_]]:
    """Return the groups (n,) of each column in a block."""
    found, start = [], 0
    for one in counted:
        shown = start + np.flatnonzero(~held[start : start + len(one.names)])
        names = np.array([*(one.names[place - start] for place in shown), NONE], np.str_)
        found.append(names[_places(block, shown)])
        start += len(one.names)
    return found


def _places(block: Block, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place in `groups` (k,) of each row (n,) of a block, k where it is in none.

    Rows of one outcome and bin are alike; they are given to the groups one after another.
    """
    if block.groups is None:
        return np.full(block.n, len(groups))
    sides = []
    for total, by_group in (
        (block.main.others, block.groups.others[groups]),
        (block.main.events, block.groups.events[groups]),
    ):
        rest = total - by_group.sum(axis=0)
        if rest.min() < 0:
            raise MessageError(
                "groups hold more patients than there are", remedy="leave out the site that lies"
            )
        counts = np.vstack([by_group, rest[np.newaxis]])
        sides.append(np.repeat(np.tile(np.arange(len(groups) + 1), BINS), counts.T.reshape(-1)))
    return np.concatenate(sides)
