"""Tokenizers: pixels, cached features and table columns become tokens, missing ones masked."""

from __future__ import annotations

from typing import final

import pytest
import torch
from torch import Tensor, nn

from huizhen.models.batch import Bag, Row
from huizhen.models.encoders.interface import Encoder
from huizhen.models.tokens import ImageTokenizer, TableTokenizer


@final
class Twice(nn.Module):
    """Each 32 x 32 block's mean, twice."""

    def forward(self, images: Tensor) -> Tensor:
        mean: Tensor = torch.nn.functional.avg_pool2d(images, 32)[:, :1]
        return mean.repeat(1, 2, 1, 1)


class Quarters(Encoder):
    """An encoder that gives each 32 x 32 block's mean, twice."""

    channels = 2

    def parts(self) -> tuple[nn.Module, ...]:
        return (Twice(),)


def test_pixels_become_tokens_row_by_row() -> None:
    pixels = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    pixels[0, 0, 32:, :32] = 255
    tokens = ImageTokenizer(2, 8, Quarters(), 0.0).encode(pixels)
    dark, bright = -0.498 / 0.502, 1.0
    torch.testing.assert_close(tokens[0, :, 0], torch.tensor([dark, dark, bright, dark]), rtol=0, atol=1e-4)
    assert torch.equal(tokens[..., 0], tokens[..., 1])


def test_bytes_and_shares_of_white_are_the_same_image() -> None:
    pixels = torch.randint(
        0, 256, (2, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    tokenizer = ImageTokenizer(2, 8, Quarters(), 0.0)
    torch.testing.assert_close(tokenizer.encode(pixels), tokenizer.encode(pixels.float() / 255))


def test_cached_features_pass_through_as_floats() -> None:
    features = torch.randn(2, 4, 6).half()
    tokens = ImageTokenizer(6, 8, None, 0.0).encode(features)
    assert torch.equal(tokens, features.float())


def test_image_tokens_stand_at_their_case_and_slot() -> None:
    tokenizer = ImageTokenizer(6, 8, None, 0.0).eval()
    bag = Bag(payload=torch.randn(2, 3, 6), case=torch.tensor([1, 1]), slot=torch.tensor([0, 1]), width=2)
    tokens, there = tokenizer(bag, bag.payload, 2)
    assert (tokens.shape, there.tolist()) == ((2, 6, 8), [[False] * 6, [True] * 6])
    torch.testing.assert_close(tokens[1].reshape(2, 3, 8), tokenizer.project(bag.payload))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("count", [0, 1])
def test_a_batch_of_no_or_one_image_is_encoded(count: int, training: bool) -> None:
    """One image of 32 pixels leaves batch normalisation a single value; no image leaves it none."""
    from huizhen.models.encoders.resnet import resnet18

    tokenizer = ImageTokenizer(512, 8, resnet18(1, "batch"), 0.0).train(training)
    tokens = tokenizer.encode(torch.zeros(count, 1, 32, 32, dtype=torch.uint8))
    assert tokens.shape == (count, 1, 512)
    assert torch.isfinite(tokens).all()
    assert all(module.training == training for module in tokenizer.modules())


def test_each_table_column_is_a_token_of_its_own() -> None:
    torch.manual_seed(0)
    tokenizer = TableTokenizer([(0, 1), (1, 4)], 8, 0.0).eval()
    values = torch.randn(2, 4)
    tokens, _ = tokenizer(Row(values=values, there=torch.ones(2, 2, dtype=torch.bool)))
    other = values.clone()
    other[:, 1:] = 9  # the second column only
    changed, _ = tokenizer(Row(values=other, there=torch.ones(2, 2, dtype=torch.bool)))
    assert tokens.shape == (2, 2, 8)
    assert torch.equal(tokens[:, 0], changed[:, 0])
    assert not torch.equal(tokens[:, 1], changed[:, 1])


def test_a_columns_presence_is_the_mask() -> None:
    there = torch.tensor([[True, False], [False, True]])
    _, mask = TableTokenizer([(0, 1), (1, 2)], 8, 0.0)(Row(values=torch.zeros(2, 2), there=there))
    assert torch.equal(mask, there)


def test_a_category_without_any_level_in_training_is_still_a_token() -> None:
    """A categorical column that was always missing has no feature: its token is its column's embedding."""
    tokenizer = TableTokenizer([(0, 1), (1, 1)], 8, 0.0).eval()
    tokens, _ = tokenizer(Row(values=torch.zeros(3, 1), there=torch.ones(3, 2, dtype=torch.bool)))
    assert tokens.shape == (3, 2, 8)
    assert torch.isfinite(tokens).all()
