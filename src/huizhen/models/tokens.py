"""From payloads to tokens of one width: projected image features and one token a table column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from huizhen.models.batch import Bag, Row
from huizhen.models.encoders.interface import Encoder, normalise, tokens_of


@final
class ImageTokenizer(nn.Module):
    """An encoder (or, frozen, its cached features) and a projection to the network's width."""

    def __init__(self, depth: int, width: int, encoder: Encoder | None, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.project = nn.Sequential(nn.Linear(depth, width), nn.Dropout(dropout))

    def encode(self, payload: Tensor) -> Tensor:
        """Return standardised tokens (n, T, D) of `payload`: pixels (n, C, S, S), or features as they are.

        Pixels are uint8, or floats in [0, 1]. A single image has no statistics to be normalised by over the
        batch, so that it is normalised by the running ones.
        """
        if self.encoder is None:
            return payload.float()
        alone = self.encoder.training and len(payload) < 2
        grid: Tensor = (self.encoder.eval() if alone else self.encoder)(normalise(payload))  # (n, D, h, w)
        if alone:
            self.encoder.train()
        return tokens_of(grid)

    def forward(self, bag: Bag, features: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Return tokens (B, L, width) and their mask (B, L) from encoder `features` (n, T, D)."""
        return bag.spread(self.project(features), batch)


@final
class TableTokenizer(nn.Module):
    """One token a column: a learned direction for its value(s) plus a learned embedding of the column.

    `slices` gives each column's features within the encoded row. Missing columns are masked, not zero.
    Reference: Gorishniy et al., Revisiting deep learning models for tabular data, NeurIPS 2021, section 3.3.
    """

    def __init__(self, slices: Sequence[tuple[int, int]], width: int, dropout: float) -> None:
        super().__init__()
        self.slices = tuple(slices)
        self.values = nn.ModuleList(_direction(stop - start, width) for start, stop in slices)
        self.columns = nn.Parameter(torch.randn(len(self.slices), width) * 0.02)
        self.tidy = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout))

    def forward(self, row: Row) -> tuple[Tensor, Tensor]:
        """Return tokens (B, columns, width) and their mask (B, columns)."""
        parts = [layer(row.values[:, a:b]) for layer, (a, b) in zip(self.values, self.slices, strict=True)]
        return self.tidy(torch.stack(parts, 1) + self.columns), row.there


def _direction(features: int, width: int) -> nn.Linear:
    """Return a column's layer; a category without a value in training has no feature to draw for."""
    if features:
        return nn.Linear(features, width, bias=False)
    empty = nn.Linear(1, width, bias=False)
    empty.weight = nn.Parameter(torch.zeros(width, 0))
    return empty
