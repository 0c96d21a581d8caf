"""CMAN, the cross-modal alignment network: any set of modalities, any subset of them absent.

Each modality pools its own tokens by attention into a summary; the summary then attends to the tokens of
every *other* modality (alignment) and is updated through a gate. The case's log-odds is a sum of evidence:
a prior, what each present modality says by itself weighed by how far the aligned context trusts it, and what
their combination adds. A sum degrades by exactly one term when a modality is absent, which is why a network
trained with modality dropout keeps up with one trained on the remaining modalities alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from huizhen.models.attention import MaskedAttention
from huizhen.models.network import Network, Output
from huizhen.models.tokens import ImageTokenizer, TableTokenizer


@final
class AlignmentLayer(nn.Module):
    """Every modality's summary attends to the tokens of all other modalities."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.attend = MaskedAttention(width, heads)
        self.gate = nn.Linear(2 * width, width)
        self.mix = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )
        nn.init.constant_(self.gate.bias, -1.0)

    def forward(self, summaries: Tensor, tokens: Tensor, allowed: Tensor) -> Tensor:
        """Return updated summaries (B, M, width).

        `tokens` (B, L, width) of all modalities, `allowed` (B, M, L): there, and of another modality.
        """
        context = self.attend(self.before(summaries), tokens, allowed)
        gate = self.gate(torch.cat([summaries, context], -1)).sigmoid()
        summaries = summaries + gate * context
        updated: Tensor = summaries + self.mix(summaries)
        return updated


@final
class Cman(Network):
    """The cross-modal alignment network over the modalities of `tokenizers`."""

    def __init__(
        self,
        tokenizers: Mapping[str, ImageTokenizer | TableTokenizer],
        *,
        width: int,
        heads: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__(tokenizers)
        count = len(self.names)
        self.pool_queries = nn.Parameter(torch.randn(count, 1, width) * 0.02)
        self.pools = nn.ModuleList(MaskedAttention(width, heads) for _ in range(count))
        self.tidy = nn.ModuleList(nn.LayerNorm(width) for _ in range(count))
        self.modality = nn.Parameter(torch.randn(count, width) * 0.02)
        self.layers = nn.ModuleList(AlignmentLayer(width, heads, dropout) for _ in range(layers))
        self.drop = nn.Dropout(dropout)
        self.prior = nn.Parameter(torch.zeros(()))
        self.own = nn.ModuleList(nn.Linear(width, 1) for _ in range(count))
        self.trust = nn.ModuleList(nn.Linear(width, 1) for _ in range(count))
        self.joint = nn.Linear(width, 1)
        self.shared = nn.ModuleList(nn.Linear(width, width) for _ in range(count))
        for layer in (*self.trust, self.joint):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def fuse(self, tokens: Sequence[Tensor], masks: Sequence[Tensor]) -> Output:
        """Return the output from M token sets (B, L_m, width) and their masks (B, L_m)."""
        present = torch.stack([mask.any(1) for mask in masks], 1)  # (B, M)
        summaries = self._pool(tokens, masks)  # (B, M, width)
        own = torch.cat([head(self.drop(summaries[:, m])) for m, head in enumerate(self.own)], 1)  # (B, M)
        aligned = self._align(summaries + self.modality, tokens, masks)
        trust = 2 * torch.cat([head(aligned[:, m]) for m, head in enumerate(self.trust)], 1).sigmoid()
        there = present.to(own.dtype)
        mean = (aligned * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp(min=1)
        logit = self.prior + (there * trust * own).sum(1) + self.joint(self.drop(mean))[:, 0]
        shared = torch.stack([layer(summaries[:, m]) for m, layer in enumerate(self.shared)], 1)
        return Output(
            logit=logit,
            unimodal=self.prior + own * there,
            aligned=nn.functional.normalize(shared, dim=-1),
        )

    def _pool(self, tokens: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
        """Return each modality's summary (B, M, width) of its own tokens."""
        summaries: list[Tensor] = []
        for m, (found, mask) in enumerate(zip(tokens, masks, strict=True)):
            query = self.pool_queries[m].expand(found.shape[0], 1, -1)
            mixed = self.pools[m](query, found, mask)
            mean = (found * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
            summaries.append(self.tidy[m](mixed[:, 0] + mean))
        return torch.stack(summaries, 1)

    def _align(self, summaries: Tensor, tokens: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
        """Return the summaries (B, M, width) aligned with the tokens of the other modalities."""
        lengths = [found.shape[1] for found in tokens]
        everything = torch.cat(list(tokens), 1)
        there = torch.cat(list(masks), 1)  # (B, L)
        owner = torch.repeat_interleave(torch.arange(len(tokens)), torch.tensor(lengths))
        foreign = owner[None] != torch.arange(len(tokens))[:, None]  # (M, L)
        allowed = there[:, None] & foreign[None]  # (B, M, L)
        for layer in self.layers:
            summaries = layer(summaries, everything, allowed)
        return summaries
