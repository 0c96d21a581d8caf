"""The shortcut stage: is the site told from the network's features, and what is said without lesions?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from huizhen.core.cohort import Case, Part
from huizhen.core.evidence import Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import ImageModality, Variant
from huizhen.pipeline.asked import Asked, asked_networks, encoders_below
from huizhen.pipeline.asked_again import Scene, as_read, as_shown, mask_of, packs_of, risks
from huizhen.pipeline.fit_stage import FittedModel
from huizhen.pipeline.lock_stage import Locked
from huizhen.pipeline.material import Columns, Material
from huizhen.pipeline.opened import Opened
from huizhen.pipeline.robustness_stages import sampled_rows
from huizhen.pipeline.stage import Made, Run, Stage, study_part
from huizhen.validate.assessments.interface import Evaluation
from huizhen.validate.assessments.shortcuts import Features, lesions, site_told

__all__ = ["MARGIN", "blanked", "lesion_box", "shortcut_stage"]

CMAN: Final = Variant.CMAN.value
MARGIN: Final = 0.03
"""The lesion's box is wider than the lesion by this share of the longer side, on each side."""
BATCH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the stage looks at."""

    run: Run
    opened: Opened
    fits: Sequence[FittedModel]
    locked: Locked


def shortcut_stage(run: Run, opened: Opened, fits: Sequence[FittedModel], locked: Locked) -> Stage | None:
    """Look for shortcuts of the locked model; None unless the study asks for it."""
    plan = run.study.robustness
    if plan is None or not plan.shortcuts or CMAN not in locked.decisions:
        return None
    asked = [f for f in fits if f.model.variant is Variant.CMAN]
    looked = Looked(run=run, opened=opened, fits=asked, locked=locked)

    def body(folder: Path) -> Made:
        evidence = _sites(looked)
        for part in opened.predictions:
            evidence += _lesions(looked, part)
        return Made(evidence=evidence)

    made_from = {
        opened.stage.name: opened.stage.digest,
        "lock": locked.stage.digest,
        **study_part(run.study, "robustness", "seed"),
        **{f.stage.name: f.stage.digest for f in asked},
    }
    inputs = [opened.stage.digest, locked.stage.digest, plan.patients, run.study.seed]
    return run.stage("shortcuts", inputs, body, made_from=made_from)


# --- the site from features ----------------------------------------------------------------------------


def _sites(looked: Looked) -> list[Evidence]:
    """Return how well sites are told apart by the first network's features of patients it never saw."""
    run, cohort = looked.run, looked.opened.cohort
    first = min(looked.fits, key=lambda f: (f.fold, f.member))
    asked = next(asked_networks(run, cohort, [first]))
    parts = cohort.folds[first.fold].parts
    cases = tuple(c for c in cohort.cases if parts.get(c.pseudonym) in (Part.TEST, Part.EXTERNAL))
    if len({case.site for case in cases}) < 2:
        reason = "tested patients of one site alone"
        key, phantom = "shortcut/site", run.study.phantom
        return [
            Evidence.not_assessed(
                key=key, metric="site_auc", stage="shortcuts", reason=reason, phantom=phantom
            )
        ]
    evaluation = Evaluation(predictions=_table(cases), study=run.study, phantom=run.study.phantom)
    return site_told(evaluation, _features(run, asked, cases), seed=run.study.seed)


def _table(cases: Sequence[Case]) -> Predictions:
    """Return cases of both tested parts as one table; only outcome and site are read from it."""
    return Predictions(
        patient=np.array([c.pseudonym for c in cases]),
        site=np.array([c.site for c in cases]),
        part=Part.TEST,
        outcome=np.array([c.outcome == 1 for c in cases], bool),
        risk={CMAN: np.full(len(cases), np.nan)},
    )


@torch.no_grad()
def _features(run: Run, asked: Asked, cases: tuple[Case, ...]) -> Features:
    """Return the network's summary of each present modality, in its shared space."""
    material = Material(run=run, cases=cases, columns=Columns(run, cases, augmented=False))
    data = material.data(asked.encodings, asked.harmonies)
    blocks = []
    with run.progress.track("shortcuts", len(cases), about="features") as advance:
        for start in range(0, len(cases), BATCH):
            rows = np.arange(start, min(start + BATCH, len(cases)))
            found = asked.network(data.batch(rows, asked.modalities)).aligned
            blocks.append(found.double().numpy())
            advance(len(rows))
    every = np.concatenate(blocks)  # (n, M, width)
    there = data.present[:, data.places(asked.modalities)]
    return {name: (there[:, m], every[there[:, m], m]) for m, name in enumerate(asked.modalities)}


# --- without the lesion, and of it alone ----------------------------------------------------------------


def lesion_box(mask: NDArray[np.bool_], margin: float = MARGIN) -> tuple[slice, slice]:
    """Return rows and columns of the box around a lesion `mask` (h, w), wider by `margin` x longer side.

    A box, not the outline: an outline that is cut out is still there to be seen.

    >>> mask = np.zeros((100, 100), bool); mask[40:50, 60:65] = True
    >>> lesion_box(mask)
    (slice(37, 53, None), slice(57, 68, None))
    """
    more = round(margin * max(mask.shape))
    ends = []
    for axis, size in enumerate(mask.shape):
        inside = np.flatnonzero(mask.any(axis=1 - axis))
        ends.append(slice(max(0, int(inside[0]) - more), min(size, int(inside[-1]) + 1 + more)))
    return ends[0], ends[1]


def blanked(pixels: NDArray[np.float32], mask: NDArray[np.bool_], *, inside: bool) -> NDArray[np.float32]:
    """Return an image (C, h, w) whose lesion box (or, if not `inside`, all else) has the mean of the rest.

    >>> mask = np.zeros((4, 4), bool); mask[0, 0] = True
    >>> image = np.zeros((1, 4, 4), np.float32); image[0, 0, 0] = 1
    >>> float(blanked(image, mask, inside=True).max()), float(blanked(image, mask, inside=False)[0, 3, 3])
    (0.0, 0.0)
    """
    box = np.zeros(mask.shape, bool)
    box[lesion_box(mask)] = True
    shown = pixels.copy()
    around = pixels[:, ~box]
    fill = around.mean(axis=1, keepdims=True) if around.size else np.zeros((len(pixels), 1), np.float32)
    shown[:, box if inside else ~box] = fill
    return shown


def _lesions(looked: Looked, part: Part) -> list[Evidence]:
    """Return the evidence of a cohort's patients with a masked image, at most as many as the study tries."""
    run, plan = looked.run, looked.run.study.robustness
    table = looked.opened.predictions[part]
    scene = _scene(looked, part, table, plan.patients if plan else 0)
    if scene is None:
        return []
    place = {str(name): row for row, name in enumerate(table.patient)}
    rows = np.array([place[case.pseudonym] for case in scene.cases])
    ways = {"masked_images": None, "lesion_blanked": True, "lesion_only": False}
    found = {name: _asked(scene, inside, name) for name, inside in ways.items()}
    sampled = Predictions(
        patient=table.patient[rows],
        site=table.site[rows],
        part=part,
        outcome=table.outcome[rows],
        risk={CMAN: found.pop("masked_images")},
    )
    evaluation = Evaluation(predictions=sampled, study=run.study, phantom=run.study.phantom)
    return lesions(evaluation, found)


def _scene(looked: Looked, part: Part, table: Predictions, most: int) -> Scene | None:
    """Return the patients of a cohort with a masked image, and the locked networks; None without any."""
    run, cohort = looked.run, looked.opened.cohort
    by_name = {case.pseudonym: case for case in cohort.cases}
    cases = [by_name[str(name)] for name in table.patient]
    able = np.array([any(r.has_mask for bag in c.images.values() for r in bag) for c in cases], bool)
    if not able.any():
        return None
    chosen = tuple(cases[row] for row in sampled_rows(table.outcome, able, most, run.study.seed))
    packs = packs_of(run, cohort.within(*looked.opened.predictions), chosen)
    scene = Scene(
        run=run,
        cases=chosen,
        part=part,
        folds=cohort.folds,
        networks=tuple(asked_networks(run, cohort, looked.fits)),
        decisions=looked.locked.decisions[CMAN],
        encoders=encoders_below(run),
        packs=packs,
    )
    kept = tuple(
        case for case in chosen if any(len(_shown(scene, None, case, m)) for m in run.study.image_modalities)
    )
    return replace(scene, cases=kept) if kept else None


def _asked(scene: Scene, inside: bool | None, about: str) -> NDArray[np.float64]:
    with scene.run.progress.track("shortcuts", len(scene.cases), about=about) as advance:
        return risks(scene, partial(_shown, scene, inside), advance, tables=False)


def _shown(scene: Scene, inside: bool | None, case: Case, modality: ImageModality) -> NDArray[np.uint8]:
    """Return a case's images that have a lesion mask: whole, blanked inside its box, or outside of it."""
    found = []
    for record in case.images.get(modality.name, ()):
        pack = scene.packs[modality.name]
        mask = mask_of(pack, record) if record.has_mask else None
        if mask is not None:
            pixels = as_read(pack, record)
            found.append(
                as_shown(pixels if inside is None else blanked(pixels, mask, inside=inside), modality)
            )
    empty = np.zeros((0, modality.channels, modality.size, modality.size), np.uint8)
    return np.stack(found) if found else empty
