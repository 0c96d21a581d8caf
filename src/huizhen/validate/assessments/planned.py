"""Claims that the study's [evaluation] asks for: at a prevalence, a specificity, a part of the curve, costs.

Nothing is returned for what the study doesn't ask.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.interface import EVERYONE, Evaluation, Measured, sample_notes
from huizhen.validate.error_costs import Costs, expected_cost
from huizhen.validate.estimates import Estimate
from huizhen.validate.operating_points import sensitivity_at_specificity
from huizhen.validate.partial_auc import partial_auc
from huizhen.validate.prevalence import predictive_values
from huizhen.validate.proportions import Confusion, confusion

Answer = tuple[Estimate, dict[str, Any]]
"""An estimate, and what to say beside it."""


def planned(evaluation: Evaluation) -> list[Evidence]:
    """Return what the study asks for of every full model, over all patients of the cohort.

    Families ppv_at_prevalence, npv_at_prevalence, sensitivity_at_specificity, partial_auc, expected_cost and
    expected_cost_at_prevalence; keys <family>/<model>/<cohort>/all.
    """
    return [
        evaluation.evidence(
            f"{metric}/{model}/{evaluation.cohort}/{EVERYONE}",
            metric,
            partial(_measured, evaluation, model, measure),
        )
        for metric, measure in _asked(evaluation).items()
        for model in evaluation.full_models
    ]


Measure = Callable[[Evaluation, str, NDArray[np.bool_]], Answer]
"""From an evaluation, a model and the patients (n,) whom it answers."""


def _asked(evaluation: Evaluation) -> dict[str, Measure]:
    plan = evaluation.study.evaluation
    asked: dict[str, Measure] = {}
    if plan.prevalence is not None:
        asked |= {f"{name}_at_prevalence": partial(_predictive, name) for name in ("ppv", "npv")}
    if plan.at_specificity is not None:
        asked["sensitivity_at_specificity"] = _operating_point
    if plan.partial_auc is not None:
        asked["partial_auc"] = _part
    if plan.costs is not None:
        asked["expected_cost"] = partial(_cost, None)
        if plan.prevalence is not None:
            asked["expected_cost_at_prevalence"] = partial(_cost, plan.prevalence)
    return asked


def _measured(evaluation: Evaluation, model: str, measure: Measure) -> Measured:
    evaluation.check_single("what the study asks for beside its endpoints")
    everyone = evaluation.everyone()
    kept = evaluation.answered(everyone, model)
    outcome = evaluation.predictions.outcome
    found, detail = measure(evaluation, model, kept)
    return Measured(
        estimate=found.value,
        interval=found.interval,
        n=int(np.count_nonzero(kept)),
        n_events=int(np.count_nonzero(outcome[kept])),
        detail={**detail, **sample_notes(everyone, kept, outcome)},
    )


def _table(evaluation: Evaluation, model: str, kept: NDArray[np.bool_]) -> Confusion:
    """Return how a model's decisions fell. Raises `NotEstimableError` where no threshold was fixed."""
    decision = evaluation.predictions.decision.get(model)
    if decision is None:
        raise NotEstimableError("no threshold was fixed", remedy="fix one, or choose it on tuning data")
    return confusion(evaluation.predictions.outcome[kept], decision[kept])


def _predictive(name: str, evaluation: Evaluation, model: str, kept: NDArray[np.bool_]) -> Answer:
    prevalence = evaluation.study.evaluation.prevalence or 0.0
    found = predictive_values(_table(evaluation, model, kept), prevalence=prevalence)
    return (found.ppv if name == "ppv" else found.npv), {"at_prevalence": prevalence}


def _operating_point(evaluation: Evaluation, model: str, kept: NDArray[np.bool_]) -> Answer:
    plan, predictions = evaluation.study.evaluation, evaluation.predictions
    specificity = plan.at_specificity or 0.0
    found = sensitivity_at_specificity(
        predictions.outcome[kept],
        predictions.risk[model][kept],
        specificity=specificity,
        resamples=plan.resamples,
        seed=evaluation.study.seed,
    )
    return Estimate(value=found.value, interval=found.interval), {"at_specificity": specificity}


def _part(evaluation: Evaluation, model: str, kept: NDArray[np.bool_]) -> Answer:
    """Return the standardised area over the part of the curve that the study names."""
    plan, predictions = evaluation.study.evaluation, evaluation.predictions
    asked = plan.partial_auc
    if asked is None:
        raise NotEstimableError("no part of the curve is named", remedy="name one in the study")
    by_specificity = asked.specificity is not None
    least = asked.specificity if asked.specificity is not None else asked.sensitivity
    found = partial_auc(
        predictions.outcome[kept],
        predictions.risk[model][kept],
        least=least or 0.0,
        of="specificity" if by_specificity else "sensitivity",
        resamples=plan.resamples,
        seed=evaluation.study.seed,
    )
    return found, {"of": "specificity" if by_specificity else "sensitivity", "least": least}


def _cost(prevalence: float | None, evaluation: Evaluation, model: str, kept: NDArray[np.bool_]) -> Answer:
    """Return the mean cost a patient, with what acting on everybody and on nobody would cost untested."""
    asked = evaluation.study.evaluation.costs
    if asked is None:
        raise NotEstimableError("no costs are named", remedy="name them in the study")
    costs = Costs(**asked.model_dump())
    table = _table(evaluation, model, kept)
    share = table.n_pos / (table.n_pos + table.n_neg) if prevalence is None else prevalence
    found = expected_cost(table, costs, prevalence=prevalence)
    return found, {
        "at_prevalence": share,
        "act_on_all": share * costs.true_positive + (1 - share) * costs.false_positive,
        "act_on_none": share * costs.false_negative + (1 - share) * costs.true_negative,
    }
