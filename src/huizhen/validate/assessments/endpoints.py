"""The study's endpoints, fixed before data was read, and whether each is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from huizhen.core.evidence import Bound, Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import Endpoint, Study, Variant
from huizhen.core.study_predictions import key_name
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.decisions import share_of
from huizhen.validate.assessments.discrimination import auc_of, difference_of
from huizhen.validate.assessments.interface import STAGE, Evaluation, Measured


def endpoints(evaluation: Evaluation) -> list[Evidence]:
    """Return pass, fail or not assessed for each endpoint of this cohort, numbered as in the study from 1."""
    return [
        evaluation.evidence(
            _key(number, endpoint),
            endpoint.metric,
            partial(_measured, evaluation, endpoint),
            bound=_bound(endpoint),
        )
        for number, endpoint in enumerate(evaluation.study.endpoint, start=1)
        if endpoint.cohort == evaluation.cohort
    ]


def endpoints_not_assessed(study: Study, *, cohort: str, reason: str, phantom: bool) -> list[Evidence]:
    """Return the endpoints of a `cohort` ("internal", "external") without predictions, with the `reason`."""
    return [
        Evidence.not_assessed(
            key=_key(number, endpoint),
            metric=endpoint.metric,
            stage=STAGE,
            reason=reason,
            phantom=phantom,
            bound=_bound(endpoint),
        )
        for number, endpoint in enumerate(study.endpoint, start=1)
        if endpoint.cohort == cohort
    ]


def _key(number: int, endpoint: Endpoint) -> str:
    """Return the endpoint's evidence key."""
    return f"endpoint/{number}/{endpoint.metric}/{endpoint.cohort}"


def _bound(endpoint: Endpoint) -> Bound:
    """Return the endpoint's acceptance bound."""
    return Bound(at_least=endpoint.at_least, on=endpoint.on)


def _measured(evaluation: Evaluation, endpoint: Endpoint) -> Measured:
    """Return what the endpoint is judged by.

    "single" stands for every single-modality model, and the bound must hold for each: that of them which is
    furthest from passing is returned (an intersection-union test, which needs no correction; Berger,
    Technometrics 24:295-300, 1982). Raises `NotEstimableError` if any of them can't be measured.
    """
    found = [
        _one(evaluation, endpoint, model, other)
        for model in _asked(evaluation, endpoint)
        for other in _others(evaluation, endpoint)
    ]
    return min(found, key=partial(_judged, endpoint))


def _asked(evaluation: Evaluation, endpoint: Endpoint) -> list[str]:
    """Return the models that an endpoint is of."""
    if evaluation.study.predictions is not None:
        return [evaluation.main]
    return _models(evaluation.predictions, endpoint.model)


def _others(evaluation: Evaluation, endpoint: Endpoint) -> Sequence[str | None]:
    """Return the models that an endpoint's are compared with; [None] where it is no difference."""
    if endpoint.comparator is not None:
        return [key_name(endpoint.comparator)]
    return _models(evaluation.predictions, endpoint.against) if endpoint.against else [None]


def _models(predictions: Predictions, variant: Variant) -> list[str]:
    """Return the names under which the predictions hold `variant`. Raises `NotEstimableError` on none."""
    if variant is Variant.SINGLE:
        names = sorted(name for name in predictions.risk if name.startswith(f"{variant.value}:"))
    else:
        names = [variant.value] if variant.value in predictions.risk else []
    if not names:
        raise NotEstimableError(
            f"there are no predictions of {variant.value}", remedy="add it to the variants"
        )
    return names


def _one(evaluation: Evaluation, endpoint: Endpoint, model: str, other: str | None) -> Measured:
    """Return the endpoint's metric of one model, against `other` if it is a difference."""
    everyone = evaluation.everyone()
    if other is not None:
        found = difference_of(evaluation, model, other, everyone)
    elif endpoint.metric == "auc":
        found = auc_of(evaluation, model, everyone)
    else:
        found = share_of(evaluation, endpoint.metric, model, everyone)
    names = {"model": model} if other is None else {"model": model, "against": other}
    return replace(found, detail={**found.detail, **names})


def _judged(endpoint: Endpoint, found: Measured) -> float:
    """Return the number that the bound looks at."""
    value = found.interval.low if endpoint.on == "lower" and found.interval else found.estimate
    if value is None:
        raise NotEstimableError("the measure has no estimate", remedy="choose another endpoint")
    return value
