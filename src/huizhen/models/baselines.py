"""The networks that CMAN is compared with, over the same tokenizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from huizhen.models.network import Network, Output
from huizhen.models.tokens import ImageTokenizer, TableTokenizer


def _means(tokens: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
    """Return each modality's mean token (B, M, width), zero where absent."""
    return torch.stack(
        [
            (found * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
            for found, mask in zip(tokens, masks, strict=True)
        ],
        1,
    )


@final
class Concatenation(Network):
    """Mean-pooled modalities side by side, zeros where absent, and a two-layer perceptron."""

    def __init__(
        self, tokenizers: Mapping[str, ImageTokenizer | TableTokenizer], *, width: int, dropout: float
    ) -> None:
        super().__init__(tokenizers)
        self.head = nn.Sequential(
            nn.Linear(width * len(self.names), width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, 1)
        )

    def fuse(self, tokens: Sequence[Tensor], masks: Sequence[Tensor]) -> Output:
        """Return the output from M token sets (B, L_m, width) and their masks (B, L_m)."""
        return Output(logit=self.head(_means(tokens, masks).flatten(1))[:, 0])


@final
class LateAverage(Network):
    """A two-layer perceptron per modality; the log-odds of those present are averaged."""

    def __init__(
        self, tokenizers: Mapping[str, ImageTokenizer | TableTokenizer], *, width: int, dropout: float
    ) -> None:
        super().__init__(tokenizers)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, 1))
            for _ in self.names
        )

    def fuse(self, tokens: Sequence[Tensor], masks: Sequence[Tensor]) -> Output:
        """Return the output from M token sets (B, L_m, width) and their masks (B, L_m)."""
        means = _means(tokens, masks)
        there = torch.stack([mask.any(1) for mask in masks], 1).to(means.dtype)
        own = torch.cat([head(means[:, m]) for m, head in enumerate(self.heads)], 1) * there  # (B, M)
        return Output(logit=own.sum(1) / there.sum(1).clamp(min=1), unimodal=own)
