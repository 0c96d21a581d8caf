"""From payloads to tokens of one width: projected image features and one token a table column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from huizhen.models.batch import Bag, Row
from huizhen.models.encoders.interface import Encoder, normalise, tokens_of
from huizhen.models.lesions import LesionHead


@final
class ImageTokenizer(nn.Module):
    """An encoder (or, frozen, its cached features) and a projection to the network's width.

    With `finds_lesions` and an encoder there is a head on the encoder's maps that training teaches by masks.
    """

    def __init__(
        self, depth: int, width: int, encoder: Encoder | None, dropout: float, *, finds_lesions: bool = False
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.project = nn.Sequential(nn.Linear(depth, width), nn.Dropout(dropout))
        self.lesion = LesionHead(encoder.widths) if finds_lesions and encoder is not None else None

    def encode(self, payload: Tensor) -> Tensor:
        """Return encoder tokens (n, T, D) of `payload`: pixels (n, C, S, S), or features as they are.

        Pixels are uint8, or floats in [0, 1]. A single image has no statistics to be normalised by over the
        batch, so that it is normalised by the running ones.
        """
        if self.encoder is None:
            return payload.float()
        return tokens_of(_maps(self.encoder, payload)[-1])

    def encode_and_find(self, payload: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what `encode` does, and the log-odds of lesion (n, 1, S / 8, S / 8), None without a head."""
        if self.encoder is None or self.lesion is None:
            return self.encode(payload), None
        maps = _maps(self.encoder, payload)
        return tokens_of(maps[-1]), self.lesion(maps)

    def forward(self, bag: Bag, features: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Return tokens (B, L, width) and their mask (B, L) from encoder `features` (n, T, D)."""
        return bag.spread(self.project(features), batch)


def _maps(encoder: Encoder, payload: Tensor) -> list[Tensor]:
    """Return an encoder's maps (n, C, h, w) of pixels, one alone normalised by running statistics."""
    alone = encoder.training and len(payload) < 2
    maps = (encoder.eval() if alone else encoder).maps(normalise(payload))
    if alone:
        encoder.train()
    return maps


@final
class TableTokenizer(nn.Module):
    """One token a column, and beside the tokens a linear floor: what regression on the row alone would say.

    A token is a learned direction for the column's value(s) plus a learned embedding of the column; missing
    columns are masked, not zero. The floor is fitted before the network (`lay_floor` in train) and then held,
    so that what is learned on top starts from the regression and has only to find what that leaves.
    `slices` gives each column's features within the encoded row.
    Reference: Gorishniy et al., Revisiting deep learning models for tabular data, NeurIPS 2021, section 3.3
    (tokens); Cheng et al., Wide and deep learning for recommender systems, DLRS 2016 (a linear part beside).
    """

    belongs: Tensor
    floor: Tensor

    def __init__(self, slices: Sequence[tuple[int, int]], width: int, dropout: float) -> None:
        super().__init__()
        self.slices = tuple(slices)
        n_features = max((stop for _, stop in slices), default=0)
        levels = torch.zeros(len(self.slices), n_features)
        for column, (start, stop) in enumerate(self.slices):
            levels[column, start:stop] = 1
        spread = levels.sum(1).clamp(min=1).rsqrt() @ levels  # a direct sum's usual bound, by column
        self.values = nn.Parameter((2 * torch.rand(n_features, width) - 1) * spread[:, None])
        self.columns = nn.Parameter(torch.randn(len(self.slices), width) * 0.02)
        self.drop = nn.Dropout(dropout)
        self.register_buffer("belongs", levels, persistent=False)
        self.register_buffer("floor", torch.zeros(n_features + len(self.slices) + 1))

    def forward(self, row: Row) -> tuple[Tensor, Tensor]:
        """Return tokens (B, columns, width) and their mask (B, columns)."""
        by_column = row.values[:, None] * self.belongs  # (B, columns, features)
        return self.drop(by_column @ self.values + self.columns), row.there

    def evidence(self, row: Row, present: Tensor) -> Tensor:
        """Return the floor's log-odds (B,) from rows and who has one (B,): 0 where the row is absent."""
        return floor_features(row.values, row.there, present) @ self.floor


def floor_features(values: Tensor, there: Tensor, present: Tensor) -> Tensor:
    """Return what the floor weighs (B, features + columns + 1): values, what is missing, that there is a row.

    All are 0 where the row is absent (`present` (B,) false), so that an absent modality says nothing.

    >>> row = torch.tensor([[0.5], [0.0]])
    >>> floor_features(row, row != 0, torch.tensor([True, False])).tolist()
    [[0.5, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    here = present[:, None].to(values.dtype)
    return torch.cat([values * here, (~there).to(values.dtype) * here, here], 1)
