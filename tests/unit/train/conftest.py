"""Synthetic case data: a table and an image modality (features or pixels) that tell the outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.core.study import Study, Variant
from huizhen.models.build import build_network
from huizhen.models.network import Network
from huizhen.train.arrays import CaseData, ImageColumn, TableColumn
from huizhen.train.fit import Fit

NAMES = ("US", "clinic")
SLICES = {"clinic": [(0, 1), (1, 3)]}


def training_study(**training: Any) -> Study:
    """Return a study of one image modality and a table, its network tiny."""
    source = {
        "modality": "clinic",
        "reader": "table",
        "path": "a",
        "columns": {"patient": "p", "outcome": "o"},
    }
    image = {"encoder": "resnet18", "pretrained": False, "size": 32, "kind": "image"}
    return Study.model_validate(
        {
            "name": "s",
            "title": "A study",
            "question": "Is it?",
            "seed": 7,
            "task": {"outcome": "o", "positive": ["1"], "negative": ["0"]},
            "modality": [
                {"name": "US", **image},
                {"name": "clinic", "kind": "table", "numeric": ["age"], "categorical": ["er"]},
            ],
            "site": [{"name": "a", "source": [source]}],
            "network": {"width": 16, "heads": 2},
            "training": {"epochs": 4, "batch_size": 16, **training},
        }
    )


def case_data(n: int = 120, *, signal: float = 3.0, pixels: bool = False, seed: int = 0) -> CaseData:
    """Return n cases, each with a row and most with one or two images; `signal` in standard deviations."""
    rng = np.random.default_rng(seed)
    outcome = (np.arange(n) % 2).astype(np.float32)
    counts = rng.integers(0, 3, n)
    owner = np.repeat(np.arange(n), counts)
    payload: NDArray[Any] = rng.normal(size=(len(owner), 2, 1, 512)).astype(np.float16)
    payload[..., :8] += (signal * (outcome[owner] - 0.5))[:, None, None, None].astype(np.float16)
    if pixels:
        payload = rng.integers(0, 256, (len(owner), 1, 32, 32)).astype(np.uint8)
    values = rng.normal(size=(n, 3)).astype(np.float32)
    values[:, 0] += signal * (outcome - 0.5)
    return CaseData(
        names=NAMES,
        images={
            "US": ImageColumn(
                payload=payload,
                where=np.arange(len(owner)),
                offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                features=not pixels,
            )
        },
        tables={"clinic": TableColumn(values=values, there=np.ones((n, 2), bool))},
        present=np.stack([counts > 0, np.ones(n, bool)], 1),
        outcome=outcome,
    )


def fit_of(study: Study, data: CaseData, *, seed: int = 11) -> Fit:
    """Return the fit that trains on the first two thirds and tunes on the rest."""
    train = len(data) * 2 // 3
    return Fit(
        study=study,
        data=data,
        names=NAMES,
        train=np.arange(train),
        tune=np.arange(train, len(data)),
        seed=seed,
    )


def network_for(study: Study, variant: Variant = Variant.CMAN, *, seed: int = 5) -> Network:
    """Return the fresh network that goes with `study`."""
    return build_network(study, variant, NAMES, SLICES, frozen=study.training.mode == "frozen", seed=seed)


@pytest.fixture
def make_study() -> Callable[..., Study]:
    """Return `training_study`."""
    return training_study


@pytest.fixture
def make_data() -> Callable[..., CaseData]:
    """Return `case_data`."""
    return case_data


@pytest.fixture
def make_fit() -> Callable[..., Fit]:
    """Return `fit_of`."""
    return fit_of


@pytest.fixture
def make_network() -> Callable[..., Network]:
    """Return `network_for`."""
    return network_for
