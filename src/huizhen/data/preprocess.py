"""From pixels as read to the square that a network sees, and back.

The image is scaled to fit (aspect kept, anti-aliased), centred, and zero padded. `Letterbox` holds that
geometry, so that a heatmap over the square returns to the image's own resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from huizhen.core.study import Phases
from huizhen.errors import InvalidInputError

PREPROCESSING_VERSION = "letterbox-bilinear-1"
"""Part of every cache key and model card: it changes whenever the same pixels would come out differently."""

LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""

MAX_CHANNELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where what is left of an image lies in it: `height` x `width` pixels from `top`, `left`."""

    top: int
    left: int
    height: int
    width: int
    whole_height: int
    whole_width: int

    def over(self, found: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a map (height, width) over the whole image, 0 outside.

        >>> frame = Frame(top=1, left=0, height=1, width=2, whole_height=2, whole_width=3)
        >>> frame.over(np.ones((1, 2), np.float32)).tolist()
        [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
        """
        whole = np.zeros((self.whole_height, self.whole_width), np.float32)
        whole[self.top : self.top + self.height, self.left : self.left + self.width] = found
        return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox:
    """Where an image of `height` x `width` pixels lies in a square of `size` pixels.

    `frame`: where that image lies in the one that was read, where some of it was cut off or it was resampled.

    >>> box = Letterbox(height=100, width=200, size=64)
    >>> box.inner_height, box.inner_width, box.top, box.left
    (32, 64, 16, 0)
    """

    height: int
    width: int
    size: int
    frame: Frame | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.size) < 1:
            raise InvalidInputError(
                f"an image of {self.height} x {self.width} pixels can't be put into {self.size}",
                remedy="give an image and a square of at least one pixel",
            )

    @property
    def inner_height(self) -> int:
        """Rows of the square that the image covers."""
        return max(1, round(self.height * self.size / max(self.height, self.width)))

    @property
    def inner_width(self) -> int:
        """Columns of the square that the image covers."""
        return max(1, round(self.width * self.size / max(self.height, self.width)))

    @property
    def top(self) -> int:
        """Empty rows above the image."""
        return (self.size - self.inner_height) // 2

    @property
    def left(self) -> int:
        """Empty columns left of the image."""
        return (self.size - self.inner_width) // 2

    @property
    def inner(self) -> tuple[slice, slice]:
        """The rows and columns of the square that the image covers."""
        return (
            slice(self.top, self.top + self.inner_height),
            slice(self.left, self.left + self.inner_width),
        )

    def to_native(self, heatmap: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return `heatmap` (size, size) over the square as it lies over the image that was read, bilinear.

        Raises `InvalidInputError` on another shape.
        """
        if heatmap.shape != (self.size, self.size):
            raise InvalidInputError(
                f"the heatmap is {heatmap.shape}, the square {self.size}",
                remedy="scale it to the square first",
            )
        inner = heatmap[self.inner].astype(np.float32)
        if self.frame is None:
            return _resize(inner, height=self.height, width=self.width)
        return self.frame.over(_resize(inner, height=self.frame.height, width=self.frame.width))


def subtracted(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (3, H, W) phases before, early and late as subtraction images, unclipped.

    Twice the early enhancement (early less before), twice the late one (late less before), and half plus
    twice their difference (late less early: above half it still rises, below half it washes out).
    Radiologists read subtraction images for the same reason: what is in every phase is gone.

    >>> subtracted(np.array([0.25, 0.5, 0.375], np.float32).reshape(3, 1, 1)).ravel().tolist()
    [0.5, 0.25, 0.25]
    """
    before, early, late = pixels
    return np.stack([2 * (early - before), 2 * (late - before), 0.5 + 2 * (late - early)])


ENHANCEMENT_SCALE = 0.4
TISSUE_PERCENTILE = 95.0


def enhancement(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (3, H, W) phases before, early and late as relative enhancement, unclipped.

    Early and late less before, and half plus late less early, each times 0.4 and divided by the signal before
    contrast plus half of the image's tissue level (its 95th percentile before contrast), which keeps noise
    in the dark from growing. Any gain of the scanner falls out, most of a slow shading too. A lesion that
    doubles its signal early comes out at about 0.3.

    >>> phases = np.array([0.25, 0.5, 0.375], np.float32).reshape(3, 1, 1)
    >>> enhancement(phases).ravel().round(3).tolist() == enhancement(phases / 2).ravel().round(3).tolist()
    True
    """
    before, early, late = pixels
    tissue = np.float32(np.percentile(before, TISSUE_PERCENTILE))
    unit = ENHANCEMENT_SCALE / np.maximum(before + tissue / 2, np.float32(1e-3))
    return np.stack([unit * (early - before), unit * (late - before), 0.5 + unit * (late - early)])


def letterbox(
    pixels: NDArray[np.float32], *, size: int, channels: int, phases: Phases = Phases.AS_READ
) -> NDArray[np.uint8]:
    """Return `pixels` (C, H, W) in [0, 1] as (channels, size, size) in 0..255; `phases` become what it says.

    Values outside [0, 1] are clipped. Raises `InvalidInputError` on another shape, on values that are not
    finite, or when C channels can't become `channels` (see `channels_fit`).

    >>> letterbox(np.ones((1, 2, 4), np.float32), size=4, channels=1)[0].tolist()
    [[0, 0, 0, 0], [255, 255, 255, 255], [255, 255, 255, 255], [0, 0, 0, 0]]
    """
    if pixels.ndim != 3 or not np.isfinite(pixels).all():
        raise InvalidInputError(
            f"pixels of shape {pixels.shape} are not a finite (C, H, W) image", remedy="exclude the image"
        )
    box = Letterbox(height=pixels.shape[1], width=pixels.shape[2], size=size)
    square = np.zeros((channels, size, size), dtype=np.uint8)
    planes = to_channels(pixels, channels)
    match phases:
        case Phases.SUBTRACTION:
            planes = subtracted(planes)
        case Phases.ENHANCEMENT:
            planes = enhancement(planes)
        case Phases.AS_READ:
            pass
    for plane, image in enumerate(planes):
        scaled = _resize(image, height=box.inner_height, width=box.inner_width)
        square[plane][box.inner] = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return square


def letterbox_mask(mask: NDArray[np.bool_], *, size: int) -> NDArray[np.bool_]:
    """Return a lesion `mask` (H, W) as (size, size): a pixel is set when half of it or more is lesion.

    A lesion too small for that keeps its best covered pixel, so that none vanishes.

    >>> letterbox_mask(np.eye(8, dtype=bool), size=2).tolist()
    [[True, False], [False, True]]
    """
    box = Letterbox(height=mask.shape[0], width=mask.shape[1], size=size)
    square = np.zeros((size, size), dtype=np.bool_)
    if not mask.any():
        return square
    covered = _resize(
        mask.astype(np.float32), height=box.inner_height, width=box.inner_width, how=Image.Resampling.BOX
    )
    square[box.inner] = covered >= min(0.5, float(covered.max()))
    return square


def channels_fit(found: int, wanted: int) -> bool:
    """Tell whether an image of `found` channels can be given as `wanted`: the same, or from or to grey.

    >>> channels_fit(1, 3), channels_fit(3, 1), channels_fit(2, 3)
    (True, True, False)
    """
    return 1 <= found <= MAX_CHANNELS and (found == wanted or 1 in (found, wanted))


def to_channels(pixels: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return `pixels` (C, H, W) with `channels` channels: grey repeated, colour as luminance, two averaged.

    Raises `InvalidInputError` when they don't fit.
    """
    found = pixels.shape[0]
    if not channels_fit(found, channels):
        raise InvalidInputError(
            f"an image of {found} channels can't be given as {channels}",
            remedy="set the modality's channels to what its images hold, or to 1",
            field="channels",
        )
    if found == channels:
        return pixels
    if found == 1:
        return np.broadcast_to(pixels, (channels, *pixels.shape[1:]))
    weights = LUMINANCE if found == MAX_CHANNELS else np.full(found, 1 / found, dtype=np.float32)
    grey: NDArray[np.float32] = np.einsum("chw,c->hw", pixels, weights)
    return grey[None]


def _resize(
    image: NDArray[np.float32], *, height: int, width: int, how: Image.Resampling = Image.Resampling.BILINEAR
) -> NDArray[np.float32]:
    """Scale one float32 plane; Pillow widens the filter when it shrinks, which is what anti-aliases."""
    if image.shape == (height, width):
        return np.asarray(image, dtype=np.float32)
    plane = Image.fromarray(np.ascontiguousarray(image, dtype=np.float32))
    return np.asarray(plane.resize((width, height), how), dtype=np.float32)
