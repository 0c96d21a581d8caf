"""Which images of a cohort look like no others: measured one by one, then against their site and modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case, ImageRecord
from huizhen.core.digests import digest_value
from huizhen.core.progress import Progress
from huizhen.core.study import ImageModality
from huizhen.data.cache import Cache
from huizhen.data.checks.image_statistics import MEASURES, ImageStatistics, image_statistics
from huizhen.data.checks.outliers import neighbour_distances, robust_distances, robust_z
from huizhen.data.readers.interface import Reader

__all__ = ["FLAGGED", "LEAST", "OddImages", "measured", "odd_images"]

VERSION = "checks-1"
BATCH = 64
LEAST = 20
"""Images of a site and modality below which none is called odd."""
FLAGGED = 3.5
"""Robust standard deviations of the log distance beyond which an image is flagged."""
NEIGHBOURS = "neighbours"
"""The reason where no number is far out, but no other image looks alike."""

Floats = NDArray[np.float64]
Readers = Mapping[tuple[str, int], Reader]


@dataclass(frozen=True, slots=True, kw_only=True)
class OddImages:
    """The images of one site and modality, n of them, with how odd each is.

    `score` (n,): the larger of two robust z-scores of log distances, that of the numbers (robust Mahalanobis)
    and that to the nearest images of other patients. `why` (n,) names the number that is farthest out.
    `shape` is each image's matrix.
    """

    site: str
    modality: str
    case: tuple[Case, ...]
    record: tuple[ImageRecord, ...]
    score: Floats
    why: tuple[str, ...]
    shape: tuple[str, ...]

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which images are odd enough to be looked at (n,)."""
        return np.asarray(self.score > FLAGGED)


def measured(
    cases: Sequence[Case],
    site: str,
    modality: ImageModality,
    readers: Readers,
    cache: Cache,
    progress: Progress,
) -> OddImages:
    """Return how odd each image of a site and modality is. Kept in the cache, batch by batch.

    Raises what the readers raise: each image was decoded by intake before.
    """
    located = [(c, r) for c in cases if c.site == site for r in c.images.get(modality.name, ())]
    found: list[tuple[ImageStatistics, str]] = []
    with progress.track("checks", len(located), about=f"{site} {modality.name}") as advance:
        for start in range(0, len(located), BATCH):
            batch = [record for _, record in located[start : start + BATCH]]
            found += _batch(readers, site, batch, modality.channels, cache)
            advance(len(batch))
    place = {name: k for k, name in enumerate(dict.fromkeys(case.pseudonym for case, _ in located))}
    patient = np.array([place[case.pseudonym] for case, _ in located], dtype=np.int64)
    score, why = odd_images([one for one, _ in found], patient)
    return OddImages(
        site=site,
        modality=modality.name,
        case=tuple(case for case, _ in located),
        record=tuple(record for _, record in located),
        score=score,
        why=why,
        shape=tuple(shape for _, shape in found),
    )


def _batch(
    readers: Readers, site: str, batch: Sequence[ImageRecord], channels: int, cache: Cache
) -> list[tuple[ImageStatistics, str]]:
    """Return the statistics and the matrix of each image of a batch, from the cache where they are there."""
    key = digest_value([VERSION, channels, [record.digest for record in batch]])
    rows = cache.values(key, lambda: [_row(readers, site, one) for one in batch])
    return [_from_row(row) for row in rows]


def _row(readers: Readers, site: str, record: ImageRecord) -> list[object]:
    pixels = readers[site, record.source].pixels(record)
    *numbers, coarse = astuple(image_statistics(pixels))
    return [[*numbers, list(coarse)], f"{pixels.shape[1]} x {pixels.shape[2]}"]


def _from_row(row: Sequence[object]) -> tuple[ImageStatistics, str]:
    values, shape = row
    assert isinstance(values, list)
    *numbers, coarse = values
    named = dict(zip(MEASURES, numbers, strict=True))
    return ImageStatistics(**named, coarse=tuple(coarse)), str(shape)


def odd_images(
    found: Sequence[ImageStatistics], patient: NDArray[np.int64]
) -> tuple[Floats, tuple[str, ...]]:
    """Return how odd images of n (patients (n,)) are, and why; 0 where there are fewer than `LEAST`.

    >>> draw = np.random.default_rng(1)
    >>> pictures = [image_statistics(draw.random((1, 32, 32), np.float32)) for _ in range(40)]
    >>> flat = image_statistics(np.linspace(0, 1, 1024, dtype=np.float32).reshape(1, 32, 32))
    >>> score, why = odd_images([*pictures, flat], np.arange(41))
    >>> int(score.argmax())
    40
    """
    n = len(found)
    if n < LEAST:
        return np.zeros(n), ("",) * n
    numbers = np.array([one.row() for one in found])
    coarse = np.array([one.coarse for one in found])
    sides = [
        np.nan_to_num(robust_z(np.log(np.maximum(distance, 1e-9))))
        for distance in (robust_distances(numbers), neighbour_distances(coarse, patient))
    ]
    far = np.abs(robust_z(numbers))
    why = tuple(
        MEASURES[int(row.argmax())] if first >= second else NEIGHBOURS
        for row, first, second in zip(far, sides[0], sides[1], strict=True)
    )
    return np.maximum(sides[0], sides[1]), why
