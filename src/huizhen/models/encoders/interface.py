"""What an image encoder is: a network that turns an image into a grid of tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

PIXEL_MEAN = 0.498
PIXEL_SCALE = 0.502
"""Pixels in [0, 1] become (pixel - mean) / scale, as the published weights expect."""


class Encoder(nn.Module, ABC):
    """An image encoder. Concrete encoders are final; they set `channels` once constructed and give `parts`.

    `forward` takes images (B, in_channels, S, S), S a multiple of `stride`, scaled as the encoder's weights
    expect, and returns token maps (B, channels, S / stride, S / stride).
    """

    stride: int = 32
    channels: int
    widths: Sequence[int]
    """Channels of the maps that `parts` end with, the finest first."""

    @abstractmethod
    def parts(self) -> Sequence[nn.Module]:
        """Return the encoder cut where its maps have strides of 8, 16 and 32 pixels; one after another they
        are the encoder."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the token map of `images`."""
        return self.maps(images)[-1]

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps of `images` at strides of 8, 16 and 32 pixels; the last is the token map."""
        found: list[Tensor] = []
        for part in self.parts():
            found.append(part(found[-1] if found else images))
        return found


def normalise(pixels: Tensor) -> Tensor:
    """Return pixels (any shape; uint8, or floats in [0, 1]) as the floats that encoders take."""
    scaled = pixels.to(torch.float32) / 255.0 if pixels.dtype == torch.uint8 else pixels
    return (scaled - PIXEL_MEAN) / PIXEL_SCALE


def tokens_of(grid: Tensor) -> Tensor:
    """Return an encoder's map (n, D, h, w) as tokens (n, h * w, D), row by row.

    They are not normalised: a token of empty background must stay small beside one of tissue, or attention
    and heatmaps go to the corners (measured on ultrasound, see docs/explanation/cman.md).
    """
    return grid.flatten(2).transpose(1, 2)
