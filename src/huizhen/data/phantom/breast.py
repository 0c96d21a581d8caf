"""The simulated breast that all modalities look at: its shape, its glandular tissue and its lesion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from huizhen.data.phantom.latent import Latent
from huizhen.data.phantom.spec import MODALITIES
from huizhen.data.phantom.texture import Image, smooth_noise, soft_step

VOXEL_MM = 3.0
"""Side of a voxel of the glandular tissue map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What one patient's pictures are drawn from.

    `strength`: modality -> how malignant the lesion is made to look there, in (0, 1), rising with the
    rendered evidence. `background`: enhancement of normal tissue, `depth`: of the lesion, shallow to deep;
    `obscurity`: how poorly sound reaches it; all in [0, 1] as `density`.
    """

    lesion: bool
    strength: dict[str, float]
    density: float
    background: float
    radius_mm: float
    depth: float
    obscurity: float

    @classmethod
    def of(cls, latent: Latent, row: int = 0) -> Traits:
        """Return the traits of patient `row` of `latent`."""
        looks = 1.0 / (1.0 + np.exp(-1.3 * latent.rendered[row]))
        return cls(
            lesion=bool(latent.lesion[row]),
            strength=dict(zip(MODALITIES, map(float, looks), strict=True)),
            density=float(latent.density[row]),
            background=float(latent.background[row]),
            radius_mm=float(latent.radius_mm[row]),
            depth=float(latent.depth[row]),
            obscurity=float(latent.obscurity[row]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Breast:
    """Half an ellipsoid on the chest wall, in mm: x to lateral, y from chest wall to nipple, z to superior.

    `half_mm` holds the extents in x (half width), y (full depth) and z (half height). `gland` (z, y, x) in
    [0, 1] is the share of glandular tissue per voxel of `VOXEL_MM`; y starts at the chest wall, x and z are
    centred. `lesion_mm` is the lesion's centre (x, y, z).
    """

    side: str
    """"L" or "R"."""
    half_mm: tuple[float, float, float]
    gland: Image
    lesion_mm: tuple[float, float, float]

    def gland_at(self, x: NDArray[np.floating], y: NDArray[np.floating], z: NDArray[np.floating]) -> Image:
        """Return the share of glandular tissue at points given in mm (arrays of one shape); 0 outside."""
        nz, _, nx = self.gland.shape
        points = np.stack([z / VOXEL_MM + (nz - 1) / 2, y / VOXEL_MM, x / VOXEL_MM + (nx - 1) / 2])
        return np.asarray(ndimage.map_coordinates(self.gland, points, order=1, cval=0.0), dtype=np.float32)

    def projected(self, angle_deg: float) -> Image:
        """Return the glandular tissue (vertical, y) summed across the breast, in voxels.

        At 0 degrees the beam runs head to foot and the vertical axis is x (CC); at 45 it runs from
        superomedial to inferolateral and the vertical axis is oblique (MLO). The vertical axis is centred.
        """
        volume = self.gland
        if angle_deg:
            volume = ndimage.rotate(volume, angle_deg, axes=(0, 2), reshape=False, order=1)
        return np.asarray(volume.sum(axis=0).T, dtype=np.float32)


def grow(traits: Traits, rng: np.random.Generator) -> Breast:
    """Return a breast with the patient's density and lesion size, everything else drawn from `rng`."""
    side = "L" if rng.random() < 0.5 else "R"
    half = (rng.uniform(50.0, 58.0), rng.uniform(66.0, 82.0), rng.uniform(50.0, 58.0))
    return Breast(
        side=side,
        half_mm=half,
        gland=_gland(half, traits.density, rng),
        lesion_mm=_place(half, traits, rng),
    )


def _gland(half_mm: tuple[float, float, float], density: float, rng: np.random.Generator) -> Image:
    """Threshold streaky noise, favoured behind the nipple, so that a share set by `density` is glandular."""
    count = 2 * int(np.ceil(58.0 / VOXEL_MM)) + 1
    z, y, x = np.meshgrid(
        (np.arange(count) - count // 2) * VOXEL_MM / half_mm[2],
        np.arange(int(np.ceil(half_mm[1] / VOXEL_MM)) + 1) * VOXEL_MM / half_mm[1],
        (np.arange(count) - count // 2) * VOXEL_MM / half_mm[0],
        indexing="ij",
        sparse=True,
    )
    inside = (x**2 + y**2 + z**2) < 0.82
    field = smooth_noise(rng, inside.shape, (2.2, 3.4, 2.2)) + 0.5 * smooth_noise(rng, inside.shape, 1.0)
    field = field - 1.6 * (x**2 + z**2 + (y - 0.55) ** 2)
    level = np.quantile(field[inside], 1.0 - (0.06 + 0.62 * density))
    return np.asarray(np.where(inside, soft_step(field - level, 0.12), 0.0), dtype=np.float32)


def _place(
    half_mm: tuple[float, float, float], traits: Traits, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Draw the lesion's centre and pull it inwards until the whole lesion lies inside the breast."""
    a, b, c = half_mm
    point = np.array(
        [rng.uniform(-0.5, 0.5) * a, b * (0.66 - 0.32 * traits.depth), rng.uniform(-0.4, 0.4) * c]
    )
    centre = np.array([0.0, 0.45 * b, 0.0])
    for _ in range(40):
        reach = np.sqrt(((point / np.array([a, b, c])) ** 2).sum()) + 1.35 * traits.radius_mm / min(half_mm)
        if reach < 0.93:
            break
        point = centre + 0.93 * (point - centre)
    return float(point[0]), float(point[1]), float(point[2])
