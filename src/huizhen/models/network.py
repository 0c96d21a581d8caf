"""What every multi-modal network here is: tokenizers below, a fusion above, one log-odds a case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from huizhen.models.batch import CaseBatch
from huizhen.models.tokens import ImageTokenizer, TableTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a network says of B cases with M modalities.

    `logit` (B,): log-odds of the positive class. `unimodal` (B, M): each present modality's own log-odds,
    0 where absent (None for networks without). `aligned` (B, M, width): the modalities in the shared space
    (None for networks without). `lesions`: image modality -> log-odds of lesion (n, 1, S / 8, S / 8), of
    modalities whose bags bring lesion masks and whose tokenizers have a head for them.
    """

    logit: Tensor
    unimodal: Tensor | None = None
    aligned: Tensor | None = None
    lesions: Mapping[str, Tensor] = field(default_factory=dict)


class Network(nn.Module, ABC):
    """Tokenizers for `names` (M modalities, in order) and an abstract fusion of their tokens.

    The answer is the fusion's plus, with tables, an intercept and the floors of those that are present (see
    `TableTokenizer`).
    """

    intercept: Tensor
    zooms: Sequence[float] = (1.0,)
    """How large images are shown when the network answers, each also mirrored."""

    def __init__(self, tokenizers: Mapping[str, ImageTokenizer | TableTokenizer]) -> None:
        super().__init__()
        self.names: Sequence[str] = tuple(tokenizers)
        self.tokenizers = nn.ModuleDict(dict(tokenizers))
        self.tables: Sequence[str] = tuple(n for n, t in tokenizers.items() if isinstance(t, TableTokenizer))
        if self.tables:
            self.register_buffer("intercept", torch.zeros(()))

    def encode(self, batch: CaseBatch) -> dict[str, Tensor]:
        """Return each image modality's encoder tokens (n, T, D), harmonised; heatmaps take gradients here."""
        found = {name: one.encode(batch.bags[name].payload) for name, one in self._images(batch)}
        return {name: batch.bags[name].harmonised(tokens) for name, tokens in found.items()}

    def _encode_and_find(self, batch: CaseBatch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return what `encode` does, and where the lesions seem to be in modalities that bring masks."""
        tokens: dict[str, Tensor] = {}
        lesions: dict[str, Tensor] = {}
        for name, tokenizer in self._images(batch):
            bag = batch.bags[name]
            if bag.lesions is None:
                tokens[name] = bag.harmonised(tokenizer.encode(bag.payload))
                continue
            seen, found = tokenizer.encode_and_find(bag.payload)
            tokens[name] = bag.harmonised(seen)
            if found is not None:
                lesions[name] = found
        return tokens, lesions

    def _images(self, batch: CaseBatch) -> Iterator[tuple[str, ImageTokenizer]]:
        """Give the image modalities that `batch` has bags of, in order, with their tokenizers."""
        for name in self.names:
            tokenizer = self.tokenizers[name]
            if isinstance(tokenizer, ImageTokenizer) and name in batch.bags:
                yield name, tokenizer

    def forward(self, batch: CaseBatch, features: Mapping[str, Tensor] | None = None) -> Output:
        """Return the output for `batch`; `features` are what `encode` gave, where the caller has them."""
        lesions: Mapping[str, Tensor] = {}
        if features is None:
            features, lesions = self._encode_and_find(batch)
        tokens: list[Tensor] = []
        masks: list[Tensor] = []
        for place, name in enumerate(self.names):
            tokenizer = self.tokenizers[name]
            if isinstance(tokenizer, ImageTokenizer):
                found, there = tokenizer(batch.bags[name], features[name], len(batch))
            else:
                found, there = tokenizer(batch.rows[name])
            tokens.append(found)
            masks.append(there & batch.present[:, place : place + 1])
        output = replace(self.fuse(tokens, masks), lesions=lesions)
        return self._on_floor(output, batch) if self.tables else output

    def _on_floor(self, output: Output, batch: CaseBatch) -> Output:
        """Return `output` with the tables' floors added: to the answer, and to each table's own answer."""
        floors = self._floors(batch)  # (B, M)
        own = output.unimodal
        return replace(
            output,
            logit=output.logit + self.intercept + floors.sum(1),
            unimodal=None if own is None else own + self.intercept + floors,
        )

    def _floors(self, batch: CaseBatch) -> Tensor:
        """Return the log-odds of each modality's floor (B, M): 0 for images, and where absent."""
        floors = [batch.outcome.new_zeros(len(batch)) for _ in self.names]
        for place, name in enumerate(self.names):
            tokenizer = self.tokenizers[name]
            if isinstance(tokenizer, TableTokenizer):
                floors[place] = tokenizer.evidence(batch.rows[name], batch.present[:, place])
        return torch.stack(floors, 1)

    @abstractmethod
    def fuse(self, tokens: Sequence[Tensor], masks: Sequence[Tensor]) -> Output:
        """Return the output from M token sets (B, L_m, width) and their masks (B, L_m)."""
