"""Phantoms against their latent truth: the AUC of the exact log-odds on the very same patients, and the share
of it that was reached, for all patients and for every subset of the modalities.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case
from huizhen.core.digests import Digest, digest_file
from huizhen.core.evidence import Evidence, Interval
from huizhen.core.files import write_text
from huizhen.core.predictions import Predictions
from huizhen.core.streams import stream
from huizhen.core.study import Role
from huizhen.data.phantom import best_score
from huizhen.data.readers.paths import find_path
from huizhen.errors import NotEstimableError
from huizhen.pipeline.opened import COHORT_WORDS, Opened
from huizhen.pipeline.stage import ARTEFACTS, Run
from huizhen.validate.discrimination import auc, auc_interval

RESAMPLES = 2000
ORACLE, POPULATION = "oracle.csv", "best_auc.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """The exact log-odds (n,) of the patients of `rows`, seeing what `model` was shown."""

    model: str
    key: str
    rows: NDArray[np.int64]
    score: NDArray[np.float64]
    modalities: tuple[str, ...]


def against_truth(run: Run, opened: Opened, folder: Path) -> list[Evidence]:
    """Return what the exact log-odds reach on the same patients, and CMAN's share; keep them in a file."""
    path = find_path(str(run.study.phantom_truth), run.roots, field="phantom_truth")
    with path.open(encoding="utf-8", newline="") as file:
        truth = {row["patient"]: row for row in csv.DictReader(file)}
    cases = {case.pseudonym: case for case in opened.cohort.cases}
    found: list[Evidence] = []
    lines: list[dict[str, str]] = []
    for part, table in opened.predictions.items():
        rows = [cases[p] for p in table.patient.tolist()]
        for oracle in _oracles(run, table, rows, truth):
            known = _population(run, path, {case.site for case in rows}, oracle)
            found += _share(run, table, oracle, COHORT_WORDS[part], digest_file(path), known)
            lines += [
                {
                    "patient": str(table.patient[row]),
                    "phantom": "1",
                    "cohort": COHORT_WORDS[part],
                    "shown": "+".join(oracle.modalities) if "|" in oracle.model else "all",
                    "outcome": str(int(table.outcome[row])),
                    "log_odds": repr(float(score)),
                }
                for row, score in zip(oracle.rows, oracle.score, strict=True)
            ]
    _write(folder / ARTEFACTS / ORACLE, lines)
    return found


def _oracles(
    run: Run, table: Predictions, rows: Sequence[Case], truth: Mapping[str, Mapping[str, str]]
) -> Iterator[Oracle]:
    """Yield the exact log-odds beside CMAN on all patients, and on those whom it answers with each subset."""
    models = ["cman", *sorted(name for name in table.risk if name.startswith("cman|"))]
    for model in models:
        subset = model.partition("|")[2]
        answered = np.flatnonzero(~np.isnan(table.risk[model]))
        names = tuple(subset.split("+")) if subset else tuple(m.name for m in run.study.modality)
        chosen = [rows[row] for row in answered.tolist()]
        score = [best_score(truth[c.patient_id], c.modalities & frozenset(names)) for c in chosen]
        yield Oracle(
            model=model,
            key=f"{subset}/" if subset else "",
            rows=answered,
            score=np.array(score, np.float64),
            modalities=names,
        )


def _population(run: Run, path: Path, sites: set[str], oracle: Oracle) -> dict[str, float]:
    """Return the same AUC in the population that the cohort was drawn from, where the truth holds it.

    It holds it of patients who have any of some modalities: so for everybody, and for single modalities.
    """
    file = path.with_name(POPULATION)
    if not file.exists() or ("|" in oracle.model and len(oracle.modalities) > 1):
        return {}
    groups: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["groups"]
    hospitals = {name for name in groups if ":" not in name and name != "all"}
    external = {site.name for site in run.study.site if site.role is Role.EXTERNAL}
    group = next(iter(sites)) if len(sites) == 1 else ""
    if len(sites) > 1 and sites in (hospitals - external, hospitals & external):
        group = "role:external" if sites <= external else "role:development"
    names = {frozenset(name.split("+")): name for name in groups.get(group, {})}
    found = groups.get(group, {}).get(names.get(frozenset(oracle.modalities), ""))
    return {"population": found["auc"], "population_error": found["standard_error"]} if found else {}


def _share(
    run: Run,
    table: Predictions,
    oracle: Oracle,
    cohort: str,
    digest: Digest,
    known: Mapping[str, float],
) -> list[Evidence]:
    """Return the AUC of the exact log-odds on these patients, and the share (AUC - .5) / (that - .5)."""
    outcome, risk = table.outcome[oracle.rows], table.risk[oracle.model][oracle.rows]
    n, events = len(outcome), int(outcome.sum())
    shared: dict[str, Any] = {"stage": "validate", "phantom": True, "inputs": (digest,)}
    keys = {name: f"{name}/{oracle.key}{cohort}" for name in ("best_reachable_auc", "share_of_best")}
    try:
        top = auc_interval(outcome, oracle.score, method="logit")
        if top.value <= 0.5:
            raise NotEstimableError(
                "the exact log-odds rank these patients no better than chance", remedy="gather cases"
            )
    except NotEstimableError as error:
        return [
            Evidence.not_assessed(key=key, metric=name, reason=error.message, **shared)
            for name, key in keys.items()
        ]
    shared |= {"n": n, "n_events": events}
    return [
        Evidence(
            key=keys["best_reachable_auc"],
            metric="best_reachable_auc",
            estimate=top.value,
            interval=top.interval,
            detail=known,
            **shared,
        ),
        Evidence(
            key=keys["share_of_best"],
            metric="share_of_best",
            estimate=(auc(outcome, risk) - 0.5) / (top.value - 0.5),
            interval=_share_interval(run.study.seed, outcome, risk, oracle.score, f"{oracle.key}{cohort}"),
            seed=run.study.seed,
            **shared,
        ),
    ]


def _write(path: Path, lines: Sequence[Mapping[str, str]]) -> None:
    """Write the exact log-odds of every patient and subset: pseudonyms only."""
    text = io.StringIO()
    names = ("patient", "phantom", "cohort", "shown", "outcome", "log_odds")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, text.getvalue())


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
