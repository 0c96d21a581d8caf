"""Claims of utility: the model's decision curve over the study's range, against acting on all and on none."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.validate.assessments.interface import Evaluation, Measured, sample_notes
from huizhen.validate.decision_curves import Band, decision_curve

LEAST_POINTS = 40
"""A curve has at least so many steps between the ends of its range."""


def utility(evaluation: Evaluation) -> list[Evidence]:
    """Return the model's decision curve, key decision_curve/<model>/<cohort>.

    `detail` holds, by threshold, the net benefit of the model and of acting on everybody, what the model
    gains over the better of acting on all and on none, and the interventions it avoids against acting on all,
    each with pointwise limits. Everything holds at the prevalence of the tested patients.
    """
    key = f"decision_curve/{evaluation.main}/{evaluation.cohort}"
    return [evaluation.evidence(key, "decision_curve", partial(_curve, evaluation))]


def thresholds_between(low: float, high: float) -> NDArray[np.float64]:
    """Return rising thresholds from `low` to `high`, in between the multiples of 1, 2 or 5 times a power of
    ten.

    >>> thresholds_between(0.05, 0.5)[:3].tolist(), thresholds_between(0.05, 0.5).size
    ([0.05, 0.06, 0.07], 46)
    """
    rough = (high - low) / LEAST_POINTS
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(m * power for m in (1, 2, 5) if m * power <= rough * (1 + 1e-9))
    inside = np.round(np.arange(math.floor(low / step) + 1, math.ceil(high / step)) * step, 10)
    return np.unique([low, *inside[(inside > low) & (inside < high)], high])


def _curve(evaluation: Evaluation) -> Measured:
    evaluation.check_risks(evaluation.main)
    everyone, plan = evaluation.everyone(), evaluation.study.evaluation
    kept = evaluation.answered(everyone, evaluation.main)
    outcome, risk = evaluation.predictions.outcome[kept], evaluation.predictions.risk[evaluation.main][kept]
    seed = evaluation.study.seed
    at = thresholds_between(*plan.net_benefit_range)
    found = decision_curve(
        outcome, risk, at, cluster=evaluation.clusters(kept), resamples=plan.resamples, seed=seed
    )
    detail: dict[str, Any] = {"threshold": found.threshold.tolist()}
    bands = {"treat_all": found.treat_all, "gain": found.gain, "avoided": found.avoided}
    for name, band in {"net_benefit": found.net_benefit, **bands}.items():
        detail |= _limits(name, band)
    detail |= {"prevalence": found.prevalence, "resamples": plan.resamples, "seed": seed}
    return Measured(
        n=outcome.size,
        n_events=int(np.count_nonzero(outcome)),
        detail=detail | sample_notes(everyone, kept, evaluation.predictions.outcome),
    )


def _limits(name: str, band: Band) -> dict[str, list[float]]:
    """Return a band's values and limits for `detail`."""
    return {name: band.value.tolist(), f"{name}_low": band.low.tolist(), f"{name}_high": band.high.tolist()}
