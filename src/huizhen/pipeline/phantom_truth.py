"""Phantoms against their latent truth: the best AUC on the very same patients, and the share reached."""

from __future__ import annotations

import csv
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.digests import Digest, digest_file
from huizhen.core.evidence import Evidence, Interval
from huizhen.core.predictions import Predictions
from huizhen.core.streams import stream
from huizhen.data.phantom import best_score
from huizhen.data.readers.paths import find_path
from huizhen.pipeline.predict_stage import Opened
from huizhen.pipeline.stage import Run
from huizhen.validate.discrimination import auc, auc_interval

RESAMPLES = 2000
COHORT_WORDS: Mapping[Part, str] = {Part.TEST: "internal", Part.EXTERNAL: "external"}


def against_truth(run: Run, opened: Opened) -> list[Evidence]:
    """Return what the best score possible reaches on the same patients, and CMAN's share of it."""
    path = find_path(str(run.study.phantom_truth), run.roots, field="phantom_truth")
    with path.open(encoding="utf-8", newline="") as file:
        truth = {row["patient"]: row for row in csv.DictReader(file)}
    cases = {case.pseudonym: case for case in opened.cohort.cases}
    found: list[Evidence] = []
    for part, table in opened.predictions.items():
        rows = [cases[p] for p in table.patient.tolist()]
        best = np.array([best_score(truth[case.patient_id], case.modalities) for case in rows])
        found += _share(run, table, best, COHORT_WORDS[part], digest_file(path))
    return found


def _share(
    run: Run, table: Predictions, best: NDArray[np.float64], cohort: str, digest: Digest
) -> list[Evidence]:
    """Return the best AUC on these patients and the share (AUC - .5) / (best - .5) that CMAN reached."""
    outcome, risk = table.outcome, table.risk["cman"]
    top = auc_interval(outcome, best, method="logit")
    share = (auc(outcome, risk) - 0.5) / (top.value - 0.5)
    n, events = len(outcome), int(outcome.sum())
    return [
        Evidence(
            key=f"best_reachable_auc/{cohort}",
            metric="best_reachable_auc",
            stage="validate",
            estimate=top.value,
            interval=top.interval,
            phantom=True,
            inputs=(digest,),
            n=n,
            n_events=events,
        ),
        Evidence(
            key=f"share_of_best/{cohort}",
            metric="share_of_best",
            stage="validate",
            estimate=share,
            interval=_share_interval(run.study.seed, outcome, risk, best, cohort),
            phantom=True,
            inputs=(digest,),
            seed=run.study.seed,
            n=n,
            n_events=events,
        ),
    ]


def _share_interval(
    seed: int,
    outcome: NDArray[np.bool_],
    risk: NDArray[np.float64],
    best: NDArray[np.float64],
    cohort: str,
) -> Interval:
    """Return the share's percentile bootstrap interval over patients, stratified by outcome."""
    rng = stream(seed, "share_of_best", cohort)
    positive, negative = np.flatnonzero(outcome), np.flatnonzero(~outcome)
    shares: list[float] = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rng.choice(positive, len(positive)), rng.choice(negative, len(negative))])
        top = auc(outcome[rows], best[rows]) - 0.5
        if top > 0:
            shares.append((auc(outcome[rows], risk[rows]) - 0.5) / top)
    low, high = np.quantile(shares, [0.025, 0.975])
    return Interval(low=float(low), high=float(high), method=f"patient bootstrap, {RESAMPLES} resamples")
