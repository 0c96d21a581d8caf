"""Moments, tables and quantiles over sites equal those of the pooled patients."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.weightstats import DescrStatsW

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError, PolicyError
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.columns import check_same_columns
from huizhen.federate.statistics.counts import Categories, Histogram
from huizhen.federate.statistics.data import Table, table_of
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.moments import Moments, standardise
from huizhen.federate.statistics.quantiles import Quantiles
from huizhen.federate.statistics.runner import run

COLUMNS = ("age", "size", "grade")


def tables(seed: int, *, sizes: tuple[int, ...] = (40, 1, 7, 120)) -> list[Table]:
    random = np.random.default_rng(seed)
    found = []
    for n in sizes:
        values = random.normal(size=(n, 3)) * [10.0, 1e-3, 1.0] + [60.0, 5.0, 0.0]
        values[random.random((n, 3)) < 0.2] = np.nan
        found.append(table_of(COLUMNS, values, weights=random.uniform(0.5, 2.0, n)))
    return found


def test_moments_are_those_of_the_pooled_patients() -> None:
    sites = tables(1)
    found = run(Moments(columns=COLUMNS), sites).result
    values = np.vstack([site.values for site in sites])
    weights = np.concatenate([site.weights for site in sites])
    for place in range(3):
        there = ~np.isnan(values[:, place])
        pooled = DescrStatsW(values[there, place], weights=weights[there], ddof=1)
        assert found.present[place] == there.sum()
        assert found.mean[place] == pytest.approx(pooled.mean, rel=1e-13)
        assert found.variance[place] == pytest.approx(pooled.var, rel=1e-8)


def test_a_large_mean_doesnt_swamp_a_small_variance() -> None:
    values = 1e9 + np.array([[0.0], [1.0], [2.0], [4.0]])
    found = run(Moments(columns=("x",)), [table_of(("x",), values[:2]), table_of(("x",), values[2:])]).result
    assert found.variance[0] == pytest.approx(np.var([0.0, 1.0, 2.0, 4.0], ddof=1), rel=1e-12)
    assert found.mean[0] == 1e9 + 1.75


def test_standardised_columns_have_mean_0_and_variance_1() -> None:
    random = np.random.default_rng(2)
    values = random.normal(size=(50, 3)) * [3.0, 0.1, 0.0] + [9.0, -1.0, 4.0]
    fitted = standardise(
        run(Moments(columns=COLUMNS), [table_of(COLUMNS, values[:9]), table_of(COLUMNS, values[9:])]).result
    )
    done = fitted.apply(values)
    np.testing.assert_allclose(done.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(done[:, :2].std(axis=0, ddof=1), 1, rtol=1e-12)
    assert fitted.scale[2] == 1.0


def test_a_column_without_a_value_cant_be_standardised() -> None:
    found = run(Moments(columns=("x",)), [table_of(("x",), [[np.nan]])]).result
    assert np.isnan(found.mean[0])
    with pytest.raises(NotEstimableError, match="no patient has a value of x"):
        standardise(found)
    with pytest.raises(InvalidInputError, match="has shape"):
        standardise(run(Moments(columns=("x",)), [table_of(("x",), [[1.0]])]).result).apply(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("change", "step"),
    [({"present": [9.0]}, 0), ({"weight": [-1.0]}, 0), ({"square": [-1.0]}, 1), ({"sum": [99.0]}, 1)],
)
def test_impossible_moments_are_refused(change: dict[str, list[float]], step: int) -> None:
    moments = Moments(columns=("x",))
    query = Query(name="moments", step=step, values={"centre": np.zeros(1)})
    values = {"n": 3.0, "present": [3.0], "weight": [3.0], "sum": [1.0], "square": [2.0]} | change
    layout = moments.layout(query)
    with pytest.raises(MessageError, match="contradict"):
        moments.check(query, aggregate(layout, {name: values[name] for name in layout}))


def test_unequal_columns_are_named() -> None:
    with pytest.raises(InvalidInputError, match="lacks size and has sex besides"):
        check_same_columns(("age", "sex"), ("age", "size"))
    with pytest.raises(InvalidInputError, match="another order"):
        check_same_columns(("b", "a"), ("a", "b"))
    with pytest.raises(InvalidInputError, match="lacks size"):
        run(Moments(columns=("age", "size")), [table_of(("age",), [[1.0]])])


@pytest.mark.parametrize(
    "statistic",
    [
        Categories(column="x", codes=(0.0, 1.0, 2.0), smallest_count=5),
        Histogram(column="x", edges=(0.0, 1.0, 2.0, 3.0), smallest_count=5),
    ],
    ids=["categories", "histogram"],
)
def test_tables_hide_small_cells_and_a_second_one(statistic: Categories | Histogram) -> None:
    values = np.repeat([0.0, 1.0, 2.0], [30, 9, 2])[:, np.newaxis]
    found = run(statistic, [table_of(("x",), values[::2]), table_of(("x",), values[1::2])]).result
    assert found.hidden.tolist()[:3] == [False, True, True]
    assert found.counts[0] == 30
    assert np.isnan(found.counts[[1, 2]]).all()
    assert found.n == 41


def test_histogram_is_numpys_with_the_rest_apart() -> None:
    values = np.random.default_rng(3).normal(size=200)
    values[:5] = np.nan
    edges = (-1.0, -0.5, 0.0, 0.7)
    sites = [table_of(("x",), part[:, np.newaxis]) for part in np.split(values, [20, 21])]
    found = run(Histogram(column="x", edges=edges), sites).result
    cells = dict(zip(found.labels, found.counts, strict=True))
    expected = np.histogram(values[5:], bins=[-np.inf, *edges, np.inf])[0]
    assert [cells["below"], *list(cells.values())[:3], cells["above"]] == expected.tolist()
    assert cells["missing"] == 5


@pytest.mark.parametrize("edges", [(1.0,), (1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (0.0, np.nan)])
def test_edges_must_rise(edges: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInputError, match="edges"):
        Histogram(column="x", edges=edges)


def test_codes_must_differ() -> None:
    with pytest.raises(InvalidInputError, match="codes"):
        Categories(column="x", codes=(1.0, 1.0))


@pytest.mark.parametrize("method", ["linear", "inverted_cdf"])
def test_quantiles_are_numpys_on_the_grid(method: str) -> None:
    random = np.random.default_rng(4)
    values = np.round(random.gamma(2.0, 40.0, size=301), 1)
    sites = [table_of(("x",), part[:, np.newaxis]) for part in np.split(values, [1, 100])]
    levels = (0.0, 0.1, 0.25, 0.5, 0.9, 1.0)
    asked = Quantiles(column="x", levels=levels, low=0.0, high=1e4, resolution=0.1, method=method)
    found = run(asked, sites)
    np.testing.assert_allclose(
        found.result.values, np.quantile(values, levels, method=method), atol=1e-9, rtol=0
    )
    assert found.rounds == 3


def test_quantiles_are_within_half_the_resolution() -> None:
    values = np.random.default_rng(5).normal(size=80)
    asked = Quantiles(column="x", levels=(0.05, 0.5), low=-6, high=6, resolution=0.01)
    found = run(asked, [table_of(("x",), values[:, np.newaxis])]).result
    assert np.abs(found.values - np.quantile(values, [0.05, 0.5])).max() <= 0.005 + 1e-12


def test_quantiles_refuse_what_shows_single_patients_or_isnt_there() -> None:
    site = table_of(("x",), np.arange(20.0)[:, np.newaxis])
    bounds = {"column": "x", "low": 0.0, "high": 20.0, "resolution": 1.0}
    with pytest.raises(PolicyError, match="fewer than 5 values on one side"):
        run(Quantiles(levels=(0.0,), smallest_count=5, **bounds), [site])
    with pytest.raises(NotEstimableError, match="outside the bounds"):
        run(Quantiles(levels=(0.5,), **(bounds | {"high": 10.0})), [site])
    with pytest.raises(NotEstimableError, match="no patient"):
        run(Quantiles(levels=(0.5,), **bounds), [table_of(("x",), [[np.nan]])])


@pytest.mark.parametrize(
    "change",
    [
        {"levels": ()},
        {"levels": (1.5,)},
        {"high": -1.0},
        {"resolution": 0.0},
        {"resolution": 1e-15},
        {"method": "hazen"},
        {"smallest_count": 0},
    ],
)
def test_settings_of_quantiles(change: dict[str, object]) -> None:
    good = {"column": "x", "levels": (0.5,), "low": 0.0, "high": 1.0, "resolution": 0.1}
    with pytest.raises(InvalidInputError):
        Quantiles(**(good | change))


def test_counts_that_change_between_rounds_are_refused() -> None:
    asked = Quantiles(column="x", levels=(0.5,), low=0.0, high=1e4, resolution=1.0)
    site = table_of(("x",), np.arange(20.0)[:, np.newaxis])
    first = asked.start()
    total = aggregate(asked.layout(first.query), asked.answer(first.query, site))
    second = asked.update(first, total)
    layout = asked.layout(second.query)
    nobody = aggregate(layout, {n: np.zeros(q.shape) for n, q in layout.items()} | {"n": 20, "present": 20})
    with pytest.raises(MessageError, match="changed between rounds"):
        asked.update(second, nobody)
    with pytest.raises(MessageError, match="contradict"):
        asked.check(first.query, aggregate(asked.layout(first.query), dict(total.values) | {"present": 3}))
