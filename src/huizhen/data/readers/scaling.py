"""From stored values to [0, 1]: windows, percentile ranges, colour to channels. Numpy only."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "RANGE_PERCENTILES",
    "WindowFunction",
    "apply_window",
    "full_range",
    "ramp",
    "robust_range",
    "to_channels",
    "window_range",
]

RANGE_PERCENTILES = (0.5, 99.5)
"""The grey range of an image that names no window."""

_SAMPLED = 250_000
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


def ramp(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Return `values` with `low` at 0 and `high` at 1, clipped; all 0 where the range is empty.

    NaN stays NaN and so does infinity, as NaN, so that quality control finds them.

    >>> ramp(np.float32([0, 5, 20]), 0, 10).tolist()
    [0.0, 0.5, 1.0]
    """
    if not high > low:
        return np.where(np.isfinite(values), np.float32(0), np.float32(np.nan))
    known = np.isfinite(values)
    scaled = (np.where(known, values, np.float32(np.nan)) - np.float32(low)) / np.float32(high - low)
    return np.asarray(np.clip(scaled, 0, 1), dtype=np.float32)


def robust_range(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the 0.5 and 99.5 percentile of the finite `values` (of an even sample of large images).

    >>> low, high = robust_range(np.arange(1001, dtype=np.float32))
    >>> (round(low), round(high))
    (5, 995)
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 0.0
    low, high = np.percentile(known[:: max(1, known.size // _SAMPLED)], RANGE_PERCENTILES)
    if high > low:
        return float(low), float(high)
    return float(known.min()), float(known.max())


def full_range(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return integers as shares of their type's maximum and booleans as 0 or 1; other values as they are.

    >>> full_range(np.array([0, 255], dtype=np.uint8)).tolist()
    [0.0, 1.0]
    """
    top = float(np.iinfo(values.dtype).max) if np.issubdtype(values.dtype, np.integer) else 1.0
    return values.astype(np.float32) / np.float32(top)


def apply_window(
    values: NDArray[np.float32], center: float, width: float, function: WindowFunction = "LINEAR"
) -> NDArray[np.float32]:
    """Return `values` through a window, in [0, 1].

    `width` at least 1 for LINEAR, above 0 otherwise. Source: DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.

    >>> apply_window(np.float32([-100, 40, 200]), 40.5, 101).round(2).tolist()
    [0.0, 0.5, 1.0]
    """
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values - np.float32(center)) / np.float32(width), -80, 80)
        return np.asarray(1 / (1 + np.exp(exponent)), dtype=np.float32)
    return ramp(values, *window_range(center, width, function))


def window_range(center: float, width: float, function: WindowFunction = "LINEAR") -> tuple[float, float]:
    """Return the values that a window maps to 0 and 1 (for SIGMOID: to about 0.12 and 0.88).

    >>> window_range(127.5, 256)
    (-0.5, 254.5)
    """
    if function == "LINEAR":
        return center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    return center - width / 2, center + width / 2


def to_channels(image: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return `image` (H, W), (H, W, 1) or (H, W, 3) as (channels, H, W).

    Colour into fewer than three channels becomes its luminance (ITU-R BT.601); grey is repeated.

    >>> to_channels(np.ones((4, 5, 3), np.float32), 1).shape
    (1, 4, 5)
    >>> to_channels(np.ones((4, 5), np.float32), 3).shape
    (3, 4, 5)
    """
    if image.ndim == 3 and image.shape[2] == 3:
        if channels == 3:
            return np.ascontiguousarray(np.moveaxis(image, 2, 0))
        image = image @ _LUMINANCE
    grey = image[:, :, 0] if image.ndim == 3 else image
    return np.ascontiguousarray(np.broadcast_to(grey, (channels, *grey.shape)), dtype=np.float32)
