"""Grey values as another display or another scanner gives them: gamma, transfer, gain, speckle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from huizhen.data.corruptions.interface import Image, Setting

__all__ = ["LEVELS", "distance", "gamma_changed", "rescanned", "transfer"]

LEVELS = 256
STOPS = 1.0
"""Where there is no other site, the other scanner shows everything twice as bright at the last step."""
SPECKLE_SD, SPECKLE_GRAIN = 0.3, 0.012
"""Of ultrasound: the added speckle's standard deviation in natural logarithms at the last step, and the
standard deviation of its grain as a share of the longer side."""


def gamma_changed(pixels: Image, gamma: float, rng: np.random.Generator, setting: Setting) -> Image:
    """Return `pixels` (C, H, W) to the power `gamma` or 1 / `gamma`; which of them is drawn.

    >>> grey = np.full((1, 2, 2), 0.25, np.float32)
    >>> sorted({float(gamma_changed(grey, 2.0, np.random.default_rng(k), Setting(side=2))[0, 0, 0])
    ...     for k in range(8)})
    [0.0625, 0.5]
    """
    power = gamma if rng.random() < 0.5 else 1 / gamma
    return np.asarray(pixels**power, dtype=np.float32)


def rescanned(pixels: Image, share: float, rng: np.random.Generator, setting: Setting) -> Image:
    """Return `pixels` (C, H, W) gone a `share` of the way to another scanner's grey values.

    Those of `setting.transfer`; without one, `STOPS` of gain, cut off at white. Ultrasound gets speckle of
    another grain too: a log-normal factor, smooth over `SPECKLE_GRAIN`.

    >>> grey = np.full((1, 2, 2), 0.25, np.float32)
    >>> float(rescanned(grey, 1.0, np.random.default_rng(1), Setting(side=2))[0, 0, 0])
    0.5
    """
    if setting.transfer is None:
        shown = np.minimum(pixels * np.float32(2.0 ** (STOPS * share)), 1)
    else:
        there = np.interp(pixels * (LEVELS - 1), np.arange(LEVELS), setting.transfer)
        shown = (1 - share) * pixels + share * there
    if setting.imaging == "US" and share:
        shown = shown * np.exp(SPECKLE_SD * share * _grain(pixels.shape, rng, setting))
    found: Image = np.clip(shown, 0, 1).astype(np.float32)
    return found


def _grain(shape: tuple[int, ...], rng: np.random.Generator, setting: Setting) -> NDArray[np.float64]:
    """Return smooth normal noise (C, H, W) with a standard deviation of 1."""
    down, across = (np.pi * np.arange(n) / n for n in shape[1:])
    kept = np.exp(-0.5 * (SPECKLE_GRAIN * setting.side) ** 2 * (down[:, None] ** 2 + across[None] ** 2))
    rough = dctn(rng.standard_normal(shape), axes=(1, 2), norm="ortho")
    noise = idctn(rough * kept, axes=(1, 2), norm="ortho")
    return np.asarray(noise / max(float(noise.std()), 1e-12))


def transfer(own: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return what another scanner shows (256,) in [0, 1] at each of this one's 256 grey levels.

    `own`, `other` (256,): how often each level is shown; ranks are kept, by the middle of each level's share.
    Reference: Nyul & Udupa, Magn Reson Med 42:1072-1081 (1999), here with all 256 landmarks.

    >>> dark, light = np.zeros(256), np.zeros(256)
    >>> dark[:128], light[128:] = 1, 1
    >>> map_up = transfer(dark, light)
    >>> round(float(map_up[0] * 255)), round(float(map_up[127] * 255))
    (128, 255)
    """
    ranks = [(np.cumsum(h) - np.asarray(h, float) / 2) / max(float(np.sum(h)), 1e-12) for h in (own, other)]
    shown = np.asarray(other) > 0
    levels = np.arange(LEVELS)[shown] / (LEVELS - 1)
    found: NDArray[np.float32] = np.interp(ranks[0], ranks[1][shown], levels).astype(np.float32)
    return found


def distance(own: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return how far apart two histograms (256,) lie: the mean shift of grey values, in [0, 1].

    That is Wasserstein's distance of order 1.

    >>> dark, light = np.zeros(256), np.zeros(256)
    >>> dark[0], light[255] = 1, 1
    >>> distance(dark, light)
    1.0
    """
    shares = [np.cumsum(h) / max(float(np.sum(h)), 1e-12) for h in (own, other)]
    return float(np.abs(shares[0] - shares[1])[:-1].sum() / (LEVELS - 1))
