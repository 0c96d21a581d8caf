"""The encoder that a study names."""

from __future__ import annotations

from typing import assert_never

from huizhen.core.study import EncoderKind, ImageModality
from huizhen.models.encoders.interface import Encoder


def make_encoder(modality: ImageModality) -> Encoder:
    """Return the encoder of `modality`; its initial weights come from torch's current generator."""
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
