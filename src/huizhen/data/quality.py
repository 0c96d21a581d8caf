"""Quality control over pixels: which images can't be used, and a fingerprint of each that can.

Every image is decoded once and looked at; results are kept in the cache by the content's digest, in batches,
so that a killed run goes on where it stood. Only images that couldn't be read are tried again each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import ImageRecord
from huizhen.core.digests import Digest, digest_value
from huizhen.core.progress import Progress
from huizhen.data.cache import Cache
from huizhen.data.fingerprints import FINGERPRINT_VERSION, Fingerprint, fingerprint
from huizhen.data.preprocess import channels_fit
from huizhen.errors import UnreadableFileError

if TYPE_CHECKING:
    from huizhen.data.readers.interface import Reader

QUALITY_VERSION = "quality-1"
BLANK_SD = 0.005
"""An image whose standard deviation is below this share of full white (1.3 of 255 levels) is blank."""
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found in one image: `problem` is an exclusion reason, or empty when it has a fingerprint."""

    problem: str = ""
    fingerprint: Fingerprint | None = None


def inspect_pixels(pixels: NDArray[np.float32], *, channels: int) -> Inspection:
    """Return what is wrong with `pixels` (C, H, W), or their fingerprint.

    Reasons: wrong_modality (not an image of as many channels as the modality's), non_finite, blank.
    """
    if pixels.ndim != 3 or min(pixels.shape) < 1 or not channels_fit(pixels.shape[0], channels):
        return Inspection(problem="wrong_modality")
    if not np.isfinite(pixels).all():
        return Inspection(problem="non_finite")
    if float(pixels.std(dtype=np.float64)) < BLANK_SD:
        return Inspection(problem="blank")
    return Inspection(fingerprint=fingerprint(pixels))


def inspect_images(
    records: Sequence[ImageRecord],
    reader: Reader,
    *,
    channels: int,
    settings: Digest,
    cache: Cache,
    progress: Progress,
    about: str = "",
) -> list[Inspection]:
    """Return an inspection for each of `records`, all of one reader, in their order.

    `settings` is the digest of whatever else decides what the reader gives (the source's options).
    Raises `StorageError` from the cache.
    """
    found: list[Inspection] = []
    with progress.track("quality", len(records), about=about) as advance:
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            found.extend(_inspect_batch(batch, reader, channels=channels, settings=settings, cache=cache))
            advance(len(batch))
    return found


def _inspect_batch(
    batch: Sequence[ImageRecord], reader: Reader, *, channels: int, settings: Digest, cache: Cache
) -> list[Inspection]:
    versions = [QUALITY_VERSION, FINGERPRINT_VERSION, BLANK_SD]
    key = digest_value([*versions, channels, settings, [record.digest for record in batch]])
    rows = cache.values(key, lambda: [_to_row(_inspect(r, reader, channels)) for r in batch])
    found = [_from_row(row) for row in rows]
    return [
        _inspect(record, reader, channels) if one.problem == "unreadable" else one
        for record, one in zip(batch, found, strict=True)
    ]


def _inspect(record: ImageRecord, reader: Reader, channels: int) -> Inspection:
    try:
        return inspect_pixels(reader.pixels(record), channels=channels)
    except UnreadableFileError:
        return Inspection(problem="unreadable")


def _to_row(found: Inspection) -> list[str]:
    return [found.problem, (found.fingerprint or b"").hex()]


def _from_row(row: Sequence[str]) -> Inspection:
    problem, bits = row
    return Inspection(problem=problem, fingerprint=None if problem else Fingerprint(bytes.fromhex(bits)))
