"""Heatmaps: where in each image a network's evidence for the positive class comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from huizhen.errors import InvalidInputError
from huizhen.models.batch import CaseBatch
from huizhen.models.network import Network


def heatmaps(network: Network, batch: CaseBatch) -> Mapping[str, Tensor]:
    """Return image modality -> heat (n, h, w), one map per image of its bag, at token resolution.

    A token's heat is its features times the positive part of their gradients, summed over channels: what of
    it argues for the positive class. Attention enters through the gradient alone: as a further weight it was
    measured to draw heat away from lesions (docs/results/ultrasound.md). Maps of one case and modality share
    a scale: its strongest token is 1. Without any positive evidence all are 0. Raises `InvalidInputError`
    when a bag's tokens are not a square grid.

    Source: Jiang et al., LayerCAM, IEEE TIP 30:5875-5888 (2021), equations 5-7.
    """
    network.eval()
    with torch.no_grad():
        found = network.encode(batch)
    features = {name: tokens.detach().requires_grad_(True) for name, tokens in found.items()}
    with torch.enable_grad():
        output = network(batch, features)
        gradients = torch.autograd.grad(output.logit.sum(), list(features.values()), allow_unused=True)
    heat: dict[str, Tensor] = {}
    for (name, tokens), gradient in zip(features.items(), gradients, strict=True):
        given = torch.zeros_like(tokens) if gradient is None else gradient
        heat[name] = (tokens.detach() * given.clamp(min=0)).sum(-1).clamp(min=0)  # (n, T)
    return {name: _grid(value) for name, value in _on_case_scale(heat, batch).items()}


def upsample(heat: Tensor, size: int) -> Tensor:
    """Return heat (n, h, w) at (n, size, size), bilinear, still within [0, 1]."""
    wide: Tensor = nn.functional.interpolate(
        heat[:, None], size=(size, size), mode="bilinear", align_corners=False
    )
    return wide[:, 0].clamp(0, 1)


def _on_case_scale(heat: Mapping[str, Tensor], batch: CaseBatch) -> dict[str, Tensor]:
    """Return heat divided by the largest value of the same case and modality."""
    scaled: dict[str, Tensor] = {}
    for name, value in heat.items():
        case = batch.bags[name].case
        peak = torch.zeros(len(batch)).scatter_reduce(0, case, value.amax(1), "amax")
        scaled[name] = value / peak[case, None].clamp(min=1e-12)
    return scaled


def _grid(heat: Tensor) -> Tensor:
    """Return (n, T) as (n, sqrt T, sqrt T)."""
    side = math.isqrt(heat.shape[1])
    if side * side != heat.shape[1]:
        raise InvalidInputError(f"{heat.shape[1]} tokens are no square grid", remedy="use square images")
    return heat.reshape(-1, side, side)
