"""Ultrasound: B-scans of the lesion by a linear probe, skin at the top, chest wall below.

Echoes are complex Gaussian scatterers under a point spread (narrow along the beam, wider across), so that
their envelope is Rayleigh distributed, and are log-compressed. With the rendered evidence the mass goes from
wide, smooth and bright behind to taller than wide, ragged and shadowing.
Reference for the speckle model: Wagner et al., IEEE Trans Sonics Ultrason 30:156-163 (1983).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from huizhen.data.phantom.breast import Breast, Traits
from huizhen.data.phantom.picture import Picture, shading, store
from huizhen.data.phantom.spec import Scanner
from huizhen.data.phantom.texture import Image, slow_noise, smooth_noise, soft_step, strands, wavy_radius

FRAMES = 2
_RANGE_DB = 52.0
"""Dynamic range that the grey scale shows."""


def frames(breast: Breast, traits: Traits, scanner: Scanner, rng: np.random.Generator) -> list[Picture]:
    """Return `FRAMES` scans across the lesion in planes that cross, square, `scanner.rows` high, 8 bits."""
    layers = _Layers.draw(traits, rng)
    waves, phases = rng.uniform(0.5, 1.0, 6), rng.uniform(0, 2 * np.pi, (FRAMES, 6))
    result = []
    for k in range(FRAMES):
        echo, mask = _anatomy(breast, traits, scanner, layers, rng, k, waves, phases[k])
        pixels = store(_scan(echo, scanner, rng), scanner, bits=8)
        result.append(Picture(stem=f"US-{k + 1}", pixels=pixels, mask=mask, side=breast.side, frame=k + 1))
    return result


class _Layers(NamedTuple):
    """Depths in mm of what lies across the whole picture, and how much sound the tissue swallows."""

    fat: float
    """Lower edge of the fat under the skin."""
    gland: float
    """Lower edge of the glandular layer."""
    muscle: float
    """Lower edge of the pectoral muscle."""
    loss_db_per_mm: float

    @classmethod
    def draw(cls, traits: Traits, rng: np.random.Generator) -> _Layers:
        fat = 3.5 + 11.0 * traits.obscurity + rng.uniform(-0.7, 0.7)
        gland = 54.0 + rng.uniform(-2.0, 2.0)
        loss = 0.02 + 0.30 * traits.obscurity + rng.uniform(-0.02, 0.02)
        return cls(fat=fat, gland=gland, muscle=gland + 9.0, loss_db_per_mm=float(loss))


def _anatomy(
    breast: Breast,
    traits: Traits,
    scanner: Scanner,
    layers: _Layers,
    rng: np.random.Generator,
    plane: int,
    waves: NDArray[np.float64],
    phases: NDArray[np.float64],
) -> tuple[Image, NDArray[np.bool_] | None]:
    """Return the echo strength in dB over the picture, and the lesion's mask."""
    n = scanner.rows
    across = ((np.arange(n, dtype=np.float32) - (n - 1) / 2) * scanner.spacing_mm)[None, :]  # (1, n)
    deep = (np.arange(n, dtype=np.float32) * scanner.spacing_mm)[:, None]  # (n, 1)
    centre = (float(rng.uniform(-5.0, 5.0)), 15.0 + 18.0 * traits.depth)
    echo = _tissue(across - centre[0], deep, breast, traits, layers, rng, plane)
    echo = echo - layers.loss_db_per_mm * deep
    if not traits.lesion:
        return echo.astype(np.float32), None
    return _with_lesion(echo, across - centre[0], deep - centre[1], traits, waves, phases)


def _tissue(
    across: Image,
    deep: Image,
    breast: Breast,
    traits: Traits,
    layers: _Layers,
    rng: np.random.Generator,
    plane: int,
) -> Image:
    """Return the echo strength (dB, 0 is bright) of skin, fat, gland, muscle and chest wall."""
    shape = (deep.shape[0], across.shape[1])
    wave = slow_noise(rng, shape, 4)
    depth = deep + 1.2 * wave
    x, y, z = breast.lesion_mm
    along = np.broadcast_to(np.clip(y + 22.0 - deep, 3.0, None), shape)
    wide, still = np.broadcast_to(across, shape), np.zeros(shape, dtype=np.float32)
    dx, dz = (wide, still) if plane == 0 else (still, wide)
    gland = breast.gland_at(x + dx, along, z + dz)
    septa = strands(smooth_noise(rng, shape, (3.0, 9.0)), 0.16)
    fat = -27.0 + 11.0 * septa
    parenchyma = fat + (0.4 + 0.6 * gland) * (9.0 + 6.0 * traits.density)
    echo = np.where(depth < layers.fat, fat, parenchyma)
    echo = np.where(depth > layers.gland - 5.0, fat, echo)
    fibres = strands(smooth_noise(rng, shape, (0.8, 14.0)), 0.35)
    echo = np.where(depth > layers.gland, -27.0 + 13.0 * fibres, echo)
    echo = np.where(depth > layers.muscle, -40.0 + 6.0 * septa, echo)
    for edge, bright in ((layers.gland, 16.0), (layers.muscle, 26.0)):
        echo = echo + bright * np.exp(-(((depth - edge) / 0.7) ** 2))
    return np.where(deep < 2.2, -4.0 + 3.0 * np.cos(deep * 2.9), echo).astype(np.float32)


def _with_lesion(
    echo: Image,
    across: Image,
    deep: Image,
    traits: Traits,
    waves: NDArray[np.float64],
    phases: NDArray[np.float64],
) -> tuple[Image, NDArray[np.bool_]]:
    """Draw the mass and what it does to the sound behind it; `across`, `deep` are mm from its centre."""
    strength = traits.strength["US"]
    tall = 0.58 * (1.50 / 0.58) ** strength  # height over width
    wide, high = traits.radius_mm / np.sqrt(tall), traits.radius_mm * np.sqrt(tall)
    angle = np.arctan2(deep / high, across / wide).astype(np.float32)
    outline = wavy_radius(angle, 0.012 + 0.10 * strength * waves, phases)
    depth = np.hypot(across / wide, deep / high) / outline
    body = soft_step((1.0 - depth) * traits.radius_mm, 0.35 + 0.5 * strength)
    behind = soft_step(deep - 0.55 * high, 0.18 * high) * soft_step(0.92 * wide - np.abs(across), 0.14 * wide)
    behind = behind * np.exp(-np.clip(deep - high, 0.0, None) / 45.0) * (1.0 - body)
    shadow = 13.0 - 37.0 * strength  # dB: enhancement when benign-looking, shadow when malignant
    rim = np.exp(-(((depth - 1.06) / 0.07) ** 2))
    echo = echo * (1 - body) + body * (-33.0 - 4.0 * strength) + shadow * behind
    echo = echo + rim * (5.0 * (1 - strength) * np.clip(np.abs(np.sin(angle)), 0, 1) + 7.0 * strength)
    return echo.astype(np.float32), depth < 1.0


def _scan(echo_db: Image, scanner: Scanner, rng: np.random.Generator) -> Image:
    """Return the log-compressed envelope in [0, 1] of scatterers as strong as `echo_db`."""
    amplitude = np.power(10.0, echo_db / 20.0).astype(np.float32)
    spread = (0.55 * scanner.blur_px, 1.35 * scanner.blur_px)
    power = np.zeros_like(amplitude)
    for _ in range(2):  # real and imaginary part
        scatterers = amplitude * rng.standard_normal(echo_db.shape, dtype=np.float32)
        power += ndimage.gaussian_filter(scatterers, spread, truncate=3.0) ** 2
    kept = 1.0 / (4.0 * np.pi * spread[0] * spread[1])  # power that the point spread lets through
    floor = scanner.noise * 0.02
    level = 10.0 * np.log10(power / (2.0 * kept) + floor**2 + 1e-9)
    shown = np.clip(1.0 + (level + 3.0) / _RANGE_DB, 0.0, None) * shading(echo_db.shape, scanner, rng)
    return np.asarray(np.clip(scanner.gain * np.power(shown, scanner.contrast), 0.0, 1.0), dtype=np.float32)
