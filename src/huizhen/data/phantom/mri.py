"""Dynamic contrast-enhanced MRI: axial slices before, early and late after contrast.

With the rendered evidence the lesion's curve goes from slow and persistent to fast with wash-out, and its rim
enhances more than its middle. Normal glandular tissue enhances by the patient's background enhancement, which
hides the curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from huizhen.data.phantom.breast import Breast, Traits
from huizhen.data.phantom.picture import Picture, expose, shading, store
from huizhen.data.phantom.spec import Scanner
from huizhen.data.phantom.texture import Image, slow_noise, smooth_noise, soft_step, strands, wavy_radius

PHASES = ("pre", "early", "late")
SLICES = 3
GAP_MM = 5.0
"""Distance between neighbouring slices."""
_WALL = 0.76
"""Where the chest wall lies, as a share of the image height."""


def slices(breast: Breast, traits: Traits, scanner: Scanner, rng: np.random.Generator) -> list[Picture]:
    """Return `SLICES` slices about the lesion in each of the `PHASES`, phase by phase, 12 bits."""
    shift = float(rng.uniform(-1.5, 1.5))
    places = [breast.lesion_mm[2] + shift + (k - (SLICES - 1) / 2) * GAP_MM for k in range(SLICES)]
    shade = shading((scanner.rows, scanner.rows), scanner, rng)
    habit = _Habit.draw(rng)
    drawn = [_slice(z, breast, traits, scanner, rng, habit) for z in places]
    half = scanner.rows / 2 * scanner.spacing_mm
    return [
        Picture(
            stem=f"MRI-{phase}-{number}",
            pixels=store(expose(series[p], scanner, rng, shade=shade), scanner, bits=12),
            mask=mask,
            side=breast.side,
            phase=p + 1,
            slice=number,
            z_mm=place,
            origin_mm=(-half + (55.0 if breast.side == "L" else -55.0), -2.0 * half * _WALL),
        )
        for p, phase in enumerate(PHASES)
        for number, (place, (series, mask)) in enumerate(zip(places, drawn, strict=True), start=1)
    ]


class _Habit(NamedTuple):
    """What does not depend on the class: how strongly the lesion takes up contrast, its outline, vessels."""

    uptake: float
    waves: NDArray[np.float64]
    phases: NDArray[np.float64]
    vessels: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Habit:
        return cls(
            uptake=float(rng.uniform(0.9, 1.1)),
            waves=rng.uniform(0.01, 0.06, 4),
            phases=rng.uniform(0, 2 * np.pi, 4),
            vessels=rng.uniform(-1, 1, (5, 2)),
        )


def _slice(
    z: float, breast: Breast, traits: Traits, scanner: Scanner, rng: np.random.Generator, habit: _Habit
) -> tuple[list[Image], NDArray[np.bool_] | None]:
    """Return the three phases of the slice at height `z` (mm) and the lesion's mask."""
    n = scanner.rows
    x = ((np.arange(n, dtype=np.float32) - (n - 1) / 2) * scanner.spacing_mm)[None, :]  # (1, n)
    y = ((_WALL * n - np.arange(n, dtype=np.float32)) * scanner.spacing_mm)[:, None]  # (n, 1) to anterior
    y = y + np.float32(0.0018) * x**2  # (n, n): the chest wall curves back
    lateral = x if breast.side == "L" else -x
    inside, skin = _outline(lateral, y, z, breast)
    gland = breast.gland_at(np.broadcast_to(lateral, y.shape), y, np.full(y.shape, z, np.float32)) * inside
    fine = smooth_noise(rng, y.shape, 0.9)
    pre = _before(inside, skin, gland, y, fine, rng)
    patchy = np.clip(0.75 + 0.35 * smooth_noise(rng, y.shape, 1.6), 0.15, None)
    normal = gland * patchy * (0.02 + 0.36 * traits.background) + _vessels(lateral, y, breast, habit) * inside
    normal = normal + 0.07 * _muscle(y)
    uptake, mask = np.zeros_like(pre), None
    if traits.lesion:
        body, rim, mask = _lesion(lateral, y, z, breast, traits, habit)
        pre = pre * (1 - 0.85 * body) + 0.20 * body
        normal = normal * (1 - body)
        uptake = habit.uptake * body * rim
    early, late = _curve(traits.strength["MRI"])
    return [pre, pre + 0.72 * normal + early * uptake, pre + normal + late * uptake], mask


def _curve(strength: float) -> tuple[float, float]:
    """Return the early and late uptake: 0.12 then 0.60 when benign-looking, 0.74 then 0.26 when malignant.

    >>> _curve(0.0)[0] < _curve(0.0)[1], _curve(1.0)[0] > _curve(1.0)[1]
    (True, True)
    """
    return 0.12 + 0.62 * strength, 0.60 - 0.34 * strength


def _outline(x: Image, y: Image, z: float, breast: Breast) -> tuple[Image, Image]:
    """Return the share of each pixel inside the breast at height `z`, and its skin."""
    a, b, c = breast.half_mm
    shrink = np.sqrt(max(1.0 - (z / c) ** 2, 0.05))
    distance = np.sqrt((x / (a * shrink)) ** 2 + (np.clip(y, 0, None) / (b * shrink)) ** 2)
    front = soft_step(y, 0.8)
    skin = np.exp(-(((1.0 - distance) / 0.022) ** 2)) * front
    return soft_step(1.0 - distance, 0.010) * front, skin.astype(np.float32)


def _muscle(y: Image) -> Image:
    return np.asarray(soft_step(-y, 0.8) * soft_step(y + 11.0, 0.8), dtype=np.float32)


def _before(
    inside: Image, skin: Image, gland: Image, y: Image, fine: Image, rng: np.random.Generator
) -> Image:
    """Return the picture before contrast: fat dark (suppressed), gland and muscle grey, ribs, lung black."""
    fat = 0.085 + 0.012 * fine + 0.035 * strands(smooth_noise(rng, y.shape, 2.2), 0.12)
    breast = inside * (fat * (1 - gland) + gland * (0.21 + 0.02 * fine)) + 0.10 * skin
    chest = _muscle(y) * (0.22 + 0.025 * fine)
    ribs = soft_step(-y - 12.0, 0.8) * soft_step(y + 21.0, 1.0)
    chest = chest + ribs * (0.10 + 0.09 * np.tanh(slow_noise(rng, (y.shape[0], y.shape[1]), 7)))
    return np.asarray(np.maximum(breast + chest, 0.004), dtype=np.float32)


def _vessels(x: Image, y: Image, breast: Breast, habit: _Habit) -> Image:
    result = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    for across, deep in habit.vessels:
        vx, vy = 0.75 * across * breast.half_mm[0], (0.45 + 0.3 * deep) * breast.half_mm[1]
        result += 0.30 * np.exp(-(((x - vx) / 1.5) ** 2) - ((y - vy) / 1.8) ** 2)
    return result


def _lesion(
    x: Image, y: Image, z: float, breast: Breast, traits: Traits, habit: _Habit
) -> tuple[Image, Image, NDArray[np.bool_]]:
    """Return the lesion's share of each pixel, its rim pattern (about 1) and its mask."""
    cx, cy, cz = breast.lesion_mm
    section = np.sqrt(max(1.0 - ((z - cz) / traits.radius_mm) ** 2, 0.09)) * traits.radius_mm
    angle = np.arctan2(y - cy, x - cx).astype(np.float32)
    outline = section * wavy_radius(angle, habit.waves, habit.phases)
    depth = np.hypot(x - cx, y - cy) / outline  # 0 at the centre, 1 at the rim
    hollow = traits.strength["MRI"] * soft_step(0.62 - depth, 0.09)
    return soft_step((1.0 - depth) * outline, 0.7), (1.06 - 0.55 * hollow).astype(np.float32), depth < 1.0
