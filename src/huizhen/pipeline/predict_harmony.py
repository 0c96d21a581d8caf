"""Harmonisation at prediction: a site's shift from the features of the very patients who are predicted.

The bundle holds the part that all sites of the study shared, and no site's own. Features of all patients are
therefore made first and kept in scratch, and the shift of each site in the source file is found from them,
without outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.cohort import Case
from huizhen.core.study import Study
from huizhen.core.study_harmonisation import Harmonisation
from huizhen.data.tables import TableEncoding
from huizhen.errors import ModelError
from huizhen.models.bundle import Bundle
from huizhen.pipeline.covariates import covariates_of
from huizhen.pipeline.harmonise_fit import with_new_site
from huizhen.pipeline.material import table_column
from huizhen.pipeline.model_bundle import HARMONY
from huizhen.train.arrays import CaseData, ImageColumn
from huizhen.train.harmony import Harmony, harmony_from, patient_means

__all__ = ["Chunk", "bundled_harmonies", "data_of", "kept_in", "plan_of", "site_harmonies"]

Harmonies = dict[int, dict[str, Harmony]]
"""Fold -> image modality -> what its features are moved by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A few cases and their image columns."""

    cases: tuple[Case, ...]
    images: Mapping[str, ImageColumn]


def plan_of(bundle: Bundle) -> Harmonisation | None:
    """Return the [harmonisation] that the card states, if any. Raises `ModelError` on another record."""
    found = [p["harmonisation"] for p in bundle.card.preprocessing.values() if "harmonisation" in p]
    try:
        return Harmonisation.model_validate(found[0]) if found else None
    except ValueError as error:
        raise ModelError(
            "states a harmonisation that this version doesn't know",
            remedy="use the huizhen version that made it",
            field="harmonisation",
        ) from error


def bundled_harmonies(bundle: Bundle) -> Harmonies:
    """Return what the bundle's features are harmonised by, without any site. Raises `ModelError`."""
    arrays: dict[tuple[int, str], dict[str, Any]] = {}
    for key, value in bundle.weights.items():
        if key.startswith(f"{HARMONY}/"):
            modality, fold, name = key.removeprefix(f"{HARMONY}/").split("/", 2)
            arrays.setdefault((int(fold.removeprefix("fold")), modality), {})[name] = value.numpy()
    found: Harmonies = {}
    for (number, modality), own in arrays.items():
        found.setdefault(number, {})[modality] = harmony_from(own)
    return found


def kept_in(folder: Path, number: int, chunk: Chunk) -> Chunk:
    """Return a chunk whose features lie in a file of `folder`, so that many chunks need no memory."""
    images: dict[str, ImageColumn] = {}
    for place, (name, column) in enumerate(chunk.images.items()):
        path = folder / f"features-{number}-{place}.npy"
        np.save(path, column.payload, allow_pickle=False)
        images[name] = replace(column, payload=np.load(path, mmap_mode="r", allow_pickle=False))
    return Chunk(cases=chunk.cases, images=images)


def site_harmonies(
    study: Study,
    harmonies: Harmonies,
    encodings: Mapping[int, Mapping[str, TableEncoding]],
    chunks: Sequence[Chunk],
) -> Harmonies:
    """Return the harmonies with the shift of every site that `chunks` have images of.

    `encodings`: of each fold's tables. Raises `DataError` for a site of too few patients.
    """
    return {
        fold: {
            name: _with_sites(study, name, harmony, encodings[fold], chunks)
            for name, harmony in by_modality.items()
        }
        for fold, by_modality in harmonies.items()
    }


def _with_sites(
    study: Study,
    modality: str,
    harmony: Harmony,
    encodings: Mapping[str, TableEncoding],
    chunks: Sequence[Chunk],
) -> Harmony:
    """Return one modality's harmony with each site's shift."""
    features: dict[str, list[Any]] = {}
    covariates: dict[str, list[Any]] = {}
    for chunk in chunks:
        column = chunk.images[modality]
        kept = covariates_of(study, data_of(study, chunk, encodings), encodings).values
        rows = np.flatnonzero(np.diff(column.offsets) > 0)
        means = patient_means(column, rows)
        for row, mean in zip(rows, means, strict=True):
            features.setdefault(chunk.cases[row].site, []).append(mean)
            covariates.setdefault(chunk.cases[row].site, []).append(kept[row])
    for site, found in features.items():
        harmony = with_new_site(study, np.stack(found), harmony, np.stack(covariates[site]), site)
    return harmony


def data_of(study: Study, chunk: Chunk, encodings: Mapping[str, TableEncoding]) -> CaseData:
    """Return a chunk's cases as arrays, without outcomes."""
    names = tuple(m.name for m in study.modality)
    return CaseData(
        names=names,
        images=chunk.images,
        tables={m.name: table_column(chunk.cases, m, encodings[m.name]) for m in study.table_modalities},
        present=np.array([[name in case.modalities for name in names] for case in chunk.cases], bool),
        outcome=np.full(len(chunk.cases), np.nan, np.float32),
    )
