"""View dropout: images leave a patient's bag at random, and one always stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from huizhen.models.batch import Bag
from huizhen.train.fit import kept_views

CASE = np.repeat(np.arange(200), np.arange(200) % 4 + 1)


def test_one_image_of_every_case_stays() -> None:
    kept = kept_views(CASE, 0.9, np.random.default_rng(1)).numpy()
    assert set(CASE[kept]) == set(range(200))
    assert kept.mean() < 0.55


def test_images_are_dropped_at_the_rate() -> None:
    single = kept_views(np.zeros(40_000, int), 0.3, np.random.default_rng(2)).numpy()
    assert single.mean() == pytest.approx(0.7, abs=0.01)


def test_the_bag_keeps_payload_and_places_together() -> None:
    first = np.searchsorted(CASE, CASE)
    bag = Bag(
        payload=torch.arange(len(CASE))[:, None],
        case=torch.from_numpy(CASE),
        slot=torch.from_numpy(np.arange(len(CASE)) - first),
        width=4,
    )
    keep = kept_views(CASE, 0.5, np.random.default_rng(3))
    thin = bag.thinned(keep)
    assert torch.equal(thin.payload[:, 0], torch.arange(len(CASE))[keep])
    assert torch.equal(thin.case, bag.case[keep])
    tokens, there = thin.spread(thin.payload[:, None].float(), 200)
    assert there.sum(1).tolist() == np.bincount(CASE[keep.numpy()], minlength=200).tolist()
    assert tokens[there].flatten().tolist() == thin.payload[:, 0].tolist()


def test_an_empty_bag_stays_empty() -> None:
    none = torch.zeros(0, dtype=torch.long)
    bag = Bag(payload=torch.zeros(0, 1), case=none, slot=none, width=1)
    assert len(bag.thinned(kept_views(none.numpy(), 0.5, np.random.default_rng(4))).case) == 0
