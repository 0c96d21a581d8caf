"""The network that a study's settings describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

import torch

from huizhen.core.study import ImageModality, Study, TableModality, Variant
from huizhen.errors import ModelError
from huizhen.models.baselines import Concatenation, LateAverage
from huizhen.models.cman import Cman
from huizhen.models.encoders.choose import make_encoder
from huizhen.models.encoders.interface import Encoder
from huizhen.models.network import Network
from huizhen.models.tokens import ImageTokenizer, TableTokenizer

ENCODER_CHANNELS = {"efficientnet-lite0": 1280, "resnet18": 512, "resnet50": 2048}
"""Width of each encoder's tokens, so that a network over cached features needs no encoder."""


def build_network(
    study: Study,
    variant: Variant,
    names: Sequence[str],
    slices: Mapping[str, Sequence[tuple[int, int]]],
    *,
    frozen: bool,
    seed: int,
) -> Network:
    """Return a fresh network of `variant` over the modalities `names`, initialised from `seed`.

    `slices`: table modality -> each column's features within its encoded row. With `frozen`, image
    modalities are given as cached features and the network holds no encoder. Raises `ModelError` for a
    variant that is not a network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        settings = study.network
        tokenizers: dict[str, ImageTokenizer | TableTokenizer] = {}
        for modality in (m for m in study.modality if m.name in names):
            tokenizers[modality.name] = _tokenizer(modality, study, slices, frozen)
        network = _fusion(study, variant, tokenizers)
    network.zooms = settings.zooms
    return network


def _fusion(
    study: Study, variant: Variant, tokenizers: Mapping[str, ImageTokenizer | TableTokenizer]
) -> Network:
    """Return the network of `variant` over `tokenizers`."""
    settings = study.network
    match variant:
        case Variant.CMAN | Variant.SINGLE | Variant.SPECIALIST:
            return Cman(
                tokenizers,
                width=settings.width,
                heads=settings.heads,
                layers=settings.layers,
                dropout=settings.dropout,
            )
        case Variant.CONCATENATION:
            return Concatenation(tokenizers, width=settings.width, dropout=settings.dropout)
        case Variant.LATE_AVERAGE:
            return LateAverage(tokenizers, width=settings.width, dropout=settings.dropout)
        case Variant.TABLE_LR:
            raise ModelError("table_lr is no network", remedy="fit it with train.table_regression")
        case _:
            assert_never(variant)


def _depth(modality: ImageModality, study: Study) -> int:
    """Return the width of the tokens that the network sees: the encoder's, or harmonised components."""
    reduced = study.harmonisation.components if study.harmonisation else None
    return reduced or ENCODER_CHANNELS[modality.encoder.value]


def _tokenizer(
    modality: ImageModality | TableModality,
    study: Study,
    slices: Mapping[str, Sequence[tuple[int, int]]],
    frozen: bool,
) -> ImageTokenizer | TableTokenizer:
    """Return the tokenizer of one modality."""
    width, dropout = study.network.width, study.network.dropout
    if isinstance(modality, TableModality):
        return TableTokenizer(slices[modality.name], width, dropout)
    encoder: Encoder | None = None if frozen else make_encoder(modality)
    return ImageTokenizer(
        _depth(modality, study),
        width,
        encoder,
        dropout,
        finds_lesions=study.training.lesion_weight > 0,
    )
