"""Mammograms: breast found, labels and air set to 0, grey levels windowed by the breast's percentiles.

Whether an image is shown inverted is told from its rim where no header says it: air is dark. What isn't done:
the pectoral muscle stays, since nothing here measures how well it is found.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

__all__ = ["breast_mask", "inverted", "normalised_mammogram", "otsu"]

LOW, HIGH = 2.0, 99.5
"""The percentiles of the breast that become 0 and 1."""
BINS = 256
SMALLEST_SHARE = 0.02
"""A breast covers at least this share of its image; otherwise nothing is taken off."""


def otsu(values: NDArray[np.floating]) -> float:
    """Return the threshold that parts values (n,) in [0, 1] best. Raises `InvalidInputError` without any.

    Reference: Otsu, IEEE Trans Syst Man Cybern 9:62-66 (1979).

    >>> 0.2 <= otsu(np.array([0.1, 0.15, 0.2, 0.8, 0.9])) < 0.8
    True
    """
    if not values.size or not np.isfinite(values).all():
        raise InvalidInputError(
            "no pixel, or some that aren't finite", remedy="exclude the image", field="mammogram"
        )
    counts, edges = np.histogram(values, BINS, (0.0, 1.0))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)[:-1]
    total = float((counts * centres).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (total - sums) / above) ** 2
    return float(edges[1 + int(np.nan_to_num(between, nan=-1.0).argmax())])


def inverted(plane: NDArray[np.floating]) -> bool:
    """Tell whether an image (H, W) in [0, 1] shows air bright: most of its rim lies above Otsu's threshold.

    For files without PhotometricInterpretation; DICOM images come from their reader as a monitor shows them.

    >>> picture = np.zeros((8, 8)); picture[2:6, :4] = 0.7
    >>> inverted(picture), inverted(1 - picture)
    (False, True)
    """
    cut = otsu(plane)
    rim = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
    return bool((rim >= cut).mean() > 0.5)


def breast_mask(plane: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where the breast is in an image (H, W) with dark air: the largest bright piece, filled.

    All of the image where no piece covers a fiftieth of it. Letters and markers beside the breast are other
    pieces.
    """
    from scipy.ndimage import binary_fill_holes, binary_opening, label

    air = otsu(plane)
    dim = plane[plane < air]
    cut = otsu(dim / air) * air if dim.size and np.ptp(dim) > 0 else air
    bright = binary_opening(plane >= min(cut, air), iterations=2)
    pieces, count = label(bright)
    if not count:
        return np.ones(plane.shape, np.bool_)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    if sizes.max() < SMALLEST_SHARE * plane.size:
        return np.ones(plane.shape, np.bool_)
    found: NDArray[np.bool_] = binary_fill_holes(pieces == sizes.argmax())
    return found


def normalised_mammogram(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `pixels` (C, H, W) in [0, 1] the right way round, 0 outside the breast, windowed within.

    An image without contrast in its breast comes back as it is.
    """
    shown = 1 - pixels if inverted(pixels.mean(0)) else pixels
    breast = breast_mask(shown.mean(0))
    low, high = np.percentile(shown[:, breast], (LOW, HIGH))
    if high <= low:
        return pixels
    return np.where(breast, np.clip((shown - low) / (high - low), 0, 1), 0).astype(np.float32)
