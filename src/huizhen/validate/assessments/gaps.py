"""Claims of gaps between groups: in how decisions fall, and in the AUC over sites by random effects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from huizhen.core.digests import plain
from huizhen.core.evidence import Evidence, Verdict
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.groupings import SITE, Grouping
from huizhen.validate.assessments.interface import Evaluation, Mask, Measured
from huizhen.validate.estimates import Estimate
from huizhen.validate.fairness import Fairness, Gap, fairness
from huizhen.validate.heterogeneity import auc_over_sites
from huizhen.validate.multiplicity import holm

GAPS = {
    "sensitivity_gap": "sensitivity",
    "specificity_gap": "false_positive_rate",
    "ppv_gap": "ppv",
    "demographic_parity": "called",
}
"""Metric -> the share whose widest difference it is; of specificity it is that of the false positive rate."""
LEAST_SITES = 3
"""Random effects need so many sites."""

KeyOf = Callable[[str, str], str]
"""From a family and a column to a key."""


def gaps(evaluation: Evaluation, grouping: Grouping, kept: Mask, key_of: KeyOf) -> list[Evidence]:
    """Return the widest differences between the groups of the patients `kept` (n,).

    Families equalised_odds, sensitivity_gap, specificity_gap, ppv_gap, demographic_parity and, of sites and
    scanners, heterogeneity. `detail` holds the test that all groups are alike; see `with_holm`.
    """
    found: list[Evidence] = []
    try:
        fair = _fairness(evaluation, grouping, kept)
    except NotEstimableError as error:
        found.append(
            evaluation.not_assessed(
                key_of("equalised_odds", grouping.column), "equalised_odds", error.message
            )
        )
    else:
        measure = partial(_measured, evaluation, grouping, kept)
        key = key_of("equalised_odds", grouping.column)
        odds = partial(measure, fair.equalised_odds, {"by_chance": fair.odds_by_chance})
        found.append(evaluation.evidence(key, "equalised_odds", odds))
        for metric, share in GAPS.items():
            key = key_of(metric, grouping.column)
            found.append(evaluation.evidence(key, metric, partial(_gap, measure, fair, share)))
    if grouping.column == SITE or grouping.column.startswith("scanner:"):
        key = key_of("heterogeneity", grouping.column)
        spread = partial(_heterogeneity, evaluation, grouping, kept)
        found.append(evaluation.evidence(key, "heterogeneity", spread))
    return found


def _fairness(evaluation: Evaluation, grouping: Grouping, kept: Mask) -> Fairness:
    plan, predictions = evaluation.study.evaluation, evaluation.predictions
    decision = predictions.decision.get(evaluation.main)
    if decision is None:
        raise NotEstimableError("no threshold was fixed", remedy="fix one, or choose it on tuning data")
    return fairness(
        predictions.outcome[kept],
        decision[kept],
        grouping.labels[kept],
        cluster=evaluation.clusters(kept),
        least_events=plan.least_events,
        resamples=plan.resamples,
        seed=evaluation.study.seed,
    )


def _measured(
    evaluation: Evaluation, grouping: Grouping, kept: Mask, estimate: Estimate, detail: dict[str, Any]
) -> Measured:
    return Measured(
        estimate=estimate.value,
        interval=estimate.interval,
        n=int(np.count_nonzero(kept)),
        n_events=int(np.count_nonzero(evaluation.predictions.outcome[kept])),
        detail={"column": grouping.column, **detail},
    )


def _gap(measure: Callable[[Estimate, dict[str, Any]], Measured], fair: Fairness, share: str) -> Measured:
    """Return the widest difference of a share. Raises `NotEstimableError` where it has no value."""
    if share not in fair.gaps:
        raise NotEstimableError("nobody is called in a group", remedy="merge groups")
    gap: Gap = fair.gaps[share]
    lowest, highest = (gap.lowest, gap.highest)
    if share == "false_positive_rate":  # the group with most false alarms has the lowest specificity
        lowest, highest = highest, lowest
    return measure(
        gap.difference,
        {
            "lowest": lowest,
            "highest": highest,
            "by_chance": gap.by_chance,
            "p": None if math.isnan(gap.p) else gap.p,
        },
    )


def _heterogeneity(evaluation: Evaluation, grouping: Grouping, kept: Mask) -> Measured:
    """Return the mean AUC over sites or scanners by random effects, and what to expect at the next one."""
    evaluation.check_single("the AUC over sites")
    plan, predictions = evaluation.study.evaluation, evaluation.predictions
    found = auc_over_sites(
        predictions.outcome[kept],
        predictions.risk[evaluation.main][kept],
        grouping.labels[kept],
        least_events=plan.least_events,
    )
    spread = found.on_logit
    if spread.sites < LEAST_SITES or found.prediction is None:
        raise NotEstimableError(
            f"{spread.sites} are large enough, {LEAST_SITES} are needed for random effects",
            remedy="gather sites",
        )
    detail = {
        "groups": spread.sites,
        "left_out": len(found.left_out),
        "prediction": {
            "estimate": found.mean,
            "low": found.prediction.low,
            "high": found.prediction.high,
            "method": found.prediction.method,
        },
        "tau2": spread.tau2,
        "i2": spread.i2,
        "q": spread.q,
        "p": plain(spread.p),
    }
    return _measured(evaluation, grouping, kept, Estimate(value=found.mean, interval=found.interval), detail)


def with_holm(found: Iterable[Evidence]) -> list[Evidence]:
    """Return the evidence with Holm's adjusted p-values over all tests of groups among it."""
    lines = list(found)
    tested = [k for k, e in enumerate(lines) if isinstance(e.detail.get("p"), float)]
    if not tested:
        return lines
    adjusted = holm([lines[k].detail["p"] for k in tested])
    for k, p in zip(tested, adjusted.tolist(), strict=True):
        if lines[k].verdict is not Verdict.NOT_ASSESSED:
            lines[k] = replace(lines[k], detail={**lines[k].detail, "p_holm": p, "tests": len(tested)})
    return lines
