"""Monte-Carlo dropout of a network: only dropout is left on, and draws can be had again."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from huizhen.errors import InvalidInputError
from huizhen.train.active.monte_carlo import dropout_samples
from huizhen.train.arrays import CaseData, TableColumn


class Answer:
    """What a network returns, as far as it is read here."""

    def __init__(self, logit: Tensor) -> None:
        self.logit = logit


class Small(nn.Module):
    """A network on one table with a normalisation and a dropout."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(rate)
        self.head = nn.Linear(4, 1)

    def forward(self, batch: Any) -> Answer:
        return Answer(self.head(self.drop(self.norm(batch.rows["T"].values)))[:, 0])


def make_data(n: int = 10) -> CaseData:
    values = np.random.default_rng(1).standard_normal((n, 4)).astype(np.float32)
    present = np.ones((n, 1), dtype=bool)
    present[3] = False
    column = TableColumn(values=values, there=np.ones((n, 4), dtype=bool))
    return CaseData(
        names=("T",), images={}, tables={"T": column}, present=present, outcome=np.zeros(n, dtype=np.float32)
    )


def samples(network: nn.Module, seed: int = 1) -> np.ndarray:
    return dropout_samples(
        cast(Any, network), make_data(), np.arange(10), ("T",), draws=6, seed=seed, batch_size=4
    )


def test_draws_differ_can_be_had_again_and_leave_the_network_as_it_was() -> None:
    torch.manual_seed(0)
    network = Small(0.4)
    before = network.norm.running_mean.clone() if network.norm.running_mean is not None else None
    found = samples(network)
    assert found.shape == (6, 10)
    assert found[:, 0].std() > 0
    np.testing.assert_array_equal(found, samples(network))
    assert not np.array_equal(found, samples(network, seed=2))
    assert not network.training
    assert not network.drop.training
    assert before is not None
    assert network.norm.running_mean is not None
    assert torch.equal(before, network.norm.running_mean)


def test_a_case_with_nothing_present_gets_one_half() -> None:
    assert (samples(Small(0.4))[:, 3] == 0.5).all()


def test_a_network_without_dropout_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no dropout"):
        samples(Small(0.0))
