"""Shown patients as site classifiers see them: features before and after, moved by what others gave.

A development site's patients are moved by the shift of its training patients. An external site's halves move
each other, and are shown to classifiers one after the other: together, what one half's shift errs by is what
the other's errs by the other way round, and a line through both would find neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study import Study
from huizhen.data.harmonise.combat import FEWEST_SHIFT
from huizhen.pipeline.harmonise_fit import with_new_site
from huizhen.train.arrays import CaseData
from huizhen.train.harmony import Harmony, patient_means
from huizhen.validate.assessments.harmonisation import BOTH, Told

__all__ = ["Shown", "halves_of", "told_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A fold's cases (n): who is `shown`, who of them is of an `outside` site, `covariates` (n, q)."""

    data: CaseData
    patients: NDArray[np.str_]
    sites: NDArray[np.str_]
    shown: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    covariates: Floats


def told_of(study: Study, harmonies: Mapping[str, Harmony], tested: Shown) -> dict[str, Told]:
    """Return each image modality's patients, before and after; no outcome is looked at."""
    found: dict[str, Told] = {}
    for name, harmony in harmonies.items():
        column = tested.data.images[name]
        rows = np.flatnonzero(tested.shown & (np.diff(column.offsets) > 0))
        features = patient_means(column, rows)
        found[name] = _told(study, harmony, tested, rows, features)
    return found


def _told(study: Study, harmony: Harmony, tested: Shown, rows: NDArray[np.int64], features: Floats) -> Told:
    """Return one modality's patients (their `rows`), of whom `features` (n, D) are."""
    few = harmony.components
    width = features.shape[1] if few is None else few.reduction.constant.size
    after, half = np.empty((len(rows), width)), np.full(len(rows), BOTH)
    sites, kept = tested.sites[rows], tested.covariates[rows]
    for site in sorted(set(sites.tolist())):
        here = np.flatnonzero(sites == site)
        if not tested.outside[rows[here]].any():
            after[here] = harmony.moved(features[here], site, kept[here])
            continue
        half[here] = halves_of(len(here))
        for shown in (0, 1):
            mine, others = here[half[here] == shown], here[half[here] != shown]
            known = others if len(others) >= FEWEST_SHIFT else here
            own = with_new_site(study, features[known], harmony, kept[known], site)
            after[mine] = own.moved(features[mine], site, kept[mine])
    return Told(patient=tested.patients[rows], site=sites, before=features, after=after, half=half)


def halves_of(n: int) -> NDArray[np.int64]:
    """Return the half, 0 or 1, of each of n patients of an external site, in turns.

    >>> halves_of(3).tolist()
    [0, 1, 0]
    """
    return np.arange(n, dtype=np.int64) % 2
