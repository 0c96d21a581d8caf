"""What every statistic keeps: it adds up over sites, checks its queries, and travels as a specification."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.batch import Batch, Fold, Folded
from huizhen.federate.statistics.calibration import Recalibration
from huizhen.federate.statistics.combat import Combat, features_of
from huizhen.federate.statistics.components import Components
from huizhen.federate.statistics.counts import Categories, Histogram
from huizhen.federate.statistics.cox import Cox
from huizhen.federate.statistics.cox_likelihood import CoxLikelihood
from huizhen.federate.statistics.data import design, scored, survival, table_of
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.event_times import EventTimes
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.kaplan_meier import KaplanMeier
from huizhen.federate.statistics.logistic import Logistic, LogisticLikelihood
from huizhen.federate.statistics.moments import Moments
from huizhen.federate.statistics.quantiles import Quantiles
from huizhen.federate.statistics.risk_sets import Ties
from huizhen.federate.statistics.risks import Risks
from huizhen.federate.statistics.runner import respond, run
from huizhen.federate.statistics.specification import KINDS, from_specification, to_specification
from huizhen.federate.statistics.stratified_cox import StratifiedCox

N, COLUMNS = 90, ("a", "b")
RANDOM = np.random.default_rng(12)
X, TARGET = RANDOM.normal(size=(N, 2)), (RANDOM.random(N) < 0.4).astype(float)
TIME, EVENT = np.ceil(RANDOM.exponential(30, N)), RANDOM.random(N) < 0.6
SCORES, FOLD = np.round(RANDOM.random((2, N)), 3), np.arange(N) % 3
PARTS = (slice(0, 50), slice(50, 51), slice(51, N))


def kinds_of_data(rows: slice) -> dict[str, Any]:
    """Return the patients in `rows` as each kind of data."""
    regression = design(COLUMNS, X[rows], TARGET[rows])
    followed = survival(COLUMNS, X[rows], TIME[rows], EVENT[rows])
    return {
        "table": table_of(COLUMNS, X[rows]),
        "column": table_of(("a",), np.round(X[rows, :1], 1)),
        "design": regression,
        "features": features_of(X[rows], SCORES[:1, rows].T),
        "survival": followed,
        "folded": Folded(data=regression, fold=FOLD[rows]),
        "risks": scored(TARGET[rows] == 1, SCORES[0, rows]),
        "scores": scored(TARGET[rows] == 1, SCORES[:, rows]),
    }


GRID = run(EventTimes(horizon=1000), [kinds_of_data(slice(N))["survival"]]).result
COX, LOGISTIC = Cox(columns=COLUMNS, grid=GRID, ridge=0.5), Logistic(columns=COLUMNS, ridge=0.5)
STATISTICS: list[tuple[Any, str]] = [
    (Moments(columns=COLUMNS), "table"),
    (Categories(column="a", codes=(0.0, 0.1)), "column"),
    (Histogram(column="a", edges=(-1.0, 0.0, 1.0)), "column"),
    (Quantiles(column="a", levels=(0.1, 0.5), low=-9, high=9, resolution=0.1), "column"),
    (DeLong(models=2), "scores"),
    (Risks(thresholds=(0.2, 0.5)), "risks"),
    (Recalibration(in_the_large=True), "risks"),
    (Recalibration(), "risks"),
    (KaplanMeier(times=(10.0, 20.0, 50.0)), "survival"),
    (EventTimes(horizon=1000), "survival"),
    (LOGISTIC, "design"),
    (LogisticLikelihood(model=LOGISTIC, coefficients=(0.1, 0.2, 0.3)), "design"),
    (COX, "survival"),
    (Cox(columns=COLUMNS, grid=GRID, ties=Ties.BRESLOW), "survival"),
    (CoxLikelihood(model=COX, coefficients=(0.1, 0.2)), "survival"),
    (
        Batch(parts=(Fold(statistic=LOGISTIC, fold=1), Fold(statistic=LOGISTIC, fold=1, held_out=True))),
        "folded",
    ),
    (Fold(statistic=LOGISTIC, fold=2), "folded"),
]
STRATIFIED = (StratifiedCox(columns=COLUMNS), "survival")
COMBAT = (Combat(features=2, covariates=("c",)), "features")
COMPONENTS = (Components(features=2, components=1, covariates=("c",)), "features")
BY_SITE = [STRATIFIED, COMBAT, COMPONENTS]
"""Statistics that go by what varies within sites: the pooled patients as one site give another result."""
IDS = [f"{place}-{type(item).__name__}" for place, (item, _) in enumerate(STATISTICS)]


def assert_same(a: Any, b: Any) -> None:
    """Assert that two results agree, number by number."""
    if is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, tuple):
        for first, second in zip(a, b, strict=True):
            assert_same(first, second)
    elif isinstance(a, str):
        assert a == b
    else:
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("statistic", "kind"), STATISTICS, ids=IDS)
def test_sites_together_give_what_the_pooled_patients_give(statistic: Any, kind: str) -> None:
    apart = run(statistic, [kinds_of_data(rows)[kind] for rows in PARTS])
    pooled = run(statistic, [kinds_of_data(slice(N))[kind]])
    assert apart.n == pooled.n == N or isinstance(statistic, Fold)
    assert apart.rounds == pooled.rounds
    assert_same(apart.result, pooled.result)


@pytest.mark.parametrize(
    ("statistic", "kind"), [*STATISTICS, *BY_SITE], ids=[*IDS, "stratified", "combat", "components"]
)
def test_a_statistic_travels_as_json(statistic: Any, kind: str) -> None:
    text = json.dumps(to_specification(statistic), allow_nan=False)
    assert from_specification(json.loads(text)) == statistic
    query = statistic.start().query
    assert next(iter(statistic.layout(query))) == "n"
    site = kinds_of_data(PARTS[0])[kind]
    assert list(respond(statistic, query, site).values) == list(statistic.layout(query))
    with pytest.raises(MessageError, match="another statistic"):
        respond(statistic, Query(name="unlike", values=query.values), site)


def test_every_kind_keeps_the_contract() -> None:
    assert {type(item).__name__ for item, _ in [*STATISTICS, *BY_SITE]} == set(KINDS)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kind": "os.system"},
        {"kind": "EventGrid", "resolution": 1.0, "cells": [1], "tied": [False]},
        {"kind": "DeLong", "models": "2"},
        {"kind": "DeLong", "models": 0},
        {"kind": "DeLong", "modles": 2},
        {"kind": "Moments"},
        {"kind": "Moments", "columns": [1, 2]},
        {"kind": "Logistic", "columns": ["a"], "ridge": float("nan")},
        {"kind": "Fold", "statistic": {"kind": "nothing"}, "fold": 1},
        {"kind": "Fold", "statistic": 3, "fold": 1},
        {"kind": "Batch", "parts": 3},
        {"kind": "Batch", "parts": []},
        {"kind": ["DeLong"]},
        {"kind": "StratifiedCox", "columns": ["a"], "ties": "exact"},
    ],
)
def test_specifications_that_arent_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        from_specification(wrong)


def test_a_specification_may_not_be_deep() -> None:
    deep: dict[str, Any] = to_specification(LOGISTIC)
    for _ in range(9):
        deep = {"kind": "Fold", "statistic": deep, "fold": 0}
    with pytest.raises(MessageError, match="too deep"):
        from_specification(deep)
    with pytest.raises(InvalidInputError, match="no known statistic"):
        to_specification(3)
