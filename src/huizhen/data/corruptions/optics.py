"""Noise, blur, motion and resolution: what happens before grey values are shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy.fft import dctn, fft, fft2, fftfreq, idctn, ifft, ifft2

from huizhen.data.corruptions.interface import Image, Setting

__all__ = ["blurred", "downsampled", "ghosted", "moved", "noisy"]

CYCLES = 8
"""Breaths, or other periods of motion, while one MR slice is acquired."""
PEAK_SHARE = 0.25
"""The peak of MR motion as a share of the length that other images are smeared over."""


def _shown(values: NDArray[np.floating]) -> Image:
    """Return `values` cut to the display range."""
    found: Image = np.clip(values, 0, 1).astype(np.float32)
    return found


def noisy(pixels: Image, sd: float, rng: np.random.Generator, setting: Setting) -> Image:
    """Return `pixels` (C, H, W) with white noise of standard deviation `sd` a pixel.

    Gaussian; of MR the magnitude of the signal with noise in both channels of the receiver (Rician).
    Reference: Gudbjartsson & Patz, Magn Reson Med 34:910-914 (1995).

    >>> grey = np.full((1, 64, 64), 0.5, np.float32)
    >>> round(float(noisy(grey, 0.1, np.random.default_rng(1), Setting(side=64)).std()), 2)
    0.1
    """
    real = pixels + sd * rng.standard_normal(pixels.shape).astype(np.float32)
    if setting.imaging != "MR":
        return _shown(real)
    other = sd * rng.standard_normal(pixels.shape).astype(np.float32)
    return _shown(np.hypot(real, other) if sd else real)


def blurred(pixels: Image, sd: float, rng: np.random.Generator, setting: Setting) -> Image:
    """Return `pixels` (C, H, W) under a Gaussian of standard deviation `sd` x side, mirrored at the edges.

    By the cosine transform, in which a Gaussian is one factor for each frequency; it keeps the mean.

    >>> spot = np.zeros((1, 9, 9), np.float32); spot[0, 4, 4] = 1
    >>> found = blurred(spot, 0.1, np.random.default_rng(1), Setting(side=9))
    >>> round(float(found.sum()), 2), bool(found[0, 4, 4] < 0.5)
    (1.0, True)
    """
    down, across = (np.pi * np.arange(n) / n for n in pixels.shape[1:])
    power = down[:, None] ** 2 + across[None] ** 2
    kept = np.exp(-0.5 * (sd * setting.side) ** 2 * power)
    found = idctn(dctn(pixels, axes=(1, 2), norm="ortho") * kept, axes=(1, 2), norm="ortho")
    return _shown(found)


def moved(pixels: Image, length: float, rng: np.random.Generator, setting: Setting) -> Image:
    """Return `pixels` (C, H, W) smeared over `length` x side along a drawn direction; MR images with ghosts.

    >>> flat = np.full((1, 8, 8), 0.5, np.float32)
    >>> bool(np.allclose(moved(flat, 0.5, np.random.default_rng(1), Setting(side=8)), flat, atol=1e-6))
    True
    """
    if setting.imaging == "MR":
        return ghosted(pixels, length * PEAK_SHARE, rng, setting)
    angle = rng.uniform(0, np.pi)
    reach = int(np.ceil(length * setting.side / 2)) + 1
    wide = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach)), mode="symmetric")
    down, across = fftfreq(wide.shape[1])[:, None], fftfreq(wide.shape[2])[None]
    smear = np.sinc(length * setting.side * (np.sin(angle) * down + np.cos(angle) * across))
    found = ifft2(fft2(wide, axes=(1, 2)) * smear, axes=(1, 2)).real
    return _shown(found[:, reach:-reach, reach:-reach])


def ghosted(pixels: Image, peak: float, rng: np.random.Generator, setting: Setting) -> Image:
    """Return MR `pixels` (C, H, W) of a patient who moved to and fro by up to `peak` x side.

    Each line of k-space along the phase-encoding axis (drawn: down or across) was taken at its own time, at
    which the patient stood elsewhere: a phase ramp, whose period repeats the image as ghosts. Every channel
    is an acquisition of its own and begins at its own phase of the motion.
    Reference: Zhuo & Gullapalli, RadioGraphics 26:275-297 (2006), on motion.

    >>> flat = np.full((1, 8, 8), 0.5, np.float32)
    >>> ghosted(flat, 0.0, np.random.default_rng(1), Setting(side=8)).tolist() == flat.tolist()
    True
    """
    axis = 1 + int(rng.integers(2))
    starts = rng.uniform(0, 2 * np.pi, len(pixels))
    if not peak:
        return pixels.copy()
    lines = fftfreq(pixels.shape[axis])
    order = np.argsort(np.argsort(lines)) / len(lines)  # when each line was taken: from one edge to the other
    when = 2 * np.pi * CYCLES * order
    found = [
        _shifted_lines(plane, lines, peak * setting.side * np.sin(when + start), axis - 1)
        for plane, start in zip(pixels, starts, strict=True)
    ]
    return _shown(np.stack(found))


def _shifted_lines(
    plane: NDArray[np.float32], lines: NDArray[np.float64], shift: NDArray[np.float64], axis: int
) -> NDArray[np.float64]:
    """Return the magnitude of a plane (H, W) whose k-space lines along `axis` saw it moved by `shift`."""
    ramp = np.exp(-2j * np.pi * lines * shift)
    ramp = ramp[:, None] if axis == 0 else ramp[None]
    return np.asarray(np.abs(ifft(fft(plane, axis=axis) * ramp, axis=axis)))


def downsampled(pixels: Image, factor: float, rng: np.random.Generator, setting: Setting) -> Image:
    """Return `pixels` (C, H, W) as a detector with pixels `factor` times as long would show them.

    Averaged over the larger pixels, then brought back to the old grid, bilinear.

    >>> board = (np.indices((8, 8)).sum(0) % 2).astype(np.float32)[None]
    >>> np.unique(downsampled(board, 2.0, np.random.default_rng(1), Setting(side=8))).tolist()
    [0.5]
    """
    if factor == 1:
        return pixels.copy()
    height, width = pixels.shape[1:]
    small = max(1, round(width / factor)), max(1, round(height / factor))
    found = [
        np.asarray(
            Picture.fromarray(np.ascontiguousarray(plane))
            .resize(small, Picture.Resampling.BOX)
            .resize((width, height), Picture.Resampling.BILINEAR)
        )
        for plane in pixels
    ]
    return _shown(np.stack(found))
