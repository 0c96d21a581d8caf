"""The views in which a network is shown a patient's pixels when it answers: mirrored, and at several zooms.

Hospitals cut their images differently, so that a lesion fills more or less of the square; the mean over zooms
depends less on the cut (measured over scanners, docs/results/ultrasound.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from huizhen.models.batch import CaseBatch

__all__ = ["mean_logit", "mirrored", "views", "zoomed"]


def views(batch: CaseBatch, zooms: Sequence[float]) -> list[CaseBatch]:
    """Return the batch at each of `zooms` as it is and mirrored; itself alone where it holds no pixels."""
    if not any(bag.payload.ndim == 4 for bag in batch.bags.values()):
        return [batch]
    return [side for zoom in zooms for one in [zoomed(batch, zoom)] for side in (one, mirrored(one))]


def mean_logit(logits: Sequence[Tensor]) -> Tensor:
    """Return the mean of log-odds (B,) over views.

    >>> mean_logit([torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0])]).tolist()
    [2.0, 2.0]
    """
    return sum(logits[1:], logits[0]) / len(logits)


def mirrored(batch: CaseBatch) -> CaseBatch:
    """Return the batch with its pixels flipped left to right; features stay."""
    return _with_pixels(batch, lambda pixels: pixels.flip(-1))


def zoomed(batch: CaseBatch, zoom: float) -> CaseBatch:
    """Return the batch with its pixels enlarged `zoom` times about their middle; below 1 in a black frame."""
    return batch if zoom == 1 else _with_pixels(batch, lambda pixels: _enlarged(pixels, zoom))


def _enlarged(pixels: Tensor, zoom: float) -> Tensor:
    """Return pixels (n, C, S, S), uint8 or floats in [0, 1], as floats in [0, 1], bilinear."""
    found = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    if not len(found):  # torch knows no grid over nothing
        return found
    affine = torch.eye(2, 3).div(zoom).expand(len(found), 2, 3)
    grid = nn.functional.affine_grid(affine, list(found.shape), align_corners=False)
    return nn.functional.grid_sample(found, grid, align_corners=False)


def _with_pixels(batch: CaseBatch, change: Callable[[Tensor], Tensor]) -> CaseBatch:
    """Return the batch with `change` done to its pixels; features stay."""
    bags = {
        name: replace(bag, payload=change(bag.payload)) if bag.payload.ndim == 4 else bag
        for name, bag in batch.bags.items()
    }
    return replace(batch, bags=bags)
