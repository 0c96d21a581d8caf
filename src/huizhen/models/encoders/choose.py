"""The encoder that a study names."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor

from huizhen.core.study import EncoderKind, ImageModality
from huizhen.models.encoders.interface import Encoder


def make_encoder(modality: ImageModality) -> Encoder:
    """Return the encoder of `modality`; its initial weights come from torch's current generator.

    Weights lie channels last, in which depthwise convolutions run about 1.8 times as fast on a CPU; images
    follow their lead, so that they need no layout of their own (per-sample gradients couldn't give them one).
    """
    encoder = _make(modality)
    for parameter in encoder.parameters():
        if parameter.ndim == 4:
            parameter.data = _channels_last(parameter.data)
    return encoder


def _channels_last(weight: Tensor) -> Tensor:
    """Return a copy of `weight` whose strides say channels last.

    `contiguous` leaves the strides of depthwise (one input channel) and 1x1 weights as they were, since both
    layouts are the same in memory; a convolution then takes the slower one.
    """
    return torch.empty_like(weight, memory_format=torch.channels_last).copy_(weight)


def _make(modality: ImageModality) -> Encoder:
    """Return the encoder as its own module builds it."""
    match modality.encoder:
        case EncoderKind.EFFICIENTNET_LITE0:
            from huizhen.models.encoders.efficientnet_lite import efficientnet_lite0

            return efficientnet_lite0(modality.channels, modality.norm, pretrained=modality.pretrained)
        case EncoderKind.RESNET18:
            from huizhen.models.encoders.resnet import resnet18

            return resnet18(modality.channels, modality.norm)
        case EncoderKind.RESNET50:
            from huizhen.models.encoders.resnet import resnet50

            return resnet50(modality.channels, modality.norm)
        case _:
            assert_never(modality.encoder)
