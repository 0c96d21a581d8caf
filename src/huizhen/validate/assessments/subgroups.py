"""Claims of subgroups: each group's measures, the worst group, and how differently groups are treated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.gaps import gaps, with_holm
from huizhen.validate.assessments.groupings import Grouping, groupings
from huizhen.validate.assessments.interface import Evaluation, HeldBack, Mask, Measured
from huizhen.validate.estimates import Estimate
from huizhen.validate.grouping import NONE
from huizhen.validate.proportions import Proportion
from huizhen.validate.subgroups import Group, hidden_groups
from huizhen.validate.subgroups import subgroups as measured_groups
from huizhen.validate.worst_group import worst_group

BESIDE = (
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "calibration_in_the_large",
    "calibration_slope",
    "observed_expected",
)
"""What stands beside a group's AUC."""
HELD_BACK = "the group is too small to be shown, is at too few sites, or would show one that is"
TOO_FEW = "fewer events or non-events than the study asks for"


def subgroups(evaluation: Evaluation) -> list[Evidence]:
    """Return what is claimed of each grouping of the patients whom the model answers.

    Keys, where pieces of names have "/" as "%2F": grouping/<model>/<cohort>/<column>;
    subgroup/<model>/<cohort>/<column>/<group> with the group's AUC, all else in `detail`;
    worst_group/<model>/<cohort>/<column>; and those of `gaps`. Sites that no subgroup names get no lines of
    their own here: their AUC, sensitivity and specificity are given anyway.
    """
    found: list[Evidence] = []
    for one in groupings(evaluation):
        if isinstance(one, tuple):
            column, reason = one
            found.append(evaluation.not_assessed(key_of(evaluation, "grouping", column), "grouping", reason))
        else:
            found += _of_grouping(evaluation, one)
    return with_holm(found)


def key_of(evaluation: Evaluation, family: str, column: str, *more: str) -> str:
    """Return the key of a claim about a column, or about a group of it."""
    return "/".join([family, evaluation.main, evaluation.cohort, *map(quoted, (column, *more))])


def quoted(name: str) -> str:
    """Return a name as a piece of a key.

    >>> quoted("50/50 %")
    '50%2F50 %25'
    """
    return name.replace("%", "%25").replace("/", "%2F")


def _of_grouping(evaluation: Evaluation, grouping: Grouping) -> list[Evidence]:
    kept = _kept(evaluation, grouping)
    found = [
        evaluation.evidence(
            key_of(evaluation, "grouping", grouping.column),
            "grouping",
            partial(_told, evaluation, grouping, kept),
        )
    ]
    held = _held_back(evaluation, grouping)
    found += [_unshown(evaluation, grouping, name, HELD_BACK) for name in held.groups]
    if not kept.any():
        return found
    if grouping.planned:
        groups = sorted(_groups(evaluation, grouping, kept), key=lambda g: grouping.order.index(g.name))
        found += [_group(evaluation, grouping, group) for group in groups]
    kept = kept & ~_hidden(evaluation, grouping, kept)
    key = key_of(evaluation, "worst_group", grouping.column)
    found.append(
        evaluation.evidence(key, "worst_group", partial(_worst, evaluation, grouping.labels, kept, grouping))
    )
    return found + gaps(evaluation, grouping, kept, partial(key_of, evaluation))


def _kept(evaluation: Evaluation, grouping: Grouping) -> Mask:
    """Return the patients (n,) who are in a group and whom the model answers."""
    risk = evaluation.predictions.risk[evaluation.main]
    return np.asarray((grouping.labels != NONE) & ~np.isnan(risk))


def _hidden(evaluation: Evaluation, grouping: Grouping, kept: Mask) -> Mask:
    """Return who (n,) stands in a group that is too small to be shown: it is compared with none."""
    _, place, sizes = np.unique(grouping.labels[kept], return_inverse=True, return_counts=True)
    hidden = np.zeros(kept.size, bool)
    hidden[kept] = hidden_groups(sizes, evaluation.study.evaluation.least_shown)[place]
    return hidden


def _told(evaluation: Evaluation, grouping: Grouping, kept: Mask) -> Measured:
    """Return how many patients are compared in how many groups, and how many are in none."""
    if not kept.any():
        raise NotEstimableError("no patient is in a group", remedy="check the column against edges or groups")
    plan, outcome = evaluation.study.evaluation, evaluation.predictions.outcome
    answered = ~np.isnan(evaluation.predictions.risk[evaluation.main])
    held = _held_back(evaluation, grouping)
    ungrouped = int(np.count_nonzero(answered & (grouping.labels == NONE))) - held.patients
    return Measured(
        n=int(np.count_nonzero(kept)),
        n_events=int(np.count_nonzero(outcome[kept])),
        detail={
            "column": grouping.column,
            "planned": grouping.planned,
            "groups": int(np.unique(grouping.labels[kept]).size) + len(held.groups),
            "ungrouped": ungrouped,
            "least_events": plan.least_events,
            "least_shown": plan.least_shown,
        },
    )


def _groups(evaluation: Evaluation, grouping: Grouping, kept: Mask) -> tuple[Group, ...]:
    plan, predictions, main = evaluation.study.evaluation, evaluation.predictions, evaluation.main
    decision = predictions.decision.get(main)
    try:
        evaluation.check_single("a group's measures")
    except NotEstimableError as error:
        names = np.unique(grouping.labels[kept]).tolist()
        return tuple(
            Group(name=name, n=None, events=None, measures={}, reasons={"all": error.message})
            for name in names
        )
    return measured_groups(
        predictions.outcome[kept],
        predictions.risk[main][kept],
        grouping.labels[kept],
        decision=None if decision is None else decision[kept],
        calibrated=main not in predictions.ranked,
        least_events=plan.least_events,
        least_shown=plan.least_shown,
    )


def _held_back(evaluation: Evaluation, grouping: Grouping) -> HeldBack:
    """Return the groups that a federation's sums leave out."""
    nobody = HeldBack(groups=(), patients=0)
    return nobody if evaluation.sums is None else evaluation.sums.held_back.get(grouping.column, nobody)


def _unshown(evaluation: Evaluation, grouping: Grouping, name: str, reason: str) -> Evidence:
    """Return why a group that was held back has no measure."""
    key = key_of(evaluation, "subgroup", grouping.column, name)
    named = {"column": grouping.column, "group": name}
    return replace(evaluation.not_assessed(key, "subgroup", reason), detail=named)


def _group(evaluation: Evaluation, grouping: Grouping, group: Group) -> Evidence:
    """Return one group's AUC with its other measures beside it, or why it has none."""
    key = key_of(evaluation, "subgroup", grouping.column, group.name)
    named: dict[str, Any] = {"column": grouping.column, "group": group.name}
    reason = group.reasons.get("all") or group.reasons.get("auc")
    if reason is not None:
        reason = TOO_FEW if group.n is not None and "all" in group.reasons else reason
        return replace(
            evaluation.not_assessed(key, "subgroup", reason), n=group.n, n_events=group.events, detail=named
        )
    auc = group.measures["auc"]
    beside = {name: _plain(group.measures[name]) for name in BESIDE if name in group.measures}
    reasons = {name: why for name, why in group.reasons.items() if name in BESIDE}
    detail = named | beside | ({"reasons": reasons} if reasons else {})
    found = Measured(
        estimate=auc.value, interval=auc.interval, n=group.n or 0, n_events=group.events or 0, detail=detail
    )
    return evaluation.evidence(key, "subgroup", lambda: found)


def _plain(found: Estimate | Proportion) -> dict[str, Any]:
    """Return an estimate as plain values for `detail`; of a share its count and of how many."""
    plain: dict[str, Any] = {
        "estimate": found.value,
        "low": found.interval.low,
        "high": found.interval.high,
        "method": found.interval.method,
    }
    return plain | ({"count": found.count, "of": found.n} if isinstance(found, Proportion) else {})


def _worst(evaluation: Evaluation, labels: NDArray[np.str_], kept: Mask, grouping: Grouping) -> Measured:
    """Return the lowest AUC of any group, with an interval that knows it was picked."""
    evaluation.check_single("the lowest of several AUCs")
    plan, predictions = evaluation.study.evaluation, evaluation.predictions
    found = worst_group(
        predictions.outcome[kept],
        predictions.risk[evaluation.main][kept],
        labels[kept],
        least_events=plan.least_events,
        resamples=plan.resamples,
        seed=evaluation.study.seed,
    )
    detail: Mapping[str, Any] = {
        "column": grouping.column,
        "group": found.name,
        "corrected": found.corrected,
        "chosen": found.chosen,
        "left_out": len(found.left_out),
        "seed": evaluation.study.seed,
    }
    return Measured(
        estimate=found.lowest.value,
        interval=found.lowest.interval,
        n=int(np.count_nonzero(kept)),
        n_events=int(np.count_nonzero(predictions.outcome[kept])),
        detail=detail,
    )
