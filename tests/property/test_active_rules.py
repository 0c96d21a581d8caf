"""Query rules and budgets under arbitrary pools."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from huizhen.core.study_active import QueryRule
from huizhen.train.active.allocation import count, monotone, number_at, settle
from huizhen.train.active.features import squared_distances
from huizhen.train.active.interface import Pool
from huizhen.train.active.query import ask


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """A pool of any size, with gaps, groups, labels, and with or without a model."""
    n, d = draw(st.integers(1, 25)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    features = np.round(rng.standard_normal((n, d)), draw(st.integers(0, 3)))
    features[rng.random((n, d)) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = np.nan
    model = draw(st.booleans())
    return Pool(
        features=features,
        labelled=rng.random(n) < draw(st.sampled_from([0.0, 0.4, 1.0])),
        pending=rng.random(n) < draw(st.sampled_from([0.0, 0.3])),
        group=rng.integers(0, draw(st.integers(1, 30)), n),
        probability=np.round(rng.random(n), 1) if model else None,
        samples=np.round(rng.random((3, n)), 1) if model else None,
    )


@settings(max_examples=60, deadline=None)
@given(pool=pools(), rule=st.sampled_from(list(QueryRule)), budget=st.integers(0, 30), seed=st.integers(0, 9))
def test_a_rule_asks_as_many_as_it_may_and_nobody_twice(
    pool: Pool, rule: QueryRule, budget: int, seed: int
) -> None:
    asked = ask(rule, pool, budget, seed=seed)
    rows = asked.rows.tolist()
    assert len(rows) == len(set(rows)) == min(budget, int((~pool.covered).sum()))
    assert not pool.covered[asked.rows].any()
    groups = pool.group[asked.rows].tolist()
    fresh = set(pool.group.tolist()) - set(pool.group[pool.covered].tolist())
    first = groups[: len(fresh)]
    assert len(set(first)) == len(first)
    assert set(first) <= fresh
    assert rows == ask(rule, pool, budget, seed=seed).rows.tolist()


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.lists(st.floats(1e-9, 1.0), max_size=12), min_size=1, max_size=5),
    budget=st.integers(0, 40),
    data=st.data(),
)
def test_a_budget_is_never_exceeded_and_only_equal_scores_are_left(
    scores: list[list[float]], budget: int, data: st.DataObject
) -> None:
    rankings = [monotone(np.array(part)) for part in scores]
    floors = [data.draw(st.integers(0, min(len(r), budget // len(rankings)))) for r in rankings]

    def summed(edges: np.ndarray) -> np.ndarray:
        return np.sum([count(r, f, edges) for r, f in zip(rankings, floors, strict=True)], axis=0)

    at = settle(summed, budget - sum(floors))
    numbers = [number_at(r, f, at) for r, f in zip(rankings, floors, strict=True)]
    assert all(f <= k <= len(r) for f, k, r in zip(floors, numbers, rankings, strict=True))
    assert sum(numbers) <= budget
    left = [r[k] for r, k in zip(rankings, numbers, strict=True) if k < len(r)]
    if sum(numbers) < budget and left:
        highest = max(left)
        nearly = sum(
            int(np.isclose(r[k:], highest, rtol=1e-6).sum()) for r, k in zip(rankings, numbers, strict=True)
        )
        assert sum(numbers) + nearly > budget
    taken = [r[k - 1] for r, f, k in zip(rankings, floors, numbers, strict=True) if k > f]
    if taken and left:
        assert min(taken) >= max(left)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 12), m=st.integers(1, 12), d=st.integers(1, 5), seed=st.integers(0, 999))
def test_distances_are_symmetric_and_never_negative(n: int, m: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    some, others = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    some[rng.random((n, d)) < 0.3] = np.nan
    found = squared_distances(some, others)
    assert (found >= 0).all()
    np.testing.assert_allclose(found, squared_distances(others, some).T, atol=1e-9)
