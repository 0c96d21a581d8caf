"""The linear floor: a network begins as penalised regression on its tables, whichever network it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from huizhen.core.study import Study, Variant
from huizhen.models.network import Network
from huizhen.models.tokens import TableTokenizer
from huizhen.train.arrays import CaseData, TableColumn
from huizhen.train.fit import predict_logits
from huizhen.train.floor import lay_floor
from huizhen.train.table_regression import penalised_regression

Maker = Callable[..., Network]
TRAIN = np.arange(80)
NETWORKS = [Variant.CMAN, Variant.CONCATENATION, Variant.LATE_AVERAGE]


def with_gaps(data: CaseData) -> CaseData:
    """Return `data` with a third of the second column missing and every fifth row absent."""
    there = data.tables["clinic"].there.copy()
    there[::3, 1] = False
    values = np.where(there[:, [0, 1, 1]], data.tables["clinic"].values, 0).astype(np.float32)
    present = data.present.copy()
    present[::5, 1] = False
    return replace(data, tables={"clinic": TableColumn(values=values, there=there)}, present=present)


@pytest.fixture
def data(make_data: Callable[..., CaseData]) -> CaseData:
    return with_gaps(make_data(120, signal=1.0))


@pytest.mark.parametrize("variant", NETWORKS)
def test_before_its_first_step_a_network_is_the_regression(
    variant: Variant, data: CaseData, make_study: Callable[..., Study], make_network: Maker
) -> None:
    network = make_network(make_study(), variant)
    lay_floor(network, data, TRAIN, seed=3)
    table, here = data.tables["clinic"], data.present[:, [1]]
    design = np.concatenate([table.values * here, ~table.there & here, here], 1).astype(float)
    expected = penalised_regression(design[TRAIN], data.outcome[TRAIN].astype(int), 3).logits(design)
    logits = predict_logits(network, data, np.arange(120), ("US", "clinic"))
    answered = data.present.any(1)
    assert logits[answered] == pytest.approx(expected[answered], abs=1e-5)
    assert np.ptp(expected) > 1


@pytest.mark.parametrize("variant", NETWORKS)
def test_an_absent_table_says_nothing(
    variant: Variant, data: CaseData, make_study: Callable[..., Study], make_network: Maker
) -> None:
    network = make_network(make_study(), variant)
    lay_floor(network, data, TRAIN, seed=3)
    images = np.flatnonzero(data.present[:, 0])
    hidden = predict_logits(network, data, images, ("US", "clinic"), keep=("US",))
    assert hidden == pytest.approx(np.full(len(images), float(network.intercept)), abs=1e-6)


def test_only_training_patients_are_looked_at(
    data: CaseData, make_study: Callable[..., Study], make_network: Maker
) -> None:
    floors = []
    for outcome in (data.outcome, np.where(np.arange(120) < 80, data.outcome, 1 - data.outcome)):
        network = make_network(make_study())
        lay_floor(network, replace(data, outcome=outcome.astype(np.float32)), TRAIN, seed=3)
        floors.append(network.tokenizers["clinic"].floor)
    assert torch.equal(floors[0], floors[1])


def test_the_floor_is_held_while_the_network_learns(
    data: CaseData,
    make_study: Callable[..., Study],
    make_fit: Callable[..., object],
    make_network: Maker,
    tmp_path,
) -> None:
    study = make_study(epochs=2)
    network = make_network(study)
    lay_floor(network, data, TRAIN, seed=3)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    fitted = make_fit(study, data).run(network, tmp_path / "checkpoint").weights
    held = {name for name in start if name == "intercept" or name.endswith(".floor")}
    assert held == {"intercept", "tokenizers.clinic.floor"}
    assert all(torch.equal(fitted[name], start[name]) for name in held)
    assert not torch.equal(fitted["own.0.weight"], start["own.0.weight"])


def test_too_few_patients_of_a_class_leave_the_floor_at_zero(
    data: CaseData, make_study: Callable[..., Study], make_network: Maker
) -> None:
    network = make_network(make_study())
    own = network.own[0].weight.clone()
    lay_floor(network, data, np.flatnonzero(data.outcome == 0)[:20], seed=3)
    assert not network.tokenizers["clinic"].floor.any()
    assert torch.equal(network.own[0].weight, own)


def test_a_network_of_images_alone_has_no_floor(make_study: Callable[..., Study]) -> None:
    from huizhen.models.build import build_network

    network = build_network(make_study(), Variant.CMAN, ("US",), {}, frozen=True, seed=1)
    assert not any(isinstance(t, TableTokenizer) for t in network.tokenizers.values())
    assert "intercept" not in network.state_dict()
