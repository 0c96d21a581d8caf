"""However patients are dealt to sites, federated statistics are those of the pooled patients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from huizhen.errors import NotEstimableError
from huizhen.federate.statistics.aggregate import aggregate, count, real
from huizhen.federate.statistics.data import Table, design, scored, survival, table_of
from huizhen.federate.statistics.delong import DeLong, bins_of
from huizhen.federate.statistics.fixed_point import Words, decode, encode
from huizhen.federate.statistics.kaplan_meier import KaplanMeier
from huizhen.federate.statistics.logistic import Logistic
from huizhen.federate.statistics.moments import Moments
from huizhen.federate.statistics.quantiles import Quantiles
from huizhen.federate.statistics.runner import plain_sum, run
from huizhen.validate import discrimination

SEEDS = st.integers(0, 2**32 - 1)
FLOATS = st.floats(-(2.0**40), 2.0**40, allow_subnormal=False)


def masked_sum(words: list[Words]) -> Words:
    """Add pairwise masks that cancel, as a secure sum does."""
    random = np.random.default_rng(0)
    masked = [part.copy() for part in words]
    for a in range(len(words)):
        for b in range(a):
            mask = random.integers(0, 2**32, words[0].size, dtype=np.uint32)
            masked[a] += mask
            masked[b] -= mask
    return plain_sum(masked)


def dealt(n: int, sites: int, random: np.random.Generator) -> list[NDArray[np.int64]]:
    """Deal patients to sites, some of which may get none."""
    home = random.integers(0, sites, n)
    return [np.flatnonzero(home == site) for site in range(sites)]


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_sums_survive_masks_to_half_a_unit_a_site(rows: list[list[float]]) -> None:
    layout = {"n": count(), "x": real(3)}
    words = [encode(aggregate(layout, {"n": 1, "x": row}), sites=len(rows)) for row in rows]
    total = decode(masked_sum(words), layout)
    exact = [sum(int(np.rint(np.ldexp(value, 48))) for value in column) for column in zip(*rows, strict=True)]
    assert total["x"].tolist() == [pytest.approx(value / 2**48, rel=3e-16, abs=0) for value in exact]


@given(SEEDS, st.integers(1, 60), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_moments_and_quantiles(seed: int, n: int, sites: int) -> None:
    random = np.random.default_rng(seed)
    values = np.round(random.normal(50, 20, size=n).clip(0, 100), 1)
    tables: list[Table] = [table_of(("x",), values[rows, np.newaxis]) for rows in dealt(n, sites, random)]
    found = run(Moments(columns=("x",)), tables, secure_sum=masked_sum).result
    assert found.mean[0] == pytest.approx(values.mean(), abs=1e-11)
    if n > 1:
        assert found.variance[0] == pytest.approx(values.var(ddof=1), abs=1e-9)
    levels = (0.0, 0.3, 0.5, 1.0)
    asked = Quantiles(column="x", levels=levels, low=0.0, high=100.0, resolution=0.1)
    quantiles = run(asked, tables, secure_sum=masked_sum).result.values
    np.testing.assert_allclose(quantiles, np.quantile(values, levels), atol=1e-9)


@given(SEEDS, st.integers(4, 80), st.integers(1, 5), st.sampled_from([1, 2, 8]))
@settings(max_examples=25, deadline=None)
def test_delong(seed: int, n: int, sites: int, decimals: int) -> None:
    random = np.random.default_rng(seed)
    outcome, scores = random.random(n) < 0.4, np.round(random.random((2, n)), decimals)
    parts = [scored(outcome[rows], scores[:, rows]) for rows in dealt(n, sites, random)]
    if min(outcome.sum(), (~outcome).sum()) < 2:
        with pytest.raises(NotEstimableError):
            run(DeLong(models=2), parts)
        return
    found = run(DeLong(models=2), parts, secure_sum=masked_sum).result
    expected = discrimination.delong(outcome, bins_of(scores))
    np.testing.assert_allclose(found.aucs, expected.aucs, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=0, atol=1e-13)


@given(SEEDS, st.integers(1, 50), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_kaplan_meier_doesnt_mind_who_is_where(seed: int, n: int, sites: int) -> None:
    random = np.random.default_rng(seed)
    time, event = np.ceil(random.exponential(10, n)), random.random(n) < 0.6
    curve = KaplanMeier(times=tuple(np.unique(time)))

    def at(rows: NDArray[np.int64]) -> object:
        return survival((), np.zeros((rows.size, 0)), time[rows], event[rows])

    apart = run(curve, [at(rows) for rows in dealt(n, sites, random)], secure_sum=masked_sum).result
    expected, product = [], 1.0
    for t in np.unique(time):
        product *= 1 - (event & (time == t)).sum() / (time >= t).sum()
        expected.append(product)
    np.testing.assert_allclose(apart.survival, expected, rtol=0, atol=1e-12)
    assert ((apart.low <= apart.survival + 1e-12) & (apart.survival <= apart.high + 1e-12)).all()


@given(SEEDS, st.integers(2, 6))
@settings(max_examples=25, deadline=None)
def test_logistic_fits_at_its_maximum_or_says_that_there_is_none(seed: int, sites: int) -> None:
    random = np.random.default_rng(seed)
    x, target = random.normal(size=(40, 2)), (random.random(40) < 0.5).astype(float)
    parts = [design(("a", "b"), x[rows], target[rows]) for rows in dealt(40, sites, random)]
    try:
        fit = run(Logistic(columns=("a", "b")), parts, secure_sum=masked_sum).result
    except NotEstimableError:
        pooled = design(("a", "b"), x, target)
        with pytest.raises(NotEstimableError):
            run(Logistic(columns=("a", "b")), [pooled])
        return
    full = np.column_stack([np.ones(40), x])
    mean = 1 / (1 + np.exp(-full @ fit.coefficients))
    np.testing.assert_allclose(full.T @ (target - mean), 0, atol=1e-9)
