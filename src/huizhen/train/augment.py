"""Augmentation of image batches: geometry, exposure, noise, resolution, occlusion; from one generator."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from huizhen.models.batch import Bag

MAX_ANGLE_RAD = 0.25
SCALE_RANGE = (0.75, 1.15)
ASPECT_RANGE = (0.9, 1.1)
MAX_SHIFT = 0.15
GAMMA_LOG_RANGE = 0.4
GAIN_RANGE = (0.7, 1.3)
OFFSET = 0.08
NOISE = 0.15
SOFTEN_SHARE = 0.3
OCCLUDE_SHARE = 0.25


class _Uniform(Protocol):
    def __call__(self, low: float, high: float, *shape: int) -> Tensor: ...


def augment(
    pixels: Tensor, generator: torch.Generator, mask: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Return altered copies of `pixels` (n, C, S, S) in [0, 1] and of `mask` (n, 1, S, S), moved alike.

    Left and right are mirrored at random: laterality carries no label in the tasks here.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator) * (high - low) + low

    n = len(pixels)
    if n == 0:  # a batch in which nobody has this modality; torch knows no grid over nothing
        return pixels, mask
    grid = nn.functional.affine_grid(_geometry(n, uniform), list(pixels.shape), align_corners=False)
    pixels = nn.functional.grid_sample(pixels, grid, align_corners=False)
    if mask is not None:
        mask = nn.functional.grid_sample(mask, grid, align_corners=False)
    pixels = pixels.clamp(1e-4, 1) ** uniform(-GAMMA_LOG_RANGE, GAMMA_LOG_RANGE, n, 1, 1, 1).exp()
    pixels = pixels * uniform(*GAIN_RANGE, n, 1, 1, 1) + uniform(-OFFSET, OFFSET, n, 1, 1, 1)
    noise = torch.randn(pixels.shape, generator=generator) * uniform(0, NOISE, n, 1, 1, 1)
    pixels = pixels * (1 + noise)
    return _occlude(_soften(pixels, uniform), uniform).clamp(0, 1), mask


def augmented(bag: Bag, generator: torch.Generator) -> Bag:
    """Return a bag of uint8 pixels altered, its lesion masks moved with their images."""
    lesions = bag.lesions
    mask = None if lesions is None else lesions.mask
    payload, moved = augment(bag.payload.float() / 255, generator, mask)
    if lesions is not None and moved is not None:
        lesions = replace(lesions, mask=moved)
    return replace(bag, payload=payload, lesions=lesions)


def _geometry(n: int, uniform: _Uniform) -> Tensor:
    """Return affine matrices (n, 2, 3): rotation, scale, aspect, mirror, shift."""
    angle = uniform(-MAX_ANGLE_RAD, MAX_ANGLE_RAD, n)
    scale = uniform(*SCALE_RANGE, n)
    aspect = uniform(*ASPECT_RANGE, n)
    mirror = torch.where(uniform(0, 1, n) < 0.5, -1.0, 1.0)
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0] = angle.cos() * scale * aspect * mirror
    matrix[:, 0, 1] = -angle.sin() * scale
    matrix[:, 1, 0] = angle.sin() * scale
    matrix[:, 1, 1] = angle.cos() * scale / aspect
    matrix[:, :, 2] = uniform(-MAX_SHIFT, MAX_SHIFT, n, 2)
    return matrix


def _soften(pixels: Tensor, uniform: _Uniform) -> Tensor:
    """Return `pixels` with a share of them at half resolution: a coarser scanner."""
    chosen = uniform(0, 1, len(pixels)) < SOFTEN_SHARE
    side = pixels.shape[-1]
    coarse = nn.functional.avg_pool2d(pixels, 2)
    smooth = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
    return torch.where(chosen[:, None, None, None], smooth, pixels)


def _occlude(pixels: Tensor, uniform: _Uniform) -> Tensor:
    """Return `pixels` with a rectangle of a share of them set to the image's mean."""
    n, _, side, _ = pixels.shape
    chosen = uniform(0, 1, n) < OCCLUDE_SHARE
    extent = uniform(0.1, 0.25, n, 2)
    start = uniform(0, 1, n, 2) * (1 - extent)
    place = (torch.arange(side) + 0.5) / side
    down = (place >= start[:, :1]) & (place < start[:, :1] + extent[:, :1])  # (n, S)
    across = (place >= start[:, 1:]) & (place < start[:, 1:] + extent[:, 1:])
    hidden = (down[:, :, None] & across[:, None, :] & chosen[:, None, None])[:, None]
    return torch.where(hidden, pixels.mean((1, 2, 3), keepdim=True), pixels)
