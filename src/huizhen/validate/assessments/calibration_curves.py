"""Claims of the model's calibration curve: in bins and without, and how far it lies from the diagonal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from huizhen.core.evidence import Evidence
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.interface import Evaluation, Measured, sample_notes
from huizhen.validate.calibration_curve import BinsBy, calibration_curve
from huizhen.validate.calibration_error import calibration_error
from huizhen.validate.distances import Distance
from huizhen.validate.flexible_calibration import FlexibleCalibration, flexible_calibration

BINS, FEW_BINS, MANY = 10, 5, 100
"""Bins of the curve, those under `MANY` patients: a share of fewer than 20 patients says little."""
ERRORS: Mapping[str, BinsBy] = {"equal_size": "mass", "equal_width": "width"}
DISTANCES = ("ici", "e50", "e90")

Flexible = Callable[[], FlexibleCalibration]


def calibration_curves(evaluation: Evaluation) -> list[Evidence]:
    """Return the main model's curve and its distances from the diagonal.

    Keys calibration_curve/<model>/<cohort>; calibration_distance/<model>/<cohort>/<which> with ici, e50, e90;
    expected_calibration_error/<model>/<cohort>/<bins> with equal_size and equal_width.
    """
    model, cohort = evaluation.main, evaluation.cohort
    flexible = _flexible(evaluation)
    key = f"calibration_curve/{model}/{cohort}"
    found = [evaluation.evidence(key, "calibration_curve", partial(_curve, evaluation, flexible))]
    for name in DISTANCES:
        key = f"calibration_distance/{model}/{cohort}/{name}"
        measure = partial(_distance, evaluation, flexible, name)
        found.append(evaluation.evidence(key, "calibration_distance", measure))
    for name, by in ERRORS.items():
        key = f"expected_calibration_error/{model}/{cohort}/{name}"
        found.append(evaluation.evidence(key, "expected_calibration_error", partial(_error, evaluation, by)))
    return found


def _flexible(evaluation: Evaluation) -> Flexible:
    """Return what gives the curve without bins, fitted once."""

    @cache
    def fitted() -> FlexibleCalibration:
        kept = evaluation.answered(evaluation.everyone(), evaluation.main)
        return flexible_calibration(
            evaluation.predictions.outcome[kept],
            evaluation.predictions.risk[evaluation.main][kept],
            resamples=evaluation.study.evaluation.resamples,
            seed=evaluation.study.seed,
        )

    return fitted


def _measured(evaluation: Evaluation, what: str, detail: Mapping[str, Any], **more: Any) -> Measured:
    """Return a measure of the patients that the model answers. Raises if it can't be had of them."""
    evaluation.check_risks(evaluation.main)
    evaluation.check_single(what)
    everyone = evaluation.everyone()
    kept = evaluation.answered(everyone, evaluation.main)
    outcome = evaluation.predictions.outcome
    return Measured(
        n=int(np.count_nonzero(kept)),
        n_events=int(np.count_nonzero(outcome[kept])),
        detail={**detail, **sample_notes(everyone, kept, outcome)},
        **more,
    )


def _curve(evaluation: Evaluation, flexible: Flexible) -> Measured:
    """Return the curve in bins of equal size, and the one without bins, or why there is none."""
    evaluation.check_risks(evaluation.main)
    kept = evaluation.answered(evaluation.everyone(), evaluation.main)
    outcome, risk = evaluation.predictions.outcome[kept], evaluation.predictions.risk[evaluation.main][kept]
    bins = _bins(outcome.size)
    curve = calibration_curve(outcome, risk, bins=bins)
    detail = {
        "predicted": curve.predicted.tolist(),
        "observed": curve.observed.tolist(),
        "low": curve.low.tolist(),
        "high": curve.high.tolist(),
        "n": curve.n.tolist(),
        "n_events": curve.n_events.tolist(),
        "bins": bins,
    }
    return _measured(evaluation, "the calibration curve", detail | _smooth(flexible))


def _bins(n: int) -> int:
    return BINS if n >= MANY else FEW_BINS


def _smooth(flexible: Flexible) -> dict[str, Any]:
    try:
        found = flexible()
    except NotEstimableError as error:
        return {"smooth_reason": error.message}
    return {
        "smooth_predicted": found.risk.tolist(),
        "smooth_observed": found.observed.tolist(),
        "smooth_low": found.low.tolist(),
        "smooth_high": found.high.tolist(),
        "knots": list(found.knots),
    }


def _distance(evaluation: Evaluation, flexible: Flexible, name: str) -> Measured:
    """Return the mean, the median or the 90th percentile of the distance from the diagonal."""
    found: Distance = getattr(flexible(), name)
    return _of(evaluation, found, {"which": name})


def _error(evaluation: Evaluation, by: BinsBy) -> Measured:
    """Return the expected calibration error in bins of one kind."""
    evaluation.check_risks(evaluation.main)
    kept = evaluation.answered(evaluation.everyone(), evaluation.main)
    bins = _bins(int(np.count_nonzero(kept)))
    found = calibration_error(
        evaluation.predictions.outcome[kept],
        evaluation.predictions.risk[evaluation.main][kept],
        bins=bins,
        by=by,
        resamples=evaluation.study.evaluation.resamples,
        seed=evaluation.study.seed,
    )
    return _of(evaluation, found, {"bins": bins, "by": by})


def _of(evaluation: Evaluation, found: Distance, detail: Mapping[str, Any]) -> Measured:
    return _measured(
        evaluation,
        "a distance from perfect calibration",
        {**detail, "by_chance": found.by_chance},
        estimate=found.estimate.value,
        interval=found.estimate.interval,
    )
