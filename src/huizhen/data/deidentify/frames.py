"""What an image shows, as few pictures as tell what stands in any frame, each as 8-bit grey or colour.

A still image is one picture. Of a clip, text that stands all the while is in the darkest or the brightest
value of each pixel over time, or in the median of sampled frames; text that comes and goes is in an extreme
where it is brighter or darker than all else there. What stands in frames between the sampled ones only, and
is neither, isn't seen: that is the limit of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from huizhen.data.deidentify.outcome import Reason, Refused
from huizhen.data.readers.dicom_limits import native_bytes

__all__ = ["MOST_PIXELS", "Stored", "frames_of", "passes_of", "pictures_of"]

MOST_PIXELS = 1 << 30
"""Bytes of one object's unpacked pixels; larger ones wait for a person."""

Stored = NDArray[Any]
"""A frame as it is stored, or unpacked: (rows, columns), or (rows, columns, 3) in RGB."""

_KEPT = 9
_LOW, _HIGH = 0.5, 99.5
_BINS = 4096


def frames_of(dataset: Dataset) -> Iterator[Stored]:
    """Yield every frame, in RGB where it is in colour. Raises `Refused` to queue what is too large to unpack.

    Decoders' own exceptions pass through.
    """
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import iter_pixels

    if native_bytes(dataset, int(dataset.get("NumberOfFrames", None) or 1)) > MOST_PIXELS:
        raise Refused(Reason.DOUBTFUL_PIXELS, queued=True)
    palette = dataset.get("PhotometricInterpretation") == "PALETTE COLOR"
    for frame in iter_pixels(dataset):
        yield apply_color_lut(frame, dataset) if palette else frame


def pictures_of(dataset: Dataset, *, sampled: int = 3) -> list[Stored]:
    """Return the pictures to look at: the image; of a clip the median, extremes and `sampled` frames."""
    count = int(dataset.get("NumberOfFrames", None) or 1)
    keep = set(np.linspace(0, count - 1, min(count, _KEPT)).astype(int).tolist())
    kept: list[Stored] = []
    darkest: Stored | None = None
    brightest: Stored | None = None
    for i, frame in enumerate(frames_of(dataset)):
        darkest = frame.copy() if darkest is None else np.minimum(darkest, frame)
        brightest = frame.copy() if brightest is None else np.maximum(brightest, frame)
        if i in keep:
            kept.append(frame)
    if darkest is None or brightest is None:
        return []
    if len(kept) == 1 or np.array_equal(darkest, brightest):
        return kept[:1]
    middle = np.median(np.stack(kept), axis=0).astype(brightest.dtype)
    chosen = sorted(set(np.linspace(0, len(kept) - 1, min(sampled, len(kept))).astype(int).tolist()))
    return [middle, brightest, darkest, *(kept[i] for i in chosen)]


def passes_of(picture: Stored, *, second: bool = True) -> list[NDArray[np.uint8]]:
    """Return 8-bit pictures in which text of any grey can be seen: (rows, columns) or with 3 colours.

    The first shows the middle 99 % of values. The `second` has the contrast of every part raised by itself,
    so that text hardly brighter or darker than its ground stands out too; of more than 8 bits it shows the
    values' ranks, since text may be dim beside bright tissue. Where few values occur there is none.
    """
    grey = picture if picture.ndim == 2 else picture.max(axis=-1)
    first = _stretched(grey)
    shown = [first if picture.ndim == 2 else _eight_bits(picture)]
    ranks = _ranked(grey) if second else None
    return shown if ranks is None else [*shown, _local(first if grey.dtype.itemsize == 1 else ranks)]


def _local(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture with the contrast of each of 8 x 8 parts raised (CLAHE), where OpenCV is there."""
    try:
        import cv2
    except ImportError:  # it comes with the OCR engine; without, a person looks at the picture as it is
        return grey
    return np.asarray(cv2.createCLAHE(clipLimit=4.0, tileGridSize=(8, 8)).apply(grey), dtype=np.uint8)


def _stretched(grey: Stored) -> NDArray[np.uint8]:
    """Return the middle 99 % of values over the whole range of 8 bits."""
    low, high = (float(one) for one in np.percentile(grey, (_LOW, _HIGH)))
    scaled = (grey.astype(np.float32) - low) * (255 / max(high - low, 1e-6))
    shown: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return shown


def _eight_bits(colour: Stored) -> NDArray[np.uint8]:
    if colour.dtype == np.uint8:
        return np.ascontiguousarray(colour, dtype=np.uint8)
    return _stretched(colour)


def _ranked(grey: Stored) -> NDArray[np.uint8] | None:
    """Return each pixel's share of darker and half of equal ones; None where that tells nothing new."""
    low, high = float(grey.min()), float(grey.max())
    if high - low < 2:
        return None
    scale = min(1.0, (_BINS - 1) / (high - low))
    level = ((grey.astype(np.float32) - low) * scale).astype(np.int32)
    counts = np.bincount(level.ravel(), minlength=int(level.max()) + 1)
    if np.count_nonzero(counts) < 3:
        return None
    rank = (np.cumsum(counts) - counts / 2) / grey.size
    low, high = float(rank[level.min()]), float(rank[level.max()])
    shown = (rank - low) * (255 / max(high - low, 1e-6))
    result: NDArray[np.uint8] = np.clip(shown, 0, 255).astype(np.uint8)[level]
    return result
