"""Bundles that are whole in themselves and no model: refused before anything is predicted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from huizhen.errors import ModelError
from huizhen.models.bundle_members import check_preprocessing, load_weights, weights_of_members


def bundle(*names: str, **card: Any) -> Any:
    values = {"thresholds": {"cman/fold0": 0.5}, "preprocessing": {}} | card
    return SimpleNamespace(weights={n: torch.zeros(1) for n in names}, card=SimpleNamespace(**values))


def test_weights_go_to_the_network_of_their_fold_and_member():
    found = weights_of_members(
        bundle(
            "encoder/MG/a",
            "fold1/member0/b.c",
            "fold0/member1/b",
            thresholds={"cman/fold0": 1, "cman/fold1": 1},
        )
    )
    assert {key: list(own) for key, own in found.items()} == {(0, "member1"): ["b"], (1, "member0"): ["b.c"]}


@pytest.mark.parametrize(
    "names", [(), ("other",), ("fold0",), ("foldX/0/w",), ("fold0/0",), ("fold-1/0/w",), ("fold7/0/w",)]
)
def test_bundles_without_a_network_are_refused(names):
    with pytest.raises(ModelError) as caught:
        weights_of_members(bundle(*names))
    assert caught.value.field


@pytest.mark.parametrize("weights", [{}, {"weight": torch.zeros(3, 3), "bias": torch.zeros(2)}])
def test_weights_of_another_network_are_refused(weights):
    with pytest.raises(ModelError, match="not those of the network"):
        load_weights(nn.Linear(2, 2), weights, field="fold0/0")


@pytest.mark.parametrize("record", [{"mode": ["a"]}, {"version": {"b": 1}}, {"version": 1}])
def test_preprocessing_that_is_no_text_is_refused(record):
    with pytest.raises(ModelError, match="no text"):
        check_preprocessing(bundle(preprocessing={"MG": record}))
    check_preprocessing(bundle(preprocessing={"MG": {"mode": "frozen"}}))
