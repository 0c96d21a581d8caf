"""Claims on wrong labels: the model's AUC with shares of the test labels wrong, in either direction."""

from __future__ import annotations

from functools import partial

import numpy as np

from huizhen.core.evidence import Evidence
from huizhen.validate.assessments.interface import Evaluation, Measured, sample_notes
from huizhen.validate.discrimination import auc
from huizhen.validate.label_noise import Wrong, label_noise

__all__ = ["wrong_labels"]


def wrong_labels(evaluation: Evaluation) -> list[Evidence]:
    """Return the sweep over the study's shares of wrong labels; nothing where it names none.

    Key label_noise/<both|events|others>/<cohort>; `detail` has by share what `Flipped` holds.
    """
    plan = evaluation.study.robustness
    if plan is None or not plan.label_flips:
        return []
    return [
        evaluation.evidence(
            f"label_noise/{wrong.value}/{evaluation.cohort}",
            "label_noise",
            partial(_sweep, evaluation, plan.label_flips, wrong),
        )
        for wrong in Wrong
    ]


def _sweep(evaluation: Evaluation, shares: tuple[float, ...], wrong: Wrong) -> Measured:
    evaluation.check_single("the sweep over wrong labels")
    everyone = evaluation.everyone()
    kept = evaluation.answered(everyone, evaluation.main)
    outcome, risk = evaluation.predictions.outcome[kept], evaluation.predictions.risk[evaluation.main][kept]
    found = [label_noise(outcome, risk, share=share, wrong=wrong) for share in shares]
    names = ("share", "events", "others", "reads", "reads_low", "reads_high", "corrected", "least", "most")
    return Measured(
        n=outcome.size,
        n_events=int(np.count_nonzero(outcome)),
        detail={
            "auc": auc(outcome, risk),
            **{name: [getattr(one, name) for one in found] for name in names},
            **sample_notes(everyone, kept, evaluation.predictions.outcome),
        },
    )
