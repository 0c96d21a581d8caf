"""Small networks over three modalities, and batches for them: bags of features or pixels, a table row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from huizhen.core.study import Study, Variant
from huizhen.models.batch import Bag, CaseBatch, Row
from huizhen.models.build import ENCODER_CHANNELS, build_network
from huizhen.models.network import Network

NAMES = ("MG", "US", "clinic")
SLICES = {"clinic": [(0, 1), (1, 4)]}
TOKENS = 4
NetworkMaker = Callable[..., Network]
BatchMaker = Callable[..., CaseBatch]


def small_study(**network: Any) -> Study:
    """Return a study of two image modalities and a table, its network tiny."""
    image = {"encoder": "resnet18", "pretrained": False, "size": 32, "norm": "group"}
    source = {
        "modality": "clinic",
        "reader": "table",
        "path": "a",
        "columns": {"patient": "p", "outcome": "o"},
    }
    return Study.model_validate(
        {
            "name": "s",
            "title": "A study",
            "question": "Is it?",
            "seed": 7,
            "task": {"outcome": "o", "positive": ["1"], "negative": ["0"]},
            "modality": [
                {"name": "MG", "kind": "image", **image},
                {"name": "US", "kind": "image", **image, "channels": 2},
                {"name": "clinic", "kind": "table", "numeric": ["age"], "categorical": ["er"]},
            ],
            "site": [{"name": "a", "source": [source]}],
            "network": {"width": 16, "heads": 2, "dropout": 0.0, **network},
        }
    )


def small_network(
    variant: Variant, *, frozen: bool = True, names: tuple[str, ...] = NAMES, **network: Any
) -> Network:
    """Return a network whose every parameter is drawn, so that none hides behind an initial zero."""
    study = small_study(**network)
    built = build_network(study, variant, names, SLICES, frozen=frozen, seed=3)
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if ".encoder." not in name:
                parameter.add_(torch.randn(parameter.shape, generator=draw) * 0.2)
    return built.eval()


def small_batch(
    *, bags: Mapping[str, tuple[int, ...]] | None = None, pixels: bool = False, seed: int = 0
) -> CaseBatch:
    """Return a batch of five cases; `bags` gives the number of images of each case by modality."""
    counts = bags or {"MG": (2, 1, 0, 3, 1), "US": (1, 0, 2, 1, 1)}
    draw = torch.Generator().manual_seed(seed)
    size = len(counts["MG"])
    there = torch.rand(size, 2, generator=draw) < 0.8
    there[:, 0] = True
    return CaseBatch(
        bags={name: bag_of(numbers, draw, pixels, 1 + (name == "US")) for name, numbers in counts.items()},
        rows={"clinic": Row(values=torch.randn(size, 4, generator=draw), there=there)},
        present=torch.tensor([[counts["MG"][i] > 0, counts["US"][i] > 0, True] for i in range(size)]),
        outcome=(torch.arange(size) % 2).float(),
    )


def bag_of(counts: tuple[int, ...], draw: torch.Generator, pixels: bool, channels: int) -> Bag:
    """Return a bag of random content."""
    n = sum(counts)
    case = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    slot = torch.cat([torch.arange(count) for count in counts])
    payload: Tensor = torch.randn(n, TOKENS, ENCODER_CHANNELS["resnet18"], generator=draw)
    if pixels:
        payload = torch.randint(0, 256, (n, channels, 32, 32), generator=draw, dtype=torch.uint8)
    return Bag(payload=payload, case=case, slot=slot, width=max(1, *counts))


@pytest.fixture
def make_network() -> NetworkMaker:
    """Return `small_network`."""
    return small_network


@pytest.fixture
def make_batch() -> BatchMaker:
    """Return `small_batch`."""
    return small_batch


@pytest.fixture
def make_study() -> Callable[..., Study]:
    """Return `small_study`."""
    return small_study


@pytest.fixture
def permuted() -> Callable[[CaseBatch, list[int]], CaseBatch]:
    """Return a function that puts a batch's cases in another order, bags ascending again."""

    def reorder(batch: CaseBatch, order: list[int]) -> CaseBatch:
        place = torch.empty(len(order), dtype=torch.long)
        place[torch.tensor(order)] = torch.arange(len(order))

        def moved(bag: Bag) -> Bag:
            case = place[bag.case]
            by = torch.argsort(case * bag.width + bag.slot)
            return replace(bag, payload=bag.payload[by], case=case[by], slot=bag.slot[by])

        return CaseBatch(
            bags={name: moved(bag) for name, bag in batch.bags.items()},
            rows={name: Row(values=r.values[order], there=r.there[order]) for name, r in batch.rows.items()},
            present=batch.present[order],
            outcome=batch.outcome[order],
        )

    return reorder
