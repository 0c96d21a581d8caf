"""What an image encoder is: a network that turns an image into a grid of tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """An image encoder. Concrete encoders are final; they set `channels` once constructed.

    `forward` takes images (B, in_channels, S, S), S a multiple of `stride`, scaled as the encoder's weights
    expect, and returns token maps (B, channels, S / stride, S / stride).
    """

    stride: int = 32
    channels: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return the token map of `images`."""
