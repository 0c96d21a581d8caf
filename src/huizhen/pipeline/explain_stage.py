"""The explanation stage: heatmaps of tested cases, measured against lesion masks, a gallery kept as files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.digests import Digest
from huizhen.core.evidence import Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import ImageModality, Variant
from huizhen.explain.heatmaps import heatmaps, upsample
from huizhen.explain.localisation import (
    LocalisationRow,
    area_share,
    energy_in_lesion,
    localisation_evidence,
    pointing_hit,
)
from huizhen.pipeline.asked import Asked, asked_networks, encoders_below
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.explain_gallery import Heat, Scene, gallery, gallery_rows
from huizhen.pipeline.fit_stage import FittedModel
from huizhen.pipeline.localisation_file import LOCALISATION, row_of, write_rows
from huizhen.pipeline.lock_stage import Locked
from huizhen.pipeline.material import Columns, Material, Readers, open_readers
from huizhen.pipeline.opened import COHORT_WORDS, Opened
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage
from huizhen.train.arrays import CaseData

BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the explanation works on: the opened test, its arrays, and where pixels come from."""

    run: Run
    cohort: OpenCohort
    predictions: Mapping[Part, Predictions]
    material: Material
    readers: Readers
    model_digest: Digest
    made_at: datetime


def explain_stage(run: Run, opened: Opened, fits: Sequence[FittedModel], locked: Locked) -> Stage | None:
    """Explain the tested cases; None when the study has no image modality."""
    if not run.study.image_modalities:
        return None
    made_at = max(datetime.fromisoformat(e.time) for e in run.log.entries if e.kind == "lock")

    def body(folder: Path) -> Made:
        tested = opened.cohort.within(*opened.predictions)
        material = Material(run=run, cases=tested, columns=Columns(run, tested, augmented=False))
        shown = Shown(
            run=run,
            cohort=opened.cohort,
            predictions=opened.predictions,
            material=material,
            readers=open_readers(run),
            model_digest=locked.model_digest,
            made_at=made_at,
        )
        evidence, found = explained(shown, asked_networks(run, opened.cohort, asked), folder)
        lines = [row_of(one, m, COHORT_WORDS[part]) for (part, m), rows in found.items() for one in rows]
        write_rows(folder / ARTEFACTS / LOCALISATION, lines, phantom=run.study.phantom)
        return Made(evidence=evidence)

    asked = [f for f in fits if f.model.variant is Variant.CMAN]
    made_from = {
        opened.stage.name: opened.stage.digest,
        "lock": locked.stage.digest,
        **{f.stage.name: f.stage.digest for f in asked},
    }
    return run.stage("explain", [opened.stage.digest, locked.stage.digest], body, made_from=made_from)


def explained(
    shown: Shown, networks: Iterable[Asked], folder: Path
) -> tuple[list[Evidence], dict[tuple[Part, str], list[LocalisationRow]]]:
    """Keep a gallery of heatmaps in `folder`; return the evidence, and the measured images.

    The latter by part and modality, of positive cases with a lesion mask.
    """
    heat = _all_heat(shown, networks)
    evidence: list[Evidence] = []
    rows: dict[tuple[Part, str], list[LocalisationRow]] = {}
    for part, table in shown.predictions.items():
        for modality in shown.run.study.image_modalities:
            rows[part, modality.name] = _localised(shown, heat, part, modality)
            evidence += localisation_evidence(
                rows[part, modality.name],
                modality=modality.name,
                cohort=COHORT_WORDS[part],
                phantom=shown.run.study.phantom,
                seed=shown.run.study.seed,
            )
        evidence += gallery(_scene(shown), heat, part, table, folder)
    return evidence, rows


def _all_heat(shown: Shown, networks: Iterable[Asked]) -> Heat:
    """Return the heat of the cases that are measured or kept: the mean over networks, its top scaled to 1."""
    wanted = _wanted(shown)
    run, cohort = shown.run, shown.cohort
    sums: Heat = defaultdict(dict)
    sizes = {m.name: m.size for m in run.study.image_modalities}
    encoders = encoders_below(run)
    expected = len(cohort.folds) * run.study.training.members
    with run.progress.track("explain", expected) as advance:
        for asked_of in networks:
            fold = cohort.folds[asked_of.fold]
            data = shown.material.data(asked_of.encodings, asked_of.harmonies)
            data = _with_pixels(data, shown.material.columns)
            tested = (Part.TEST, Part.EXTERNAL)
            rows = [
                r
                for r, c in enumerate(shown.material.cases)
                if c.pseudonym in wanted and fold.parts[c.pseudonym] in tested
            ]
            for start in range(0, len(rows), BATCH):
                chosen = np.array(rows[start : start + BATCH], np.int64)
                batch = data.batch(chosen, asked_of.modalities)
                for name, grid in heatmaps(asked_of.network, batch, encoders).items():
                    wide = upsample(grid, sizes[name]).numpy()
                    for position in torch.unique(batch.bags[name].case).tolist():
                        pseudonym = shown.material.cases[chosen[position]].pseudonym
                        own = wide[(batch.bags[name].case == position).numpy()]
                        sums[pseudonym][name] = sums[pseudonym].get(name, 0) + own
            advance(1)
    return {p: {m: _on_patient_scale(h) for m, h in found.items()} for p, found in sums.items()}


def _on_patient_scale(summed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return heat (images, S, S), summed over networks, with 1 at the hottest place of all the images."""
    scaled: NDArray[np.float32] = np.clip(summed / max(float(summed.max()), 1e-12), 0, 1)
    return scaled


def _scene(shown: Shown) -> Scene:
    """Return what the gallery is made from."""
    return Scene(
        run=shown.run,
        cases={case.pseudonym: case for case in shown.material.cases},
        packs={name: pack for name, (_, pack) in shown.material.columns.made.items()},
        readers=shown.readers,
        model_digest=shown.model_digest,
        made_at=shown.made_at,
    )


def _wanted(shown: Shown) -> set[str]:
    """Return whose heat is asked for: positive cases with a lesion mask, and the gallery."""
    kept = {
        str(table.patient[row])
        for table in shown.predictions.values()
        for row in gallery_rows(table, shown.run.study.seed)
    }
    measured = {
        case.pseudonym
        for case in shown.material.cases
        if case.outcome == 1 and any(record.has_mask for bag in case.images.values() for record in bag)
    }
    return kept | measured


def _with_pixels(data: CaseData, columns: Columns) -> CaseData:
    """Return the cases with pixels in place of cached features: heat is looked for inside the encoders."""
    images = {
        name: replace(column, payload=columns.made[name][1].pixels, features=False)
        for name, column in data.images.items()
    }
    return replace(data, images=images)


def _localised(shown: Shown, heat: Heat, part: Part, modality: ImageModality) -> list[LocalisationRow]:
    """Return how well heat points at lesions in each image of the part's positive cases with a mask."""
    members = {p for fold in shown.cohort.folds for p in fold.members(part)}
    _, pack = shown.material.columns.made[modality.name]
    rows: list[LocalisationRow] = []
    for case in shown.material.cases:
        if case.pseudonym not in members or case.outcome != 1 or pack.masks is None:
            continue
        for place, row in enumerate(pack.rows(case.images.get(modality.name, ()))):
            if not pack.has_mask[row] or not pack.masks[row].any():
                continue
            mask, found = np.asarray(pack.masks[row]), heat[case.pseudonym][modality.name][place]
            rows.append(
                LocalisationRow(
                    pseudonym=case.pseudonym,
                    hit=pointing_hit(found, mask),
                    energy=energy_in_lesion(found, mask),
                    area_share=area_share(mask),
                )
            )
    return rows
