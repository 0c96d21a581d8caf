"""Risk levels and prediction sets of a table made from distributions, by what was fixed with the lock.

Sites' tuning patients are known together only, so that all prediction sets have the cuts that all share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import logit

from huizhen.core.evidence import Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.pipeline.conformal_cuts import POOLED
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.federated_scores import Block
from huizhen.pipeline.risk_levels import level_over_folds
from huizhen.validate.assessments.conformal import conformal
from huizhen.validate.assessments.interface import Evaluation
from huizhen.validate.conformal import Cuts, PredictionSets, mean_cuts, prediction_sets

__all__ = ["sets_evidence", "with_levels"]


def with_levels(
    table: Predictions, study: Study, decisions: Decisions, blocks: Sequence[Block]
) -> Predictions:
    """Return the table with the main model's risk levels, where the lock holds cut points in every fold."""
    levels = {fold: own.levels for fold, own in decisions[study.main].items() if own.levels is not None}
    if not levels or len(levels) < len(decisions[study.main]):
        return table
    odds = logit(table.risk[study.main])
    found = np.zeros(len(odds), np.int64)
    for block, rows in _rows(blocks):
        own = [levels[fold] for fold in _folds(block, decisions, study)]
        tested = np.ones((len(own), block.n), bool)
        found[rows] = level_over_folds(odds[rows], own, tested)
    return replace(table, level={study.main: found})


def sets_evidence(
    table: Predictions,
    study: Study,
    decisions: Decisions,
    blocks: Sequence[Block],
    cuts: Mapping[int, Cuts],
) -> list[Evidence]:
    """Return how often sets by the locked `cuts` (by fold) hold the outcome; nothing without [conformal]."""
    if study.conformal is None:
        return []
    odds = logit(table.risk[study.main])
    event, other = np.zeros(len(odds), bool), np.zeros(len(odds), bool)
    for block, rows in _rows(blocks):
        mine = mean_cuts([cuts[fold] for fold in _folds(block, decisions, study)])
        found = prediction_sets(odds[rows], mine)
        event[rows], other[rows] = found.event, found.other
    evaluation = Evaluation(predictions=table, study=study, phantom=study.phantom)
    used = np.full(len(odds), POOLED)
    return conformal(evaluation, PredictionSets(event=event, other=other), study.conformal.level, used)


def _rows(blocks: Sequence[Block]) -> Iterator[tuple[Block, slice]]:
    """Yield each block with its rows in the table."""
    start = 0
    for block in blocks:
        yield block, slice(start, start + block.n)
        start += block.n


def _folds(block: Block, decisions: Decisions, study: Study) -> list[int]:
    """Return the folds whose models answered for a block."""
    return sorted(decisions[study.main]) if block.fold is None else [block.fold]
