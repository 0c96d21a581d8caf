"""The declared steps of a modality in their order, and where what is left of an image lies in it.

Every step goes by the image alone: nothing is fitted, so that folds, sites and later hospitals need share
nothing. Masks go along, and `Frame` brings a heatmap back over the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study import ImageModality
from huizhen.core.study_image_steps import ImageStep
from huizhen.data.harmonise.bias_field import without_bias
from huizhen.data.harmonise.landmarks import DECILES, Landmarks
from huizhen.data.harmonise.mammogram import normalised_mammogram
from huizhen.data.harmonise.spacing import resampled, resampled_mask
from huizhen.data.harmonise.ultrasound import content_box, flat_gain, square_box, without_overlays
from huizhen.data.preprocess import Frame

__all__ = ["EVEN", "Picture", "harmonised_picture", "picture_of"]

EVEN = Landmarks(percentiles=DECILES, standard=tuple(np.linspace(0, 1, len(DECILES)).round(6).tolist()))
"""The fixed grey scale of `grey-levels`: the deciles of every image lie evenly."""

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image on its way: `pixels` (C, H, W) in [0, 1], lesion `mask` (H, W), spacing and `frame`."""

    pixels: NDArray[np.float32]
    mask: NDArray[np.bool_] | None
    spacing_mm: tuple[float, float] | None
    frame: Frame

    def cut(self, box: Box) -> Picture:
        """Return the part of the image in `box`. Only before a step that resamples."""
        rows, columns = box
        frame = replace(
            self.frame,
            top=self.frame.top + rows.start,
            left=self.frame.left + columns.start,
            height=rows.stop - rows.start,
            width=columns.stop - columns.start,
        )
        mask = None if self.mask is None else self.mask[rows, columns]
        return replace(self, pixels=self.pixels[:, rows, columns], mask=mask, frame=frame)


def picture_of(
    pixels: NDArray[np.float32],
    mask: NDArray[np.bool_] | None = None,
    spacing_mm: tuple[float, float] | None = None,
) -> Picture:
    """Return an image as it was read."""
    height, width = pixels.shape[1:]
    whole = Frame(top=0, left=0, height=height, width=width, whole_height=height, whole_width=width)
    return Picture(pixels=pixels, mask=mask, spacing_mm=spacing_mm, frame=whole)


def harmonised_picture(picture: Picture, modality: ImageModality) -> Picture:
    """Return an image after the modality's steps, in their order.

    Raises `DataError` where an image has no spacing and the modality asks for one, or SimpleITK isn't there.

    >>> steps = ImageModality(name="US", harmonise=("inside-borders", "centre-square"))
    >>> image = np.zeros((1, 40, 60), np.float32); image[:, 5:35, 4:58] = 0.5
    >>> found = harmonised_picture(picture_of(image), steps)
    >>> found.pixels.shape, found.frame.top, found.frame.left
    ((1, 30, 30), 5, 16)
    """
    for step in modality.harmonise:
        picture = _stepped(picture, step, modality)
    return picture


def _stepped(picture: Picture, step: ImageStep, modality: ImageModality) -> Picture:
    """Return an image after one step."""
    pixels = picture.pixels
    match step:
        case ImageStep.INSIDE_BORDERS:
            return picture.cut(content_box(pixels))
        case ImageStep.CENTRE_SQUARE:
            return picture.cut(square_box(pixels))
        case ImageStep.WITHOUT_OVERLAYS:
            return replace(picture, pixels=without_overlays(pixels))
        case ImageStep.FLAT_GAIN:
            return replace(picture, pixels=flat_gain(pixels))
        case ImageStep.BIAS_FIELD:
            return replace(picture, pixels=without_bias(pixels))
        case ImageStep.SPACING:
            return _spaced(picture, modality.spacing_mm or 1.0)
        case ImageStep.MAMMOGRAM:
            return replace(picture, pixels=normalised_mammogram(pixels))
        case ImageStep.GREY_LEVELS:
            return replace(picture, pixels=EVEN.apply(pixels))
        case _:
            assert_never(step)


def _spaced(picture: Picture, to_mm: float) -> Picture:
    """Return an image at another spacing, over the same extent."""
    mask = picture.mask
    return replace(
        picture,
        pixels=resampled(picture.pixels, picture.spacing_mm, to_mm=to_mm),
        mask=None if mask is None else resampled_mask(mask, picture.spacing_mm, to_mm=to_mm),
        spacing_mm=(to_mm, to_mm),
    )
