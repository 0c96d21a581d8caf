"""Cached features of frozen encoders: each image goes through its encoder once, or once an augmented copy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from huizhen.core.progress import Advance
from huizhen.core.streams import stream_seed
from huizhen.core.study import ImageModality
from huizhen.models.encoders.choose import make_encoder
from huizhen.models.encoders.interface import Encoder, normalise
from huizhen.train.augment import augment

FEATURES_VERSION = "1"
BATCH = 32


def frozen_encoder(modality: ImageModality, seed: int) -> Encoder:
    """Return the modality's encoder in evaluation mode; if not pretrained, drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "encoder", modality.name))
        encoder = make_encoder(modality)
    return encoder.eval().requires_grad_(False)


@torch.inference_mode()
def encode_images(
    encoder: Encoder,
    pixels: NDArray[np.uint8],
    *,
    copies: int,
    seed: int,
    advance: Advance = lambda steps: None,
) -> NDArray[np.float16]:
    """Return features (copies, N, T, D) of `pixels` (N, C, S, S); copy 0 is plain, the others augmented."""
    parts: list[NDArray[np.float16]] = []
    for start in range(0, len(pixels), BATCH):
        plain = torch.from_numpy(np.ascontiguousarray(pixels[start : start + BATCH])).float() / 255
        generator = torch.Generator().manual_seed(stream_seed(seed, "copies", start))
        shown = [plain, *(augment(plain, generator)[0] for _ in range(copies - 1))]
        grids = [encoder(normalise(x)).flatten(2).transpose(1, 2) for x in shown]
        parts.append(torch.stack(grids).to(torch.float16).numpy())
        advance(len(plain))
    return np.concatenate(parts, 1)
