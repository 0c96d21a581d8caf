"""Bags of different sizes side by side, and modalities hidden from a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch

from huizhen.models.batch import Bag, CaseBatch


def test_a_bag_spreads_each_image_to_its_case_and_slot() -> None:
    tokens = torch.arange(3 * 2 * 1).reshape(3, 2, 1).float() + 1  # three images of two tokens
    bag = Bag(payload=tokens, case=torch.tensor([0, 2, 2]), slot=torch.tensor([0, 0, 1]), width=2)
    wide, there = bag.spread(tokens, 3)
    assert wide[..., 0].tolist() == [[1, 2, 0, 0], [0, 0, 0, 0], [3, 4, 5, 6]]
    assert there.int().tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]


def test_a_bag_without_any_image_spreads_to_nothing_there() -> None:
    none = torch.zeros(0, dtype=torch.long)
    bag = Bag(payload=torch.zeros(0, 4, 8), case=none, slot=none, width=1)
    wide, there = bag.spread(bag.payload, 3)
    assert (wide.shape, there.any().item()) == ((3, 4, 8), False)


def test_spreading_carries_gradients_back_to_every_image() -> None:
    tokens = torch.randn(3, 2, 4, requires_grad=True)
    bag = Bag(payload=tokens, case=torch.tensor([0, 1, 1]), slot=torch.tensor([0, 0, 1]), width=2)
    (bag.spread(tokens, 2)[0] * 3).sum().backward()
    assert tokens.grad is not None
    assert torch.all(tokens.grad == 3)


def test_restricting_hides_but_never_adds(make_batch: Callable[..., CaseBatch]) -> None:
    batch = make_batch()
    shown = batch.restricted(torch.tensor([True, True, False]))
    assert torch.equal(shown.present[:, :2], batch.present[:, :2])
    assert not shown.present[:, 2].any()
    assert torch.equal(batch.restricted(torch.ones(5, 3, dtype=torch.bool)).present, batch.present)
    assert len(shown) == len(batch) == 5
