"""Heatmaps of a federated study: each site makes its own and keeps them; sums say how well they point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence
from huizhen.core.study import Variant
from huizhen.errors import NotEstimableError, PolicyError
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.localisation import Localisation, Localised, Share
from huizhen.federate.statistics.runner import conduct
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.federated_plan import calibrated, folds_of, smallest_count_of
from huizhen.pipeline.opened import COHORT_WORDS
from huizhen.pipeline.predict_stage import log_odds
from huizhen.pipeline.stage import Made, Run, Stage

EXPLAIN = "explain"
GAMES = ("pointing_game", "energy_in_lesion")


def explain_federated(
    run: Run,
    lead: Lead,
    decisions: Decisions,
    development: tuple[str, ...],
    external: tuple[str, ...],
    locked: Stage,
) -> Stage | None:
    """Have the sites make heatmaps of their tested patients, and sum up how well these point at lesions.

    None without image modalities, or when the model has no threshold in every fold.
    """
    own = decisions.get(Variant.CMAN.value, {})
    if not run.study.image_modalities or len(own) < folds_of(run.study):
        return None
    how = np.array(
        [
            [own[fold].platt.slope, own[fold].platt.intercept, log_odds(own[fold].threshold)]
            for fold in sorted(own)
        ]
    )
    cohorts = {Part.TEST: development, Part.EXTERNAL: external}

    def body(_folder: Path) -> Made:
        evidence = [
            item
            for part, sites in cohorts.items()
            if sites
            for modality in run.study.image_modalities
            for item in _both(run, lead, part, modality.name, sites, how)
        ]
        return Made(evidence=evidence)

    inputs = [locked.digest, [list(sites) for sites in cohorts.values()]]
    return run.stage("explain", inputs, body, made_from={"lock": locked.digest})


def _both(
    run: Run, lead: Lead, part: Part, modality: str, sites: tuple[str, ...], how: NDArray[np.float64]
) -> list[Evidence]:
    """Return the evidence of both games over one modality of one cohort."""
    exchange = lead.exchange(f"{EXPLAIN}/{part.value}/{modality}", secure=True, sites=sites)
    smallest = smallest_count_of(run.study)
    keys = [f"{game}/{modality}/{COHORT_WORDS[part]}" for game in GAMES]
    try:
        found = conduct(Localisation(), calibrated(exchange, how), smallest_count=smallest).result
    except NotEstimableError:
        return [_not_assessed(run, key, "no image with a lesion mask") for key in keys]
    except PolicyError as error:
        return [_not_assessed(run, key, error.message) for key in keys]
    shares = (found.pointing, found.energy)
    return [_measured(run, key, share, found) for key, share in zip(keys, shares, strict=True)]


def _measured(run: Run, key: str, share: Share, found: Localised) -> Evidence:
    if share.interval is None:
        return _not_assessed(run, key, "fewer than 2 patients with a lesion mask")
    return Evidence(
        key=key,
        metric=key.partition("/")[0],
        stage=EXPLAIN,
        estimate=share.mean,
        interval=share.interval,
        n=found.n,
        phantom=run.study.phantom,
        detail={"chance": found.chance, "images": found.images, "from": "sums over sites"},
    )


def _not_assessed(run: Run, key: str, reason: str) -> Evidence:
    metric, phantom = key.partition("/")[0], run.study.phantom
    return Evidence.not_assessed(key=key, metric=metric, stage=EXPLAIN, reason=reason, phantom=phantom)
