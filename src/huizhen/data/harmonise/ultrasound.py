"""Ultrasound: what the machine, its operator and the export put into an image, taken out one by one.

Black borders (`inside_borders`), the image's own aspect (`centre_square`), writing and marks
(`without_overlays`), time gain (`flat_gain`) and sharpness (`Resolution`). Each is a pure function of pixels
(C, H, W) in [0, 1]; only the resolution is fitted, on training images.

The depth gain and the speckle's correlation length that are evened out here are those of the image formation
model in Wagner et al., IEEE Trans Sonics Ultrason 30:156-163 (1983); matching spectra follows Castleman,
Digital Image Processing (1996), ch. 11.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, NotEstimableError

__all__ = [
    "Resolution",
    "centre_square",
    "content_box",
    "fit_resolution",
    "flat_gain",
    "inside_borders",
    "radial_amplitude",
    "square_box",
    "without_overlays",
]

Pixels = NDArray[np.float32]
Floats = NDArray[np.float64]

DARK = 6 / 255
"""A pixel up to this is black: exports by JPEG leave borders not quite 0."""
LIT = 0.02
"""A row or column with at least this share of pixels above `DARK` belongs to the image."""
SMALLEST = 16
"""An image whose content would have fewer pixels a side is left as it is."""
BRIGHT, ABOVE, NEAR = 0.55, 0.3, 9
"""Writing: at least this bright, and this much above the median of the square of so many pixels around."""
GAIN_SCALE, STRONGEST = 0.12, 3.0
"""The smoothing of the depth profile as a share of the depth, and the largest gain that is given or taken."""
RINGS = 24
KEPT_BELOW = 3.0
"""Cycles an image up to which amplitudes stay as they are: lesions, not speckle."""
LARGEST_FILTER = 4.0


def content_box(pixels: Pixels) -> tuple[slice, slice]:
    """Return the rows and columns of `pixels` (C, H, W) inside black borders; all of it if nothing is left.

    >>> image = np.zeros((1, 40, 60), np.float32); image[:, 10:30, 5:50] = 0.5
    >>> content_box(image)
    (slice(10, 30, None), slice(5, 50, None))
    """
    lit = pixels.max(0) > DARK
    ends = []
    for axis in (1, 0):
        there = np.flatnonzero(lit.mean(axis) >= LIT)
        if len(there) < SMALLEST:
            return slice(0, lit.shape[0]), slice(0, lit.shape[1])
        ends.append(slice(int(there[0]), int(there[-1]) + 1))
    return ends[0], ends[1]


def inside_borders(pixels: Pixels) -> Pixels:
    """Return `pixels` (C, H, W) cut to what lies inside black borders."""
    rows, columns = content_box(pixels)
    return pixels[:, rows, columns]


def centre_square(pixels: Pixels) -> Pixels:
    """Return the middle square of `pixels` (C, H, W), so that the aspect tells no site.

    >>> centre_square(np.zeros((1, 4, 8), np.float32)).shape
    (1, 4, 4)
    """
    rows, columns = square_box(pixels)
    return pixels[:, rows, columns]


def square_box(pixels: Pixels) -> tuple[slice, slice]:
    """Return the rows and columns of the middle square of `pixels` (C, H, W).

    >>> square_box(np.zeros((1, 4, 8), np.float32))
    (slice(0, 4, None), slice(2, 6, None))
    """
    _, height, width = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return slice(top, top + side), slice(left, left + side)


def without_overlays(pixels: Pixels) -> Pixels:
    """Return `pixels` (C, H, W) with bright strokes (writing, callipers, marks) at the level around them.

    A pixel is a stroke's when it is bright and far above the median around it; its neighbours go with it.
    """
    from scipy.ndimage import binary_dilation, median_filter

    grey = pixels.mean(0)
    around = median_filter(grey, NEAR, mode="nearest")
    stroke = (grey >= BRIGHT) & (grey - around >= ABOVE)
    stroke = binary_dilation(stroke, iterations=1) & (grey > around)
    found = pixels.copy()
    found[:, stroke] = around[stroke]
    return found


def flat_gain(pixels: Pixels) -> Pixels:
    """Return `pixels` (C, H, W) whose mean at each depth is the image's mean: time gain taken out.

    The profile over depth (rows) is smoothed over an eighth of it, so that no single structure is evened out;
    nothing is made more than 3 times brighter or darker.
    """
    from scipy.ndimage import gaussian_filter1d

    grey = pixels.mean(0).astype(np.float64)
    profile = gaussian_filter1d(grey.mean(1), GAIN_SCALE * len(grey), mode="nearest")
    mean = grey.mean()
    if mean <= 0:
        return pixels
    gain = np.clip(mean / np.maximum(profile, mean / 100), 1 / STRONGEST, STRONGEST)
    found: Pixels = np.clip(pixels * gain[None, :, None], 0, 1).astype(np.float32)
    return found


def radial_amplitude(plane: NDArray[np.floating], rings: int = RINGS) -> Floats:
    """Return the mean amplitude (rings,) of a square's spectrum by frequency, from 0 to half the sampling.

    The mean is taken off and the rim faded out (Hann), so that the borders' cross doesn't count.
    """
    amplitude, ring = _spectrum(plane, rings)
    inside = ring < rings
    total = np.bincount(ring[inside], amplitude[inside], minlength=rings)
    found: Floats = total / np.maximum(np.bincount(ring[inside], minlength=rings), 1)
    return found


def _spectrum(plane: NDArray[np.floating], rings: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return a plane's amplitudes and each frequency's ring."""
    values = np.asarray(plane, np.float64)
    fade = np.outer(np.hanning(values.shape[0] + 2)[1:-1], np.hanning(values.shape[1] + 2)[1:-1])
    amplitude = np.abs(np.fft.fft2((values - values.mean()) * fade))
    return amplitude.ravel(), np.minimum((_radius(values.shape) * 2 * rings).astype(np.int64), rings).ravel()


def _radius(shape: tuple[int, ...]) -> Floats:
    """Return each frequency's distance from 0, in cycles a pixel."""
    found: Floats = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The training images' mean spectrum `amplitude` (rings,), relative to its total, that images are given.

    An image finer than it is blurred, a coarser one sharpened, by at most `LARGEST_FILTER`; what is below
    `KEPT_BELOW` cycles an image stays.
    """

    amplitude: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.amplitude) < 2 or not np.isfinite(self.amplitude).all() or min(self.amplitude) <= 0:
            raise InvalidInputError(
                "is no spectrum", remedy="fit it on images with contrast", field="resolution"
            )

    def apply(self, pixels: Pixels) -> Pixels:
        """Return `pixels` (C, H, W) with this spectrum by frequency; one without contrast as it is."""
        return np.stack([self._plane(plane) for plane in pixels]).astype(np.float32)

    def _plane(self, plane: Pixels) -> Floats:
        own = radial_amplitude(plane, len(self.amplitude))
        if own.sum() <= 0:
            return plane.astype(np.float64)
        wanted = np.array(self.amplitude) * own.sum()
        ratio = np.clip(wanted / np.maximum(own, 1e-9 * own.sum()), 1 / LARGEST_FILTER, LARGEST_FILTER)
        radius = _radius(plane.shape)
        centres = (np.arange(len(ratio)) + 0.5) / (2 * len(ratio))
        gain = np.exp(np.interp(radius, centres, np.log(ratio)))
        gain[radius * max(plane.shape) <= KEPT_BELOW] = 1.0
        found = np.fft.ifft2(np.fft.fft2(plane.astype(np.float64)) * gain).real
        cut: Floats = np.clip(found, 0, 1)
        return cut

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for the model's card."""
        return {"amplitude": list(self.amplitude)}

    @classmethod
    def from_json(cls, record: Any) -> Resolution:
        """Return what `to_json` gave. Raises `InvalidInputError` on anything else."""
        try:
            return cls(amplitude=tuple(float(v) for v in record["amplitude"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(
                "is no spectrum", remedy="fetch the model again", field="resolution"
            ) from error


def fit_resolution(images: Iterable[Pixels], rings: int = RINGS) -> Resolution:
    """Return the mean spectrum of training `images` (C, H, W) of one size, each relative to its total.

    Raises `NotEstimableError` when none has contrast.
    """
    found = []
    for image in images:
        for plane in image:
            own = radial_amplitude(plane, rings)
            if own.sum() > 0:
                found.append(np.log(np.maximum(own / own.sum(), 1e-9)))
    if not found:
        raise NotEstimableError(
            "no training image has contrast to learn a resolution from", remedy="check them"
        )
    mean = np.exp(np.mean(found, axis=0))
    return Resolution(amplitude=tuple((mean / mean.sum()).tolist()))
