"""Attention over tokens of which some are absent."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn


@final
class MaskedAttention(nn.Module):
    """Multi-head attention whose keys carry a mask; a learned null token takes what nothing else deserves.

    The null token keeps a case with no key at all well defined: its output is the null value.
    Reference: Vaswani et al., Attention is all you need, NeurIPS 2017, section 3.2.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.null = nn.Parameter(torch.zeros(2, width))

    def forward(self, queries: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the attended values (B, Q, width).

        `queries` (B, Q, width), `tokens` (B, L, width), `mask` (B, L) or (B, Q, L) bool, True where a token
        is there.
        """
        batch, length, width = tokens.shape
        keys = torch.cat([self.null[0].expand(batch, 1, width), self.key(tokens)], 1)
        values = torch.cat([self.null[1].expand(batch, 1, width), self.value(tokens)], 1)
        if mask.ndim == 2:
            mask = mask[:, None].expand(batch, queries.shape[1], length)
        allowed = nn.functional.pad(mask, (1, 0), value=True)[:, None]  # (B, 1, Q, 1 + L)
        q, k, v = (self._split(t) for t in (self.query(queries), keys, values))
        score = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)  # (B, H, Q, 1 + L)
        weight = score.masked_fill(~allowed, -torch.inf).softmax(-1)
        mixed: Tensor = self.out((weight @ v).transpose(1, 2).flatten(2))  # (B, Q, width)
        return mixed

    def _split(self, t: Tensor) -> Tensor:
        """Return (B, L, width) as (B, H, L, width / H)."""
        batch, length, width = t.shape
        return t.reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)
