"""Mammograms: craniocaudal and mediolateral oblique views of the simulated breast.

The lesion is a mass whose margin goes from smooth and sharp to ragged with bright spicules, whose density
rises, and around which fine calcifications appear, all with the rendered evidence. Dense tissue lies over it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from huizhen.data.phantom.breast import VOXEL_MM, Breast, Traits
from huizhen.data.phantom.picture import Picture, expose, store
from huizhen.data.phantom.spec import Scanner
from huizhen.data.phantom.texture import Image, smooth_noise, soft_step, strands, wavy_radius

_SPICULES = 15
_OBLIQUE_DEG = 45.0


def mammograms(breast: Breast, traits: Traits, scanner: Scanner, rng: np.random.Generator) -> list[Picture]:
    """Return the CC and MLO views of the affected side, `scanner.rows` high, 12 bits."""
    margin = _Margin(rng)
    return [_view(view, breast, traits, scanner, rng, margin) for view in ("CC", "MLO")]


class _Margin:
    """The lesion's own waves, spicules and calcifications, the same in both views but for a turn."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.waves, self.phases = rng.uniform(0.3, 1.0, 6), rng.uniform(0, 2 * np.pi, 6)
        jitter = rng.uniform(-0.19, 0.19, _SPICULES)
        self.angles = 2 * np.pi * np.arange(_SPICULES) / _SPICULES + jitter
        self.lengths = rng.uniform(0.4, 1.1, _SPICULES)
        self.specks = rng.uniform(-0.85, 0.85, (9, 2))
        self.mass = float(rng.uniform(0.9, 1.1))

    def turned(self, angle: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the waves' phases and the spicules' angles after a turn (radians)."""
        return self.phases + angle * np.arange(2, 8), self.angles + angle


def _view(
    view: str, breast: Breast, traits: Traits, scanner: Scanner, rng: np.random.Generator, margin: _Margin
) -> Picture:
    rows, columns = scanner.rows, round(scanner.rows * 0.8125)
    v = ((rows / 2 - np.arange(rows, dtype=np.float32)) * scanner.spacing_mm)[:, None]  # (rows, 1) up
    y = (np.arange(columns, dtype=np.float32) * scanner.spacing_mm)[None, :]  # (1, columns) to the nipple
    tissue, inside = _tissue(view, breast, traits, v, y, rng)
    mask: NDArray[np.bool_] | None = None
    if traits.lesion:
        mask = np.zeros(tissue.shape, dtype=np.bool_)
        cv, cy = _lesion_centre(view, breast)
        patch = np.ix_(
            *(np.flatnonzero(np.abs(axis) < 2.5 * traits.radius_mm) for axis in (v[:, 0] - cv, y[0] - cy))
        )
        near_v, near_y = v[patch[0].ravel()] - np.float32(cv), y[:, patch[1].ravel()] - np.float32(cy)
        mass, shape = _lesion(near_v, near_y, traits, margin, turn=0.0 if view == "CC" else 0.8)
        tissue[patch] += np.float32(1.0 - 0.3 * traits.density) * mass * inside[patch]
        mask[patch] = shape & (inside[patch] > 0.5)
    image = expose(0.98 * np.tanh(1.05 * tissue), scanner, rng)
    image = np.where(inside > 0.02, image, 0.4 * np.minimum(image, 0.05)).astype(np.float32)
    if breast.side == "R":
        image, mask = image[:, ::-1], None if mask is None else mask[:, ::-1]
    return Picture(
        stem=f"MG-{breast.side}{view}",
        pixels=store(image, scanner, bits=12),
        mask=mask,
        side=breast.side,
        view=view,
    )


def _tissue(
    view: str, breast: Breast, traits: Traits, v: Image, y: Image, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Return the attenuation of the breast without lesion and the share of each pixel inside it."""
    shape = (v.shape[0], y.shape[1])
    half, depth = breast.half_mm[0], breast.half_mm[1]
    upper = 1.45 if view == "MLO" else 1.0
    distance = np.sqrt((v / np.where(v > 0, upper * half, half)) ** 2 + (y / depth) ** 2)
    distance = distance + 0.012 * np.sin(v / 9.0)
    inside = soft_step(1.0 - distance, 0.006)
    thickness = np.sqrt(np.clip(1.0 - distance**5, 0.0, 1.0))
    gland = _upsampled(breast.projected(0.0 if view == "CC" else _OBLIQUE_DEG), v, y)
    gland = gland / np.float32(1.25 * breast.half_mm[2] / VOXEL_MM)
    fine, broad = smooth_noise(rng, shape, 1.1), smooth_noise(rng, shape, (2.2, 4.5))
    fibres = strands(smooth_noise(rng, shape, (3.0, 5.0)), 0.10)
    tissue = thickness * (0.20 + 0.06 * fibres + 0.012 * fine + 0.015 * broad)
    tissue = tissue + thickness * gland * (0.58 + 0.10 * broad + 0.05 * fine + 0.10 * fibres)
    tissue = tissue + 0.10 * np.exp(-(((1.0 - distance) / 0.016) ** 2))  # skin
    nipple = np.exp(-(((y - depth - 1.0) / 4.0) ** 2) - (v / 4.5) ** 2)
    tissue, inside = tissue + 0.30 * nipple, np.maximum(inside, soft_step(nipple - 0.35, 0.05))
    if view == "MLO":
        tissue = tissue + _pectoral(v, y, breast, fine) * inside
    return tissue.astype(np.float32), inside


def _pectoral(v: Image, y: Image, breast: Breast, fine: Image) -> Image:
    """The muscle's bright triangle at the chest wall, widest at the top, its edge slightly convex."""
    drop = (v + 0.55 * breast.half_mm[0]) / (1.9 * breast.half_mm[0])  # 0 at its lower end
    edge = 0.60 * breast.half_mm[1] * np.clip(drop, 0.0, None) ** 0.85
    return np.asarray(soft_step(edge - y, 1.2) * (0.30 + 0.02 * fine), dtype=np.float32)


def _upsampled(projection: Image, v: Image, y: Image) -> Image:
    middle = (projection.shape[0] - 1) / 2
    rows = np.broadcast_to(v / VOXEL_MM + middle, (v.shape[0], y.shape[1]))
    columns = np.broadcast_to(y / VOXEL_MM, rows.shape)
    return np.asarray(
        ndimage.map_coordinates(projection, [rows, columns], order=1, cval=0.0), dtype=np.float32
    )


def _lesion_centre(view: str, breast: Breast) -> tuple[float, float]:
    x, y, z = breast.lesion_mm
    if view == "CC":
        return x, y
    turn = np.deg2rad(_OBLIQUE_DEG)
    return float(x * np.cos(turn) + z * np.sin(turn)), y


def _lesion(
    v: Image, y: Image, traits: Traits, margin: _Margin, *, turn: float
) -> tuple[Image, NDArray[np.bool_]]:
    """Return the lesion's added attenuation and its mask; `v`, `y` are mm from its centre."""
    strength, radius = traits.strength["MG"], traits.radius_mm
    phases, angles = margin.turned(turn)
    distance, angle = np.hypot(v, y), np.arctan2(v, np.broadcast_to(y, (v.shape[0], y.shape[1])))
    outline = radius * wavy_radius(angle, 0.015 + 0.07 * strength * margin.waves, phases)
    softness = 0.6 + 1.2 * strength  # mm: benign margins are sharp
    body = soft_step(outline - distance, softness) * (0.85 + 0.15 * np.clip(1 - distance / outline, 0, 1))
    added = margin.mass * (0.16 + 0.26 * strength) * body
    added = added + 0.34 * strength * _spicules(distance, angle, radius, strength, angles, margin.lengths)
    added = added + 0.9 * strength**1.5 * _specks(v, y, radius, margin.specks)
    halo = np.exp(-(((distance - 1.12 * outline) / (0.10 * radius)) ** 2))
    return (added - 0.06 * (1.0 - strength) * halo).astype(np.float32), distance < outline


def _spicules(
    distance: Image,
    angle: Image,
    radius: float,
    strength: float,
    angles: NDArray[np.float64],
    lengths: NDArray[np.float64],
) -> Image:
    """Straight bright strands that leave the rim and taper: longer and brighter with `strength`."""
    near = (distance > 0.6 * radius) & (distance < 2.4 * radius)
    rho, theta = distance[near][:, None], angle[near][:, None]  # (pixels, 1)
    turn = theta - angles.astype(np.float32)[None, :]
    off = np.where(np.cos(turn) > 0, np.abs(np.sin(turn)), np.float32(1.0)) * rho  # mm across the strand
    reach = np.float32(radius) * (1.0 + 1.15 * strength * lengths.astype(np.float32)[None, :])
    along = soft_step(reach - rho, 0.9)
    lines = np.exp(-((off / 0.95) ** 2)) * along
    result = np.zeros_like(distance)
    result[near] = lines.max(axis=1)
    return result


def _specks(v: Image, y: Image, radius: float, specks: NDArray[np.float64]) -> Image:
    """Fine calcifications in and about the lesion."""
    result = np.zeros((v.shape[0], y.shape[1]), dtype=np.float32)
    for sv, sy in specks * radius:
        result += np.exp(-(((v - sv) / 0.7) ** 2)) * np.exp(-(((y - sy) / 0.7) ** 2))
    return np.minimum(result, np.float32(1.0))
