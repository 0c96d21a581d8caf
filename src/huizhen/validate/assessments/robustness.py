"""Claims of robustness: the model's AUC on the same patients, disturbed step by step, and where it breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Bound, Evidence, Verdict, judge
from huizhen.core.study_robustness import Disturbance
from huizhen.data.corruptions.interface import SCALES
from huizhen.validate.assessments.discrimination import auc_of, difference_of
from huizhen.validate.assessments.interface import Evaluation, Measured

__all__ = ["Tried", "disturbed", "tried_of", "undisturbed"]

STAGE = "robustness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one kind did to the same n patients: by step, the `values` of its `parameter` and `risks` (n,)."""

    kind: str
    parameter: str
    values: Mapping[int, float]
    risks: Mapping[int, NDArray[np.float64]]
    notes: Mapping[str, Any]
    """What else a reader should know, as plain values."""


def tried_of(kind: Disturbance, risks: Mapping[int, NDArray[np.float64]], notes: Mapping[str, Any]) -> Tried:
    """Return what a kind did, with the parameter of each of its fixed steps."""
    scale = SCALES[kind]
    values = {step: scale.at(step) for step in risks}
    return Tried(kind=kind.value, parameter=scale.parameter, values=values, risks=risks, notes=notes)


def undisturbed(
    evaluation: Evaluation, domain: str, *, sampled_from: int, locked: NDArray[np.float64]
) -> Evidence:
    """Return the AUC on the sampled patients as they are, key robustness/undisturbed/<domain>/auc.

    `locked` (n,): the risks that were entered before the test was opened; `detail` says how far the risks of
    `evaluation` are from these at most, as images took the way that disturbed ones take.
    """

    def measure() -> Measured:
        found = auc_of(evaluation, evaluation.main, evaluation.everyone())
        apart = np.abs(evaluation.predictions.risk[evaluation.main] - locked)
        detail = {**found.detail, "sampled_from": sampled_from, "apart": float(np.nanmax(apart))}
        return replace(found, detail=detail)

    made = evaluation.evidence(f"robustness/undisturbed/{domain}/auc", "robustness_auc", measure)
    return replace(made, stage=STAGE)


def disturbed(evaluation: Evaluation, tried: Tried) -> list[Evidence]:
    """Return what each step of a kind costs, and the first step at which the study's bound breaks.

    `evaluation` holds the sampled patients with their undisturbed risks. Keys: robustness/<kind>/<step>/auc,
    robustness/<kind>/<step>/auc_difference (disturbed less undisturbed, paired), robustness/<kind>/break.
    """
    auc, gap = dict[int, Evidence](), dict[int, Evidence]()
    for step, risk in tried.risks.items():
        name, key = f"{tried.kind}:{step}", f"robustness/{tried.kind}/{step}"
        table = evaluation.predictions
        here = replace(evaluation, predictions=replace(table, risk={**table.risk, name: risk}))
        notes = {"step": step, "parameter": tried.parameter, "value": tried.values[step]}
        measures = (
            ("auc", partial(auc_of, here, name, here.everyone()), auc),
            ("auc_difference", partial(difference_of, here, name, here.main, here.everyone()), gap),
        )
        for metric, measure, kept in measures:
            found = here.evidence(f"{key}/{metric}", f"robustness_{metric}", measure)
            kept[step] = replace(found, stage=STAGE, detail={**found.detail, **notes})
    return [*auc.values(), *gap.values(), _broken(evaluation, tried, auc, gap)]


def _broken(
    evaluation: Evaluation, tried: Tried, auc: Mapping[int, Evidence], gap: Mapping[int, Evidence]
) -> Evidence:
    """Return at which step the study's bound on the AUC breaks first; `estimate` is absent if at none.

    The sample is smaller than the test set: where its undisturbed patients don't reach the bound either, the
    lower limit can't tell, and only the step at which the estimate falls below is given.
    """
    bound = _bound(evaluation)
    detail: dict[str, Any] = {"steps": list(auc), **tried.notes}
    lost = [k for k, e in gap.items() if e.interval is not None and e.interval.high < 0]
    detail |= {"first_loss": lost[0]} if lost else {}
    first: int | None = None
    if bound is not None:
        start = evaluation.evidence(
            "-", "-", partial(auc_of, evaluation, evaluation.main, evaluation.everyone())
        )
        reached = _keeps(start, bound)
        below = [k for k, e in auc.items() if e.estimate is not None and e.estimate < bound.at_least]
        detail |= {"at_least": bound.at_least, "on": bound.on, "reached_undisturbed": reached}
        detail |= {"first_below": below[0]} if below else {}
        broken = [k for k, e in auc.items() if e.estimate is not None and not _keeps(e, bound)]
        first = broken[0] if broken and reached else None
        detail |= {"first_broken": first} if first is not None else {}
    table = evaluation.predictions
    return Evidence(
        key=f"robustness/{tried.kind}/break",
        metric="robustness_break",
        stage=STAGE,
        estimate=first,
        n=len(table.patient),
        n_events=int(np.count_nonzero(table.outcome)),
        descriptive=True,
        phantom=evaluation.phantom,
        detail=detail,
    )


def _bound(evaluation: Evaluation) -> Bound | None:
    """Return the bound of the study's first endpoint on the model's AUC in this cohort."""
    for endpoint in evaluation.study.endpoint:
        if (endpoint.metric, endpoint.cohort, endpoint.model.value) == (
            "auc",
            evaluation.cohort,
            evaluation.main,
        ):
            return Bound(at_least=endpoint.at_least, on=endpoint.on)
    return None


def _keeps(found: Evidence, bound: Bound) -> bool:
    """Tell whether an AUC reaches the bound; one that can't be measured doesn't."""
    if found.estimate is None or found.interval is None:
        return False
    return judge(found.estimate, found.interval, bound) is Verdict.PASS
