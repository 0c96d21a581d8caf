"""Aggregates, their fixed point, their release, and the rounds that carry them."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.errors import FederationError, InvalidInputError, MessageError, PolicyError
from huizhen.federate.statistics.aggregate import Quantity, add, aggregate, count, real, table
from huizhen.federate.statistics.counts import Histogram
from huizhen.federate.statistics.data import Table, design, scored, survival, table_of
from huizhen.federate.statistics.fixed_point import Words, decode, encode, words_of
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.moments import Moments
from huizhen.federate.statistics.release import check_at_site, check_smallest, suppressed
from huizhen.federate.statistics.runner import conduct, plain_sum, respond, run, run_visible

LAYOUT = {"n": count(), "sum": real(2), "cells": table(2)}


def made(**change: object) -> object:
    return aggregate(LAYOUT, {"n": 3, "sum": [1.5, -2.0], "cells": [1, 2]} | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": -1}, "no count"),
        ({"n": 1.5}, "no count"),
        ({"cells": [-1, 4]}, "no count"),
        ({"sum": [np.nan, 0.0]}, "NaN or infinity"),
        ({"sum": [0.0, np.inf]}, "NaN or infinity"),
        ({"sum": [0.0]}, "has shape"),
        ({"more": 1}, "missing or unknown"),
    ],
)
def test_what_is_no_aggregate_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        made(**change)


def test_aggregates_of_other_layouts_or_units_dont_add() -> None:
    assert add(made(), made())["sum"].tolist() == [3.0, -4.0]
    with pytest.raises(InvalidInputError, match="different layouts"):
        add(made(), aggregate({"n": count()}, {"n": 1}))
    with pytest.raises(InvalidInputError, match="different layouts"):
        add(made(), aggregate(LAYOUT, dict(made().values), unit="image"))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e4, 1e13])
def test_words_add_as_the_numbers_do(scale: float) -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(200, 50)) * scale
    layout = {"n": count(), "x": real(50)}
    words = [encode(aggregate(layout, {"n": 1, "x": row})) for row in values]
    total = decode(plain_sum(words), layout)
    assert total.n == 200
    exact = np.array([sum(int(np.rint(np.ldexp(v, 48))) for v in column) for column in values.T])
    np.testing.assert_allclose(total["x"], (exact / 2**48).astype(float), rtol=2e-16)
    assert np.abs(total["x"] - values.sum(axis=0)).max() <= 200 * 2.0**-49 + 1e-13 * scale * 200


def test_negative_sums_and_large_counts_come_back() -> None:
    layout = {"n": count(), "x": real(3), "whole": Quantity(kind=real().kind, shape=(), limbs=1)}
    one = aggregate(layout, {"n": 2**30, "x": [-1e-14, -7.25, 1e15], "whole": -5})
    back = decode(encode(one, sites=1), layout)
    np.testing.assert_array_equal(back["x"], [-3 / 2**48, -7.25, 1e15])
    assert back["whole"] == -5
    assert back.n == 2**30


def test_what_the_words_cant_hold_is_refused() -> None:
    one = aggregate({"n": count(), "x": real()}, {"n": 1, "x": 2.0**50})
    assert decode(encode(one, sites=2), one.layout)["x"] == 2.0**50
    with pytest.raises(InvalidInputError, match="standardise"):
        encode(one, sites=64)
    for sites in (0, 257):
        with pytest.raises(InvalidInputError, match="sites"):
            encode(one, sites=sites)


def test_words_that_hold_no_aggregate_are_refused() -> None:
    layout = {"n": count(), "x": real()}
    words = encode(aggregate(layout, {"n": 1, "x": 0.0}))
    for wrong in (words[:-1], words.astype(np.int64), words.reshape(1, -1)):
        with pytest.raises(MessageError, match="don't fit the layout"):
            decode(wrong, layout)
    words[0] = 2**32 - 2
    with pytest.raises(MessageError, match="no count"):
        decode(words, layout)
    assert words_of(layout) == 5


def test_sums_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(MessageError, match="different lengths"):
        plain_sum([np.zeros(1, np.uint32), np.zeros(2, np.uint32)])
    with pytest.raises(MessageError, match="different lengths"):
        plain_sum([])


def test_queries_are_checked_at_the_site() -> None:
    site = table_of(("x",), [[1.0]])
    with pytest.raises(MessageError, match="another statistic"):
        respond(Moments(columns=("x",)), Query(name="histogram"), site)
    for values in ({}, {"centre": np.zeros(2)}, {"centre": np.zeros((1, 1))}, {"centre": np.array([np.nan])}):
        with pytest.raises(MessageError, match=r"query"):
            respond(Moments(columns=("x",)), Query(name="moments", step=1, values=values), site)


def test_small_groups_stay_at_a_site_that_the_lead_sees() -> None:
    small = Histogram(column="x", edges=(0.0, 1.0, 2.0))
    sites = [table_of(("x",), np.repeat([0.5, 1.5], [9, 3])[:, np.newaxis]) for _ in range(2)]
    with pytest.raises(PolicyError, match="fewer than 5 patients would be shown"):
        run_visible(small, sites, smallest_count=5)
    assert run_visible(small, sites, smallest_count=3).result.n == 24
    assert run(small, sites, smallest_count=5).result.counts[1] == 6
    answer = respond(small, small.start().query, sites[0])
    check_at_site(answer, smallest=5, masked=True)


def test_too_few_patients_in_all_are_refused() -> None:
    with pytest.raises(PolicyError, match="fewer than 5 patients"):
        run(Moments(columns=("x",)), [table_of(("x",), [[1.0]])], smallest_count=5)
    with pytest.raises(InvalidInputError, match="smallest_count"):
        check_smallest(0)


def test_suppressed_cells_cant_be_found_by_subtraction() -> None:
    random = np.random.default_rng(2)
    for _ in range(300):
        counts = random.integers(0, 12, size=6).astype(float)
        hidden = suppressed(counts, smallest=5)
        small = (counts > 0) & (counts < 5)
        assert hidden[small].all()
        assert not hidden[counts == 0].any()
        if small.any() and (counts > 0).sum() > 1:
            assert hidden.sum() >= 2
            assert counts[hidden].sum() >= 5 or hidden.sum() == (counts > 0).sum()
        if not small.any():
            assert not hidden.any()


def test_a_site_that_changes_its_count_between_rounds_is_noticed() -> None:
    site, calls = table_of(("x",), [[1.0], [2.0], [3.0]]), []

    def exchange(query: Query) -> Words:
        calls.append(query)
        rows = site if len(calls) == 1 else table_of(("x",), site.values[:2])
        return encode(respond(Moments(columns=("x",)), query, rows))

    with pytest.raises(MessageError, match="changed between rounds, from 3 to 2"):
        conduct(Moments(columns=("x",)), exchange)


def test_a_site_that_lies_with_negative_words_is_noticed() -> None:
    def lying(words: list[Words]) -> Words:
        return plain_sum([*words, np.full_like(words[0], 2**32 - 9)])

    with pytest.raises(MessageError, match="leave out the site that lies"):
        run(Moments(columns=("x",)), [table_of(("x",), [[1.0]])], secure_sum=lying)


@pytest.mark.parametrize("runner", [run, run_visible])
def test_no_site_is_no_federation(runner: object) -> None:
    with pytest.raises(FederationError, match="no site"):
        runner(Moments(columns=("x",)), [])


def test_visible_and_summed_runs_agree() -> None:
    sites = [table_of(("x",), np.random.default_rng(seed).normal(size=(9, 1))) for seed in range(3)]
    a, b = (how(Moments(columns=("x",)), sites) for how in (run, run_visible))
    assert (a.n, a.rounds, a.words) == (b.n, b.rounds, b.words)
    np.testing.assert_allclose(a.result.variance, b.result.variance, rtol=1e-12)


def test_data_of_wrong_shapes_types_and_values_are_refused() -> None:
    x, two = np.zeros((2, 1)), np.array([True, False])
    wrong = [
        lambda: table_of(("a", "b"), x),
        lambda: table_of(("a", "a"), np.zeros((2, 2))),
        lambda: table_of(("a",), [["x"], ["y"]]),
        lambda: table_of(("a",), x + np.inf),
        lambda: table_of(("a",), x, weights=[1.0, -1.0]),
        lambda: table_of(("a",), x, weights=[1.0]),
        lambda: design(("a",), x + np.nan, [0, 1]),
        lambda: design(("a",), x, [0, 2]),
        lambda: design(("a",), x, [0, 1, 1]),
        lambda: design(("a",), x, [0, 1], offset=[0.0, np.nan]),
        lambda: survival(("a",), x, [1.0, -1.0], two),
        lambda: survival(("a",), x, [1.0, np.nan], two),
        lambda: survival(("a",), x, [1.0, 2.0], np.array([1, 0])),
        lambda: scored(two, [0.1, 1.2]),
        lambda: scored(two, [0.1, np.nan]),
        lambda: scored(two, [0.1]),
        lambda: scored(np.array([1, 0]), [0.1, 0.2]),
        lambda: scored(two, np.zeros((1, 1, 2))),
    ]
    for case in wrong:
        with pytest.raises(InvalidInputError):
            case()


def test_an_empty_site_changes_nothing() -> None:
    full: Table = table_of(("x",), [[1.0], [3.0]])
    found = run(Moments(columns=("x",)), [full, table_of(("x",), np.zeros((0, 1)))]).result
    assert (found.mean[0], found.variance[0]) == (2.0, 2.0)
