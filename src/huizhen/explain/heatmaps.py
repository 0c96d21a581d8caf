"""Heatmaps: where in each image a network's evidence for the positive class comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from huizhen.errors import InvalidInputError
from huizhen.models.batch import Bag, CaseBatch
from huizhen.models.encoders.interface import Encoder, normalise, tokens_of
from huizhen.models.network import Network
from huizhen.models.tokens import ImageTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One modality on its way through its encoder: `maps` (n, C, h, w), finest first, and `tokens`."""

    maps: list[Tensor]
    tokens: Tensor


def heatmaps(
    network: Network, batch: CaseBatch, encoders: Mapping[str, Encoder] | None = None
) -> Mapping[str, Tensor]:
    """Return image modality -> heat (n, h, w), one map per image of its bag, at a stride of 8 pixels.

    A place's heat is its features times the positive part of their gradients, summed over channels: what of
    it argues for the positive class. That is taken at strides of 8, 16 and 32 pixels and multiplied, so that
    hot is what counts at every scale: the coarse map knows what is suspicious, the fine ones know where
    (measured against lesion outlines in docs/results/ultrasound.md). Attention enters through the gradient
    alone. Maps of one case and modality share a scale: the hottest place is 1. Without any positive evidence
    all are 0.

    `encoders`: modality -> encoder, for a network that is given cached features and holds none; `batch` then
    holds pixels. A modality with features and no encoder gets a map of its tokens. Raises
    `InvalidInputError` when tokens are not a square grid.

    Source: Jiang et al., LayerCAM, IEEE TIP 30:5875-5888 (2021), equations 5-7 and section III-C.
    """
    network.eval()
    seen = {name: _see(_encoder(network, name, encoders), bag) for name, bag in batch.bags.items()}
    maps = [each for one in seen.values() for each in one.maps]
    with torch.enable_grad():
        tokens = {name: batch.bags[name].harmonised(one.tokens) for name, one in seen.items()}
        output = network(batch, tokens)
        gradients = iter(torch.autograd.grad(output.logit.sum(), maps, allow_unused=True))
    heat: dict[str, Tensor] = {}
    for name, one in seen.items():
        levels = [_evidence(each, next(gradients)) for each in one.maps]
        heat[name] = _joined([_on_case_scale(level, batch.bags[name], len(batch)) for level in levels])
    return {name: _on_case_scale(value, batch.bags[name], len(batch)) for name, value in heat.items()}


def upsample(heat: Tensor, size: int) -> Tensor:
    """Return heat (n, h, w) at (n, size, size), bilinear, still within [0, 1]."""
    wide: Tensor = nn.functional.interpolate(
        heat[:, None], size=(size, size), mode="bilinear", align_corners=False
    )
    return wide[:, 0].clamp(0, 1)


def _encoder(network: Network, name: str, encoders: Mapping[str, Encoder] | None) -> Encoder | None:
    """Return what encodes the images of a modality; None where only cached features are given."""
    if encoders is not None and name in encoders:
        return encoders[name].eval()
    tokenizer = network.tokenizers[name]
    return tokenizer.encoder if isinstance(tokenizer, ImageTokenizer) else None


def _see(encoder: Encoder | None, bag: Bag) -> _Seen:
    """Return the bag's maps, of which the finest is where gradients end, and its tokens."""
    if encoder is None:
        tokens = bag.payload.float()
        grid = tokens.transpose(1, 2).reshape(len(tokens), tokens.shape[2], *_square(tokens))
        grid = grid.detach().requires_grad_(True)
        with torch.enable_grad():
            return _Seen(maps=[grid], tokens=tokens_of(grid))
    first, *further = encoder.parts()
    with torch.no_grad():
        finest: Tensor = first(normalise(bag.payload))
    maps = [finest.detach().requires_grad_(True)]
    with torch.enable_grad():
        for part in further:
            maps.append(part(maps[-1]))
        return _Seen(maps=maps, tokens=tokens_of(maps[-1]))


def _evidence(features: Tensor, gradient: Tensor | None) -> Tensor:
    """Return what of `features` (n, C, h, w) argues for the positive class (n, h, w)."""
    given = torch.zeros_like(features) if gradient is None else gradient
    return (features.detach() * given.clamp(min=0)).sum(1).clamp(min=0)


def _joined(levels: list[Tensor]) -> Tensor:
    """Return the product of maps (n, h, w), finest first, at the size of the finest."""
    product = levels[0]
    for level in levels[1:]:
        product = product * upsample(level, product.shape[-1])
    return product


def _on_case_scale(heat: Tensor, bag: Bag, cases: int) -> Tensor:
    """Return heat (n, h, w) divided by the largest value of the same case."""
    peak = torch.zeros(cases).scatter_reduce(0, bag.case, heat.amax((1, 2)), "amax")
    return heat / peak[bag.case, None, None].clamp(min=1e-12)


def _square(tokens: Tensor) -> tuple[int, int]:
    """Return the grid of tokens (n, T, D)."""
    side = math.isqrt(tokens.shape[1])
    if side * side != tokens.shape[1]:
        raise InvalidInputError(f"{tokens.shape[1]} tokens are no square grid", remedy="use square images")
    return side, side
