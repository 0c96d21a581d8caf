"""Claims of prediction sets: how often they hold the outcome, by class and site, and how much they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.interface import FEW, Evaluation, Mask, Measured
from huizhen.validate.assessments.targets import judgement_of
from huizhen.validate.conformal import PredictionSets
from huizhen.validate.proportions import proportion

__all__ = ["conformal"]

STAGE = "conformal"
CLASSES = ("event", "other", "any")


def conformal(
    evaluation: Evaluation, sets: PredictionSets, level: float, cuts: NDArray[np.str_]
) -> list[Evidence]:
    """Return the coverage of `sets` (n,) by class and site, and the share of sets that name one class.

    `cuts` (n,): whose calibration patients each patient's cuts come from ("pooled" or the site). Keys:
    conformal/coverage/<cohort>/<group>/<class> with event, other and any, and
    conformal/one_class/<cohort>/<group>.
    """
    found: list[Evidence] = []
    for name, group in evaluation.groups():
        for which, mask in _classes(evaluation, group):
            key = f"conformal/coverage/{evaluation.cohort}/{name}/{which}"
            measure = partial(_coverage, evaluation, sets, level, cuts, mask)
            found.append(evaluation.evidence(key, "coverage", measure))
        key = f"conformal/one_class/{evaluation.cohort}/{name}"
        found.append(evaluation.evidence(key, "single_sets", partial(_single, evaluation, sets, group)))
    return [replace(item, stage=STAGE) for item in found]


def _classes(evaluation: Evaluation, group: Mask) -> Iterator[tuple[str, Mask]]:
    outcome = evaluation.predictions.outcome
    yield from zip(CLASSES, (group & outcome, group & ~outcome, group), strict=True)


def _coverage(
    evaluation: Evaluation, sets: PredictionSets, level: float, cuts: NDArray[np.str_], mask: Mask
) -> Measured:
    """Return the share of the patients of `mask` (n,) whose set holds their outcome."""
    outcome = evaluation.predictions.outcome
    kept = evaluation.answered(mask, evaluation.main)
    right = np.where(outcome, sets.event, sets.other)[kept]
    share = proportion(int(right.sum()), right.size)
    detail: dict[str, Any] = {"count": share.count, "of": share.n, "level": level}
    detail |= {
        "judgement": judgement_of(share.interval, level),
        "cuts": ", ".join(sorted(set(cuts[kept].tolist()))),
    }
    detail |= {"small": True} if share.n < FEW else {}
    events = int(np.count_nonzero(outcome[kept]))
    return Measured(estimate=share.value, interval=share.interval, n=share.n, n_events=events, detail=detail)


def _single(evaluation: Evaluation, sets: PredictionSets, group: Mask) -> Measured:
    """Return the share of sets that hold exactly one class; `detail` counts all forms, and wrong ones."""
    if not group.any():
        raise NotEstimableError("there is no such patient", remedy="gather cases")
    kept = evaluation.answered(group, evaluation.main)
    event, other, outcome = sets.event[kept], sets.other[kept], evaluation.predictions.outcome[kept]
    single = event ^ other
    share = proportion(int(single.sum()), single.size)
    detail = {
        "count": share.count,
        "of": share.n,
        "double": int((event & other).sum()),
        "empty": int((~event & ~other).sum()),
        "single_wrong": int((single & (event != outcome)).sum()),
    }
    return Measured(
        estimate=share.value,
        interval=share.interval,
        n=share.n,
        n_events=int(np.count_nonzero(outcome)),
        detail=detail,
    )
