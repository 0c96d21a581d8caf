"""ResNet-18 and ResNet-50, with batch or group normalisation.

References: He et al., Deep Residual Learning for Image Recognition, CVPR 2016 (Table 1); the stride of a
down-sampling bottleneck stands at its 3x3 convolution (v1.5: Goyal et al., arXiv:1706.02677, footnote 2);
Wu & He, Group Normalization, ECCV 2018.

Nothing is changed in place, and the group variant keeps no buffers: per-sample gradients (torch.func, DP-SGD)
and averaging over hospitals need that.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from huizhen.errors import InvalidInputError
from huizhen.models.encoders.interface import Encoder

Norm = Literal["batch", "group"]

GROUPS: Final = 32
"""Groups of every group normalisation, as in Wu & He; a layer of fewer channels has one group a channel."""


class Stage(NamedTuple):
    """One row of Table 1: how many blocks, and the width of their inner convolutions."""

    blocks: int
    width: int


STAGES_18: Final = (Stage(2, 64), Stage(2, 128), Stage(2, 256), Stage(2, 512))
STAGES_50: Final = (Stage(3, 64), Stage(4, 128), Stage(6, 256), Stage(3, 512))


def norm_layer(kind: Norm, channels: int) -> nn.Module:
    """Return a normalisation of `channels`; the group form keeps no statistics over the batch."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(min(GROUPS, channels), channels)
    raise InvalidInputError(f"no normalisation {kind!r}", remedy="use batch or group", field="modality.norm")


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int, norm: Norm) -> nn.Sequential:
    """Return a convolution without bias that keeps the size (up to `stride`), and its normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, norm_layer(norm, outputs))


def shortcut(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Module:
    """Return the identity, or a 1x1 projection where the block changes the shape (option B of the paper)."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return conv_norm(inputs, outputs, 1, stride, norm)


@final
class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (ResNet-18)."""

    expansion: Final = 1

    def __init__(self, inputs: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.first = conv_norm(inputs, width, 3, stride, norm)
        self.second = conv_norm(width, width, 3, 1, norm)
        self.shortcut = shortcut(inputs, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output (B, width, H / stride, W / stride) for `x` (B, inputs, H, W)."""
        identity = self.shortcut(x)
        out = torch.relu(self.first(x))
        out = self.second(out)
        out = out + identity
        return torch.relu(out)


@final
class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolutions and a shortcut (ResNet-50)."""

    expansion: Final = 4

    def __init__(self, inputs: int, width: int, stride: int, norm: Norm) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.reduce = conv_norm(inputs, width, 1, 1, norm)
        self.filter = conv_norm(width, width, 3, stride, norm)
        self.expand = conv_norm(width, outputs, 1, 1, norm)
        self.shortcut = shortcut(inputs, outputs, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output (B, 4 width, H / stride, W / stride) for `x` (B, inputs, H, W)."""
        identity = self.shortcut(x)
        out = torch.relu(self.reduce(x))
        out = torch.relu(self.filter(out))
        out = self.expand(out)
        out = out + identity
        return torch.relu(out)


@final
class ResNet(Encoder):
    """A residual network without its classifier; build it by `resnet18` or `resnet50`."""

    def __init__(
        self, block: type[BasicBlock | Bottleneck], stages: tuple[Stage, ...], in_channels: int, norm: Norm
    ) -> None:
        super().__init__()
        self.stem = conv_norm(in_channels, 64, 7, 2, norm)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        blocks: list[nn.Module] = []
        inputs = 64
        for number, stage in enumerate(stages):
            for repeat in range(stage.blocks):
                stride = 2 if number > 0 and repeat == 0 else 1
                blocks.append(block(inputs, stage.width, stride, norm))
                inputs = stage.width * block.expansion
        self.blocks = nn.Sequential(*blocks)
        self.ends = tuple(accumulate(stage.blocks for stage in stages))
        self.channels = inputs
        self.widths = tuple(stage.width * block.expansion for stage in stages[1:])

    def parts(self) -> tuple[nn.Module, ...]:
        """Return the parts that end with the second, third and fourth stage: strides 8, 16 and 32."""
        second, third = self.ends[1], self.ends[2]
        start = nn.Sequential(self.stem, nn.ReLU(), self.pool, self.blocks[:second])
        return start, self.blocks[second:third], self.blocks[third:]


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw every convolution anew and set every normalisation to the identity.

    Convolutions: normal with variance 2 / fan-out (He et al., Delving Deep into Rectifiers, ICCV 2015,
    section 2.2, backward form). Without a `generator` the draws come from torch's global one.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _build(
    block: type[BasicBlock | Bottleneck],
    stages: tuple[Stage, ...],
    in_channels: int,
    norm: Norm,
    generator: torch.Generator | None,
) -> ResNet:
    if in_channels < 1:
        raise InvalidInputError(
            f"an encoder of {in_channels} channels", remedy="use 1 to 3", field="modality.channels"
        )
    with torch.random.fork_rng(devices=[]):  # torch's layers draw once on their own; that draw is thrown away
        network = ResNet(block, stages, in_channels, norm)
    initialise(network, generator)
    return network


def resnet18(in_channels: int, norm: Norm, *, generator: torch.Generator | None = None) -> ResNet:
    """Return a ResNet-18 of 512 output channels: 11,176,512 parameters with 3 input channels.

    Weights are drawn from `generator`, or torch's global one. Raises `InvalidInputError` on no input channel
    or an unknown `norm`.
    """
    return _build(BasicBlock, STAGES_18, in_channels, norm, generator)


def resnet50(in_channels: int, norm: Norm, *, generator: torch.Generator | None = None) -> ResNet:
    """Return a ResNet-50 of 2,048 output channels: 23,508,032 parameters with 3 input channels.

    Weights are drawn from `generator`, or torch's global one. Raises `InvalidInputError` on no input channel
    or an unknown `norm`.
    """
    return _build(Bottleneck, STAGES_50, in_channels, norm, generator)
