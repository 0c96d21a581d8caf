"""Grey textures and edges that all three modalities draw with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]


def soft_step(values: NDArray[np.floating], width: float = 1.0) -> Image:
    """Return the logistic step of `values` / `width`, safe against overflow.

    >>> soft_step(np.array([-100.0, 0.0, 100.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    scaled = np.clip(np.asarray(values, dtype=np.float32) / np.float32(width), -40.0, 40.0)
    step = 1.0 / (1.0 + np.exp(-scaled))
    return np.where(step < 1e-15, 0.0, step).astype(np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float | tuple[float, ...]) -> Image:
    """Return Gaussian noise smoothed by `sigma` (pixels, one or one an axis), with mean 0 and deviation 1.

    Axes smoothed by 2 pixels or more are drawn at half the resolution and interpolated: a third of the time.
    """
    widths = sigma if isinstance(sigma, tuple) else (sigma,) * len(shape)
    halved = [axis for axis, width in enumerate(widths) if width >= 2.0]
    coarse = [(n + 1) // 2 if axis in halved else n for axis, n in enumerate(shape)]
    narrow = [w / 2 if axis in halved else w for axis, w in enumerate(widths)]
    field = ndimage.gaussian_filter(
        rng.standard_normal(coarse, dtype=np.float32), narrow, mode="wrap", truncate=3.0
    )
    for axis in halved:
        field = _doubled(field, axis, shape[axis])
    return np.asarray((field - field.mean()) / (field.std() + np.float32(1e-9)), dtype=np.float32)


def _doubled(field: Image, axis: int, length: int) -> Image:
    """Return `field` with twice the samples along `axis`, the new ones halfway between, cut to `length`."""
    middle = 0.5 * (field + np.roll(field, -1, axis=axis))
    paired = np.stack([field, middle], axis=axis + 1)
    grown = paired.reshape(*field.shape[:axis], 2 * field.shape[axis], *field.shape[axis + 1 :])
    return np.asarray(np.take(grown, range(length), axis=axis), dtype=np.float32)


def slow_noise(rng: np.random.Generator, shape: tuple[int, int], waves: int) -> Image:
    """Return slow noise over `shape`: cosines of up to `waves` half periods, mean 0, deviation 1."""
    field = np.zeros(shape, dtype=np.float32)
    rows, columns = (np.arange(n, dtype=np.float32)[None, :] + 0.5 for n in shape)
    orders = np.arange(waves + 1, dtype=np.float32)[:, None]
    down, across = np.cos(np.pi * orders * rows / shape[0]), np.cos(np.pi * orders * columns / shape[1])
    weights = rng.standard_normal((waves + 1, waves + 1), dtype=np.float32) / (1.0 + orders + orders.T)
    for k in range(waves + 1):  # sums, not a matrix product: its last bit may depend on the number of threads
        field += down[k][:, None] * (weights[k][:, None] * across).sum(axis=0)[None, :]
    return np.asarray((field - field.mean()) / (field.std() + np.float32(1e-9)), dtype=np.float32)


def strands(noise: Image, width: float) -> Image:
    """Return thin curved lines in (0, 1]: where smooth `noise` crosses zero, as ligaments and septa run."""
    return np.asarray(np.exp(-((noise / np.float32(width)) ** 2)), dtype=np.float32)


def wavy_radius(angle: Image, amplitudes: NDArray[np.floating], phases: NDArray[np.floating]) -> Image:
    """Return a closed outline's relative radius at each `angle` (radians): 1 + waves of order 2, 3, ...

    `amplitudes`, `phases` (k,): one a wave. Never below 0.4.
    """
    radius = np.ones_like(angle)
    for order, (amplitude, phase) in enumerate(zip(amplitudes, phases, strict=True), start=2):
        radius += np.float32(amplitude) * np.cos(order * angle + np.float32(phase))
    return np.maximum(radius, np.float32(0.4))
