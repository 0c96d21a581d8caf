"""Intensity landmarks: every image's grey levels mapped piecewise linearly to a standard scale.

Fitted on training images: each image's percentiles, mapped so that its outermost two meet 0 and 1, are
averaged into the standard scale. An image is then mapped so that its own percentiles meet these. Works where
grey levels have no unit, as in MRI and ultrasound.

References: Nyul & Udupa, Magn Reson Med 42:1072-1081 (1999); Nyul, Udupa & Zhang, IEEE Trans Med Imaging
19:143-150 (2000), with deciles as landmarks; Shah et al., Med Image Anal 15:267-282 (2011).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError

__all__ = ["DECILES", "Landmarks", "fit_landmarks", "image_landmarks"]

Floats = NDArray[np.float64]

DECILES = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 99.0)
"""The percentiles of Nyul, Udupa & Zhang (2000): the scale's ends, and the deciles between them."""
APART = 1e-6
"""How far landmarks must be from each other, as a share of their range, so that the map has a slope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """The standard scale: where each of the `percentiles` of an image goes, from 0 to 1, rising."""

    percentiles: tuple[float, ...]
    standard: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = np.diff(self.percentiles) if len(self.percentiles) > 1 else np.zeros(1)
        if (rising <= 0).any() or len(self.standard) != len(self.percentiles):
            raise InvalidInputError(
                "landmarks don't rise, or there are fewer than two",
                remedy="fit them again",
                field="landmarks",
            )
        if not np.isfinite(self.standard).all() or (np.diff(self.standard) <= 0).any():
            raise InvalidInputError(
                "a standard scale doesn't rise", remedy="fit it on images with contrast", field="landmarks"
            )

    def apply(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `pixels` (C, H, W) on the standard scale, cut to [0, 1], by one map for all channels.

        So contrast phases keep their order. Pixels of exactly 0 are background and stay so. An image without
        contrast comes back as it is. Raises `InvalidInputError` on values that aren't finite.

        >>> both = Landmarks(percentiles=(0.0, 100.0), standard=(0.0, 1.0))
        >>> both.apply(np.array([[[0.2, 0.4]]], np.float32)).ravel().round(4).tolist()
        [0.0, 1.0]
        """
        own = image_landmarks(pixels, self.percentiles)
        if own is None:
            return pixels
        shown = pixels != 0
        found = np.zeros(pixels.shape, np.float32)
        found[shown] = extended(pixels[shown].astype(np.float64), own, np.array(self.standard))
        return np.clip(found, 0, 1)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for the model's card."""
        return {"percentiles": list(self.percentiles), "standard": list(self.standard)}

    @classmethod
    def from_json(cls, record: Any) -> Landmarks:
        """Return what `to_json` gave. Raises `InvalidInputError` on anything else."""
        try:
            return cls(
                percentiles=tuple(float(v) for v in record["percentiles"]),
                standard=tuple(float(v) for v in record["standard"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(
                "is no standard scale", remedy="fetch the model again", field="landmarks"
            ) from error


def image_landmarks(pixels: NDArray[np.floating], percentiles: tuple[float, ...] = DECILES) -> Floats | None:
    """Return the percentiles (k,) of the pixels that aren't 0, of all channels; None without contrast.

    Equal neighbours are moved apart by a millionth of the range, so that they rise. Raises
    `InvalidInputError` on values that aren't finite.
    """
    if not np.isfinite(pixels).all():
        raise InvalidInputError("pixels hold NaN or infinity", remedy="exclude the image", field="pixels")
    shown = pixels[pixels != 0]
    if not shown.size:
        return None
    found = np.percentile(shown.astype(np.float64), percentiles)
    reach = found[-1] - found[0]
    if reach <= 0:
        return None
    rising: Floats = np.maximum.accumulate(found) + APART * reach * np.arange(len(found))
    return rising


def fit_landmarks(
    images: Iterable[NDArray[np.floating]], percentiles: tuple[float, ...] = DECILES
) -> Landmarks:
    """Return the standard scale of training `images` (C, H, W): the mean of their mapped landmarks.

    Raises `NotEstimableError` when no image has contrast.

    >>> fit_landmarks([np.arange(1.0, 102.0).reshape(1, 1, -1)], (0.0, 50.0, 100.0)).standard
    (0.0, 0.5, 1.0)
    """
    mapped: list[Floats] = []
    for image in images:
        own = image_landmarks(image, percentiles)
        if own is not None:
            mapped.append((own - own[0]) / (own[-1] - own[0]))
    if not mapped:
        raise NotEstimableError(
            "no training image has contrast to learn a grey scale from", remedy="check the images"
        )
    mean: Floats = np.mean(mapped, axis=0)
    return Landmarks(percentiles=percentiles, standard=tuple(round(float(v), 9) for v in mean))


def extended(values: Floats, own: Floats, standard: Floats) -> Floats:
    """Return `values` (n,) on the lines between landmarks `own` -> `standard`; the outermost lines go on.

    >>> extended(np.array([-1.0, 1.0, 5.0]), np.array([0.0, 2.0, 4.0]), np.array([0.0, 1.0, 4.0])).tolist()
    [-0.5, 0.5, 5.5]
    """
    place = np.clip(np.searchsorted(own, values, side="right") - 1, 0, len(own) - 2)
    slope = np.diff(standard) / np.diff(own)
    found: Floats = standard[place] + (values - own[place]) * slope[place]
    return found
