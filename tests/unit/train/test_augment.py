"""Augmentation: from one generator, within bounds, masks moved with their image."""

from __future__ import annotations

import torch
from torch import Tensor

from huizhen.train.augment import augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(n: int) -> Tensor:
    """Return n dark images with one bright disc, off the centre."""
    place = torch.arange(64)
    disc = ((place[:, None] - 24) ** 2 + (place[None] - 40) ** 2 < 81).float()
    return disc.expand(n, 1, 64, 64).clone() * 0.8 + 0.1


def test_the_generator_decides_and_torchs_own_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    first, same, other = (augment(blobs(4), generator(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_pixels_stay_within_white_and_the_input_as_it_was() -> None:
    pixels = torch.rand(16, 3, 32, 32, generator=generator())
    kept = pixels.clone()
    altered, _ = augment(pixels, generator())
    assert altered.shape == pixels.shape
    assert 0 <= altered.min() <= altered.max() <= 1
    assert torch.equal(pixels, kept)


def test_images_are_altered_each_in_its_own_way() -> None:
    altered, _ = augment(blobs(8), generator())
    assert len({tuple(image.flatten().tolist()) for image in altered}) == 8


def test_a_mask_moves_with_its_image() -> None:
    pixels = blobs(32)
    altered, mask = augment(pixels, generator(), (pixels > 0.5).float())
    assert mask is not None
    inside = (altered * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3))
    outside = (altered * (1 - mask)).sum((1, 2, 3)) / (1 - mask).sum((1, 2, 3))
    assert (inside > outside + 0.2).float().mean() > 0.9  # but where the disc is occluded


def test_a_batch_without_images_passes() -> None:
    altered, mask = augment(torch.zeros(0, 1, 32, 32), generator())
    assert (altered.shape, mask) == ((0, 1, 32, 32), None)
