"""A common spacing: images resampled so that a millimetre has the same number of pixels everywhere.

Linear interpolation by SimpleITK, after a Gaussian of half the new spacing where the image becomes coarser,
so that nothing finer than the new pixels folds back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.data.harmonise.sitk import simpleitk
from huizhen.errors import DataError, InvalidInputError

__all__ = ["resampled", "resampled_mask"]

LARGEST = 8192
"""Pixels a side above which a spacing is taken to be wrong."""
SAME = 1e-3
"""Spacings that differ by less than this share are the same."""


def resampled(
    pixels: NDArray[np.float32], spacing_mm: tuple[float, float] | None, *, to_mm: float
) -> NDArray[np.float32]:
    """Return `pixels` (C, H, W), whose rows and columns lie `spacing_mm` apart, with `to_mm` between both.

    Raises `DataError` where the spacing isn't known, isn't positive, or makes an image of more than 8192
    pixels a side or of none.
    """
    spacing = _known(spacing_mm)
    if all(abs(s / to_mm - 1) < SAME for s in spacing):
        return pixels
    return np.stack([_plane(plane, spacing, to_mm, smooth=True) for plane in pixels])


def resampled_mask(
    mask: NDArray[np.bool_], spacing_mm: tuple[float, float] | None, *, to_mm: float
) -> NDArray[np.bool_]:
    """Return a lesion mask (H, W) in the geometry of `resampled`: set where half of a pixel or more was."""
    spacing = _known(spacing_mm)
    if all(abs(s / to_mm - 1) < SAME for s in spacing):
        return mask
    return _plane(mask.astype(np.float32), spacing, to_mm, smooth=False) >= 0.5


def _known(spacing_mm: tuple[float, float] | None) -> tuple[float, float]:
    """Return a spacing that can be used. Raises `DataError`."""
    if spacing_mm is None:
        raise DataError(
            "an image has no pixel spacing, and images are to be brought to a common one",
            remedy="take spacing out of the modality's harmonise, or give files that state it",
            field="spacing",
        )
    if len(spacing_mm) != 2 or not all(np.isfinite(s) and s > 0 for s in spacing_mm):
        raise DataError("an image's pixel spacing isn't positive", remedy="exclude it", field="spacing")
    return spacing_mm


def _plane(
    plane: NDArray[np.float32], spacing: tuple[float, float], to_mm: float, *, smooth: bool
) -> NDArray[np.float32]:
    """Return one plane (H, W) at the new spacing, over the same extent."""
    if not (np.isfinite(to_mm) and to_mm > 0):
        raise InvalidInputError("isn't positive", remedy="give millimetres", field="spacing")
    itk = simpleitk()
    size = [round(n * s / to_mm) for n, s in zip(plane.shape, spacing, strict=True)]
    if not all(1 <= n <= LARGEST for n in size):
        raise DataError(
            f"at {to_mm:g} mm an image would have {size[0]} x {size[1]} pixels",
            remedy="correct its spacing or exclude it, or choose another common spacing",
            field="spacing",
        )
    image = itk.GetImageFromArray(np.ascontiguousarray(plane, np.float32))
    image.SetSpacing([spacing[1], spacing[0]])
    image.SetOrigin([spacing[1] / 2, spacing[0] / 2])
    if smooth and to_mm > min(spacing) * (1 + SAME):
        image = itk.SmoothingRecursiveGaussian(image, [to_mm / 2] * 2)
    step = [plane.shape[1] * spacing[1] / size[1], plane.shape[0] * spacing[0] / size[0]]
    found = itk.Resample(
        image,
        [size[1], size[0]],
        itk.Transform(),
        itk.sitkLinear,
        [step[0] / 2, step[1] / 2],
        step,
        [1.0, 0.0, 0.0, 1.0],
        0.0,
        itk.sitkFloat32,
        True,
    )
    result: NDArray[np.float32] = itk.GetArrayFromImage(found)
    return np.clip(result, plane.min(), plane.max())  # the recursive Gaussian rings a little
