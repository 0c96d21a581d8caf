"""Claims for patients with only some modalities: cman restricted to each subset, beside a specialist."""

from __future__ import annotations

from functools import partial
from typing import Any

from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.discrimination import auc_of, difference_of
from huizhen.validate.assessments.interface import SPECIALIST, Evaluation, Measured


def subsets(evaluation: Evaluation) -> list[Evidence]:
    """Return cman's AUC on every subset of modalities that was predicted ("cman|MG+US")."""
    prefix = f"{evaluation.main}|"
    names = sorted(
        name.removeprefix(prefix) for name in evaluation.predictions.risk if name.startswith(prefix)
    )
    return [
        evaluation.evidence(
            f"subset_auc/{subset}/{evaluation.cohort}", "subset_auc", partial(_subset, evaluation, subset)
        )
        for subset in sorted(names, key=lambda name: (name.count("+"), name))
    ]


def _subset(evaluation: Evaluation, subset: str) -> Measured:
    """Return the AUC on one subset; `detail` names the modalities and holds the lead over a specialist."""
    found = auc_of(evaluation, f"{evaluation.main}|{subset}", evaluation.everyone())
    detail: dict[str, Any] = {**found.detail, "modalities": subset.split("+")}
    if f"{SPECIALIST}|{subset}" in evaluation.predictions.risk:
        detail |= _beside_specialist(evaluation, subset)
    return Measured(
        estimate=found.estimate, interval=found.interval, n=found.n, n_events=found.n_events, detail=detail
    )


def _beside_specialist(evaluation: Evaluation, subset: str) -> dict[str, Any]:
    """Return the specialist's AUC and the paired difference, cman less specialist, or why there is none."""
    model, specialist = f"{evaluation.main}|{subset}", f"{SPECIALIST}|{subset}"
    try:
        alone = auc_of(evaluation, specialist, evaluation.everyone())
        gap = difference_of(evaluation, model, specialist, evaluation.everyone())
    except NotEstimableError as error:
        return {"difference_reason": error.message}
    test = {"p": gap.detail["p"], "z": gap.detail["z"]}
    return {"specialist": _plain(alone), "difference": _plain(gap) | test}


def _plain(found: Measured) -> dict[str, Any]:
    """Return a measure as plain values for `detail`."""
    limits = {"low": found.interval.low, "high": found.interval.high} if found.interval else {}
    return {"estimate": found.estimate, "n": found.n, "n_events": found.n_events, **limits}
