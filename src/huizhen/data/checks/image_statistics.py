"""What one image looks like in a few numbers, and a coarse picture of it to find its neighbours by."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve, laplace

from huizhen.data.fingerprints import low_frequencies

__all__ = ["MEASURES", "ImageStatistics", "image_statistics"]

Floats = NDArray[np.float64]
EMBEDDING = 8
"""Frequencies a side of the coarse picture."""
FULL = 0.998
"""Grey values from here on are saturated."""
BLACK = 0.02
"""Grey values up to here are background: what a letterbox or a sector's surroundings have."""
_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatistics:
    """One image's numbers; grey values in [0, 1].

    `mean`, `contrast` (standard deviation), `span` (1st to 99th percentile). `sharpness`: the log of the
    Laplacian's spread over the contrast. `noise`: the log of Immerkaer's estimate of its standard deviation
    (Computer Vision and Image Understanding 64:300-302, 1996). `entropy` in bits of 64 grey levels. Shares:
    `border` of rows and columns at the edges that are flat, `background` of black pixels, `saturated` of
    white ones. `aspect`: log of height over width. `coarse` (63,): low frequencies, of unit length.
    """

    mean: float
    contrast: float
    span: float
    sharpness: float
    noise: float
    entropy: float
    border: float
    background: float
    saturated: float
    aspect: float
    coarse: tuple[float, ...]

    def row(self) -> list[float]:
        """Return the numbers without the coarse picture, in the order of `MEASURES`."""
        return [float(value) for value in astuple(self)[: len(MEASURES)]]


MEASURES = tuple(field.name for field in fields(ImageStatistics))[:-1]
"""The names of an image's numbers."""


def image_statistics(pixels: NDArray[np.float32]) -> ImageStatistics:
    """Return the statistics of `pixels` (C, H, W), finite and in [0, 1]; channels are averaged.

    >>> flat = image_statistics(np.full((1, 32, 48), 0.5, np.float32))
    >>> flat.mean, flat.contrast, flat.entropy, round(flat.aspect, 3)
    (0.5, 0.0, 0.0, -0.405)
    """
    grey = np.asarray(pixels, dtype=np.float64).mean(axis=0)
    contrast = float(grey.std())
    low, high = np.quantile(grey, [0.01, 0.99])
    share = np.histogram(grey, bins=64, range=(0.0, 1.0))[0] / grey.size
    held = share[share > 0]
    rough = float(laplace(grey, mode="nearest").std())
    noise = float(np.abs(convolve(grey, _NOISE, mode="nearest")).mean() * np.sqrt(np.pi / 2) / 6)
    height, width = grey.shape
    coarse = low_frequencies(np.asarray(pixels, dtype=np.float32))[:EMBEDDING, :EMBEDDING].ravel()[1:]
    length = float(np.linalg.norm(coarse))
    return ImageStatistics(
        mean=float(grey.mean()),
        contrast=contrast,
        span=float(high - low),
        sharpness=float(np.log((rough + 1e-6) / (contrast + 1e-6))),
        noise=float(np.log(noise + 1e-6)),
        entropy=float(max(0.0, -(held * np.log2(held)).sum())),
        border=_border(grey),
        background=float((grey <= BLACK).mean()),
        saturated=float((grey >= FULL).mean()),
        aspect=float(np.log(height / width)),
        coarse=tuple((coarse / length if length > 0 else coarse).astype(float).tolist()),
    )


def _border(grey: Floats) -> float:
    """Return the share of the image in flat rows and columns along its edges, as a letterbox has."""
    rows, columns = (np.ptp(grey, axis=1) > BLACK, np.ptp(grey, axis=0) > BLACK)
    if not rows.any() or not columns.any():
        return 1.0
    inside = [np.flatnonzero(side)[[0, -1]] for side in (rows, columns)]
    kept = np.prod([float(last - first + 1) for first, last in inside])
    return float(1 - kept / grey.size)
