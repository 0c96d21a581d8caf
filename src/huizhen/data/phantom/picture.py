"""One drawn image with its lesion mask, and what a scanner does to it before it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from huizhen.data.phantom.spec import Photometric, Scanner
from huizhen.data.phantom.texture import Image, slow_noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image as it is stored: `pixels` (rows, columns) uint8 or uint16, `mask` the lesion or None.

    `stem` is the file's name without ending; `side` "L" or "R"; `view` "CC" or "MLO" for mammograms; `phase`
    and `slice` count from 1 for MRI, `frame` for ultrasound; `z_mm` is the slice's place.
    """

    stem: str
    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    mask: NDArray[np.bool_] | None
    side: str
    view: str = ""
    phase: int = 1
    slice: int = 1
    frame: int = 1
    z_mm: float = 0.0
    origin_mm: tuple[float, float] = field(default=(0.0, 0.0))
    """Place of the first pixel's centre in the slice plane (MRI), patient x and y."""


def expose(image: Image, scanner: Scanner, rng: np.random.Generator, *, shade: Image | None = None) -> Image:
    """Return `image` (0 to about 1) with the scanner's blur, shading, grey curve, gain and noise, in [0, 1].

    `shade` is a shading field to share between images; one is drawn if None.
    """
    seen: Image = ndimage.gaussian_filter(image, scanner.blur_px, truncate=3.0) if scanner.blur_px else image
    seen = seen * (shading(image.shape, scanner, rng) if shade is None else shade)
    bright: Image = np.power(np.clip(seen, 0.0, None), np.float32(scanner.contrast))
    seen = scanner.gain * bright + scanner.noise * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.clip(seen, 0.0, 1.0), dtype=np.float32)


def shading(shape: tuple[int, ...], scanner: Scanner, rng: np.random.Generator) -> Image:
    """Return the scanner's slow multiplicative field around 1 over an image of `shape`."""
    field_ = np.tanh(0.7 * slow_noise(rng, (shape[0], shape[1]), 3))
    return np.asarray(1.0 + scanner.bias * field_, dtype=np.float32)


def store(image: Image, scanner: Scanner, *, bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return `image` in [0, 1] as integers of `bits` (8, or 12 kept in 16), inverted for MONOCHROME1."""
    top = (1 << bits) - 1
    shown = 1.0 - image if scanner.photometric is Photometric.MONOCHROME1 else image
    levels = np.rint(shown * top)
    return levels.astype(np.uint8) if bits <= 8 else levels.astype(np.uint16)
