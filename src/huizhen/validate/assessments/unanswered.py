"""What the model's result would be at worst, had it answered every patient: each without an answer, wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from huizhen.core.evidence import Evidence
from huizhen.validate.assessments.decisions import share_of
from huizhen.validate.assessments.discrimination import auc_of
from huizhen.validate.assessments.interface import Evaluation, Mask, Measured

FAMILY = "unanswered"


def unanswered(evaluation: Evaluation) -> list[Evidence]:
    """Return the model's AUC, sensitivity and specificity with every unanswered patient judged wrongly.

    The key is unanswered/<metric>/<cohort>. Nothing where the model answers everybody, and none from sums
    over sites, whose rows are nobody's. An event counts as ranked below all and called negative, another
    patient as ranked above all and called positive: no way of answering them does worse. `detail` says how
    many of either there are.
    """
    if evaluation.sums is not None:
        return []
    predictions = evaluation.predictions
    missing = np.isnan(predictions.risk[evaluation.main])
    if not missing.any():
        return []
    worst = _all_wrong(evaluation, missing)
    shares = ("sensitivity", "specificity") if evaluation.main in predictions.decision else ()
    measures: dict[str, Callable[[], Measured]] = {
        "auc": partial(auc_of, worst, worst.main, worst.everyone())
    }
    measures |= {one: partial(share_of, worst, one, worst.main, worst.everyone()) for one in shares}
    events = int(np.count_nonzero(missing & predictions.outcome))
    counts = {"events": events, "others": int(np.count_nonzero(missing)) - events}
    return [
        evaluation.evidence(f"{FAMILY}/{metric}/{evaluation.cohort}", FAMILY, partial(_with, measure, counts))
        for metric, measure in measures.items()
    ]


def _all_wrong(evaluation: Evaluation, missing: Mask) -> Evaluation:
    """Return the evaluation with the patients of `missing` (n,) answered as wrongly as can be."""
    given, main = evaluation.predictions, evaluation.main
    risk = np.where(missing, np.where(given.outcome, 0.0, 1.0), 0.25 + 0.5 * given.risk[main])
    called = {main: np.where(missing, ~given.outcome, given.decision[main])} if main in given.decision else {}
    return replace(evaluation, predictions=replace(given, risk={main: risk}, decision=called))


def _with(measure: Callable[[], Measured], counts: dict[str, int]) -> Measured:
    found = measure()
    return replace(found, detail={**found.detail, **counts})
