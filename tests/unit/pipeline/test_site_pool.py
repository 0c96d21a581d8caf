"""A site's pool: features of what a case has, orders by every rule, nobody asked twice, the same again."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from huizhen.core.study_active import QueryRule
from huizhen.pipeline.site_pool import Order, first_order, next_order, pool_features
from huizhen.train.arrays import CaseData, ImageColumn, TableColumn

NAMES = ("US", "clinic")
ROWS = np.arange(40)


class Answer:
    """What a network returns, as far as it is read here."""

    def __init__(self, logit: Tensor) -> None:
        self.logit = logit


class Small(nn.Module):
    """A network on cached features and a table, with a dropout."""

    zooms = (1.0,)

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.image, self.row = nn.Linear(8, 1), nn.Linear(3, 1)

    def encode(self, batch: Any) -> dict[str, Tensor]:
        return {name: bag.payload.float() for name, bag in batch.bags.items()}

    def forward(self, batch: Any) -> Answer:
        bag = batch.bags["US"]
        logit = self.row(self.drop(batch.rows["clinic"].values))[:, 0]
        own = self.image(self.drop(bag.payload.float().mean(1)))[:, 0]
        return Answer(logit.index_add(0, bag.case, own))


def make_data() -> CaseData:
    """Return 40 cases: case 3 without images, case 5 without a row, case 7 with three images."""
    rng = np.random.default_rng(4)
    count = np.ones(40, np.int64)
    count[3], count[7] = 0, 3
    images = ImageColumn(
        payload=rng.normal(size=(int(count.sum()), 1, 4, 8)).astype(np.float16),
        where=np.arange(count.sum()),
        offsets=np.concatenate([[0], np.cumsum(count)]),
        features=True,
    )
    present = np.ones((40, 2), bool)
    present[3, 0] = present[5, 1] = False
    table = TableColumn(
        values=rng.normal(size=(40, 3)).astype(np.float32), there=np.ones((40, 3), dtype=bool)
    )
    outcome = (np.arange(40) % 2).astype(np.float32)
    return CaseData(
        names=NAMES, images={"US": images}, tables={"clinic": table}, present=present, outcome=outcome
    )


@pytest.fixture
def network() -> Any:
    torch.manual_seed(2)
    return cast(Any, Small())


def order(network: Any, rule: QueryRule, *, budget: int = 6, seed: int = 5, closed: int = 4) -> Order:
    labelled = ROWS < 12
    return next_order(
        network,
        make_data(),
        ROWS,
        NAMES,
        rule,
        labelled=labelled,
        closed=labelled | (closed + 12 > ROWS),
        budget=budget,
        seed=seed,
    )


def test_features_are_missing_where_a_modality_is_and_means_over_images(network):
    data = make_data()
    found = pool_features(network, data, ROWS, NAMES, seed=1)
    assert found.shape == (40, 8 + 3)
    assert np.isnan(found[3, :8]).all()
    assert np.isfinite(found[3, 8:]).all()
    assert np.isnan(found[5, 8:]).all()
    assert np.isfinite(np.delete(found, [3, 5], axis=0)).all()
    rows, _, _ = data.images["US"].rows(np.array([7]))
    mean = data.images["US"].payload[rows, 0].astype(float).mean((0, 1))
    raw = np.array([data.images["US"].payload[data.images["US"].rows(np.array([i]))[0], 0] for i in (8, 9)])
    assert len(rows) == 3
    assert mean.shape == raw.mean((1, 2)).shape[1:]


@pytest.mark.parametrize("rule", list(QueryRule), ids=str)
def test_every_rule_gives_an_order_that_can_be_cut_anywhere(network, rule):
    found = order(network, rule)
    assert len(found) == len(found.reason) == 6
    assert len(set(found.rows.tolist())) == 6
    assert found.rows.min() >= 16, "what has a label or was asked before isn't asked"
    assert (np.diff(found.score) < 0).all()
    assert found.score.min() > 0


@pytest.mark.parametrize("rule", list(QueryRule), ids=str)
def test_the_same_question_gets_the_same_order(network, rule):
    one, again = order(network, rule), order(network, rule)
    assert one.rows.tolist() == again.rows.tolist()
    assert one.score.tolist() == again.score.tolist()


def test_labels_that_were_not_asked_for_change_nothing(network):
    data = make_data()
    hidden = data.outcome.copy()
    hidden[12:] = np.nan
    labelled = ROWS < 12
    both = [
        next_order(
            network,
            CaseData(
                names=NAMES, images=data.images, tables=data.tables, present=data.present, outcome=outcome
            ),
            ROWS,
            NAMES,
            QueryRule.FAHL,
            labelled=labelled,
            closed=labelled,
            budget=5,
            seed=1,
        )
        for outcome in (data.outcome, hidden)
    ]
    assert both[0].rows.tolist() == both[1].rows.tolist()


def test_fewer_than_the_budget_only_when_fewer_are_open(network):
    assert len(order(network, QueryRule.FAHL, budget=50)) == 24
    assert len(order(network, QueryRule.ENTROPY, budget=0)) == 0


def test_a_cold_start_asks_typical_cases_that_are_open(network):
    features = pool_features(network, make_data(), ROWS, NAMES, seed=1)
    found = first_order(features, ROWS < 10, 8, seed=3)
    assert len(found) == 8
    assert found.rows.min() >= 10
    assert found.rows.tolist() == first_order(features, ROWS < 10, 8, seed=3).rows.tolist()
