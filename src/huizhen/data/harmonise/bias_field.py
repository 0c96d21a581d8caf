"""N4: the slow shading that a coil lays over an MR image, estimated and divided out.

Done by SimpleITK on the image shrunk fourfold, as is usual; the smooth field is then evaluated at full
resolution. Of an image with contrast phases one field is estimated, on their mean, and divides all:
a coil shades every phase alike, and a field of each would touch enhancement.

Reference: Tustison et al., IEEE Trans Med Imaging 29:1310-1320 (2010).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.data.harmonise.sitk import simpleitk
from huizhen.errors import InvalidInputError

__all__ = ["bias_field", "without_bias"]

SHRINK, LEVELS, STEPS = 4, 3, 30
SMALLEST = 8
"""Shrunk images have at least this many pixels a side."""


def bias_field(plane: NDArray[np.floating], *, shrink: int = SHRINK) -> NDArray[np.float32]:
    """Return the shading (H, W) of an image (H, W) >= 0, around 1; all 1 where there is nothing to go by.

    Pixels of 0 are background. Raises `InvalidInputError` on values that are negative or not finite,
    `DataError` without SimpleITK.
    """
    values = np.asarray(plane, np.float32)
    if values.ndim != 2 or not np.isfinite(values).all() or values.min(initial=0) < 0:
        raise InvalidInputError(
            f"pixels of shape {values.shape} are no finite image (H, W) of at least 0",
            remedy="exclude the image",
            field="bias-field",
        )
    shown = values > 0
    if shown.sum() < SMALLEST**2 or np.ptp(values[shown]) == 0:
        return np.ones_like(values)
    itk = simpleitk()
    factor = max(1, min(shrink, min(values.shape) // SMALLEST))
    image = itk.GetImageFromArray(values)
    mask = itk.GetImageFromArray(shown.astype(np.uint8))
    small = [factor, factor]
    n4 = itk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([STEPS] * LEVELS)
    try:
        n4.Execute(itk.Shrink(image, small), itk.Shrink(mask, small))
        log_field = itk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))
    except RuntimeError as error:
        raise InvalidInputError(
            "no bias field could be estimated", remedy="exclude the image, or leave bias-field out"
        ) from error
    field: NDArray[np.float32] = np.exp(log_field - log_field[shown].mean()).astype(np.float32)
    return field


def without_bias(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `pixels` (C, H, W) in [0, 1] without shading, one field for all channels, cut to [0, 1].

    The geometric mean of the signal stays as it was.
    """
    field = bias_field(pixels.mean(0))
    found: NDArray[np.float32] = np.clip(pixels / field, 0, 1).astype(np.float32)
    return found
