"""A head that learns from lesion masks where the lesion lies, so that the encoder has to see it.

It reads the encoder's maps and gives nothing to the answer: masks are what training hospitals may have, and
no input. A network learns it beside the answer (`train/lesion_loss.py`); answering, the head is not asked.
Source: Long et al., Fully convolutional networks, CVPR 2015, section 4.2 (heads at three strides, added).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor, nn

START = -2.0
"""Log-odds at first: a lesion covers about a tenth of an image."""


_OWN: Final = re.compile(r"tokenizers\.[^.]+\.lesion\.")


def answering(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a network's weights by name without those of lesion heads: what a locked model answers by.

    >>> sorted(answering({"tokenizers.US.lesion.start": torch.zeros(()), "prior": torch.zeros(())}))
    ['prior']
    """
    return {name: value for name, value in weights.items() if not _OWN.match(name)}


@final
class LesionHead(nn.Module):
    """One linear layer for each of an encoder's maps, finest first, summed at the size of the finest."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        layers = [nn.Conv2d(width, 1, 1, bias=False) for width in widths]
        for layer in layers:
            nn.init.zeros_(layer.weight)
        self.read = nn.ModuleList(layers)
        self.start = nn.Parameter(torch.tensor(START))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the log-odds (n, 1, h, w) of lesion from maps (n, C_s, h_s, w_s), the finest first."""
        first, *further = (layer(found) for layer, found in zip(self.read, maps, strict=True))
        total: Tensor = first + self.start
        for coarse in further:
            total = total + nn.functional.interpolate(
                coarse, size=total.shape[-2:], mode="bilinear", align_corners=False
            )
        return total
