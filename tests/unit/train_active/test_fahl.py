"""FAHL's rule against a slow oracle, and its sums over hospitals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.core.study_active import QueryRule
from huizhen.errors import InvalidInputError
from huizhen.train.active.features import filled
from huizhen.train.active.interface import Pool
from huizhen.train.active.query import ask
from huizhen.train.active.rules.fahl import (
    INTERCEPT_PENALTY,
    Information,
    labelled_information,
    mean_doubt,
    pool_information,
)

Floats = NDArray[np.float64]


def make_pool(
    n: int, *, labelled: int, missing: float = 0.0, seed: int = 0, rows: slice | None = None
) -> Pool:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, 4)) * [2.0, 1.0, 1.0, 0.5]
    features[rng.random((n, 4)) < missing] = np.nan
    p = 1 / (1 + np.exp(-np.nan_to_num(features[:, 0])))
    kept = rows or slice(None)
    return Pool(
        features=features[kept],
        labelled=(np.arange(n) < labelled)[kept],
        pending=np.zeros(n, dtype=bool)[kept],
        group=np.arange(n)[kept],
        probability=p[kept],
        penalty=2.0,
    )


def slow_choice(pool: Pool, budget: int) -> tuple[list[int], list[float]]:
    """Try every open case: the trace of inv(A) C before and after, with A made anew each time."""
    x = np.column_stack([filled(pool.features), np.ones(len(pool))])
    assert pool.probability is not None
    ridge = np.diag([pool.penalty] * 4 + [INTERCEPT_PENALTY])
    raw = pool.probability * (1 - pool.probability)
    precision = ridge + (x * (raw * pool.labelled)[:, None]).T @ x
    doubt = mean_doubt(pool, precision - ridge)
    spread = (x * doubt[:, None]).T @ x
    total = np.trace(np.linalg.solve(precision, spread))
    rows: list[int] = []
    scores: list[float] = []
    for _ in range(budget):
        before = np.trace(np.linalg.solve(precision, spread))
        left = {
            i: before - np.trace(np.linalg.solve(precision + doubt[i] * np.outer(x[i], x[i]), spread))
            for i in range(len(pool))
            if not pool.labelled[i] and i not in rows
        }
        best = max(left, key=lambda i: left[i])
        rows.append(best)
        scores.append(left[best] / total)
        precision = precision + doubt[best] * np.outer(x[best], x[best])
    return rows, scores


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_it_takes_what_trying_every_case_would_take(missing: float) -> None:
    pool = make_pool(40, labelled=6, missing=missing)
    rows, scores = slow_choice(pool, 8)
    asked = ask(QueryRule.FAHL, pool, 8, seed=1)
    assert asked.rows.tolist() == rows
    np.testing.assert_allclose(asked.score, scores, rtol=1e-9)


def test_mean_doubt_is_the_mean_over_the_posterior() -> None:
    pool = make_pool(30, labelled=5)
    labelled = labelled_information(pool)
    x = np.column_stack([pool.features, np.ones(30)])
    covariance = np.linalg.inv(labelled + np.diag([2.0] * 4 + [INTERCEPT_PENALTY]))
    assert pool.probability is not None
    logit = np.log(pool.probability / (1 - pool.probability))
    spread = np.sqrt(((x @ covariance) * x).sum(1))
    drawn = logit + spread * np.random.default_rng(1).standard_normal((20_000, 1))
    p = 1 / (1 + np.exp(-drawn))
    np.testing.assert_allclose(mean_doubt(pool, labelled), (p * (1 - p)).mean(0), atol=0.012)


def test_sums_over_hospitals_are_those_of_the_pool_together() -> None:
    whole = make_pool(50, labelled=12)
    parts = [make_pool(50, labelled=12, rows=part) for part in (slice(0, 20), slice(20, 50))]
    labelled = sum((labelled_information(part) for part in parts), np.zeros((5, 5)))
    np.testing.assert_allclose(labelled, labelled_information(whole), atol=1e-12)
    spread = sum((pool_information(part, labelled) for part in parts), np.zeros((5, 5)))
    np.testing.assert_allclose(spread, pool_information(whole, labelled), atol=1e-12)
    known = Information(labelled=labelled, pool=spread)
    best = [ask(QueryRule.FAHL, part, 1, seed=1, known=known).score[0] for part in parts]
    assert max(best) == pytest.approx(ask(QueryRule.FAHL, whole, 1, seed=1).score[0])


def test_what_another_hospital_has_labelled_is_not_asked_for_again() -> None:
    rng = np.random.default_rng(3)
    near, far = (rng.normal(place, 1, (30, 2)) for place in ([6, 0], [0, 6]))
    pool = Pool(
        features=np.concatenate([near, far]),
        labelled=np.zeros(60, dtype=bool),
        pending=np.zeros(60, dtype=bool),
        group=np.arange(60),
        probability=np.full(60, 0.5),
    )
    own = pool_information(pool, np.zeros((3, 3)))
    x = np.column_stack([near, np.ones(30)])
    known = Information(labelled=(x * 0.25).T @ x * 5, pool=own)
    assert (ask(QueryRule.FAHL, pool, 5, seed=1, known=known).rows >= 30).all()


def test_scores_fall_and_add_up_to_less_than_all() -> None:
    score = ask(QueryRule.FAHL, make_pool(80, labelled=4), 76, seed=1).score
    assert (score > 0).all()
    assert score.sum() < 1
    assert score[0] > 10 * score[-1]


def test_without_a_model_outliers_are_left_alone() -> None:
    rng = np.random.default_rng(5)
    features = rng.standard_normal((100, 3))
    features[:4] *= 40
    pool = Pool(
        features=features,
        labelled=np.zeros(100, dtype=bool),
        pending=np.zeros(100, dtype=bool),
        group=np.arange(100),
    )
    assert (ask(QueryRule.FAHL, pool, 10, seed=1).rows >= 4).all()


def test_sums_of_another_size_are_refused() -> None:
    wrong = Information(labelled=np.zeros((3, 3)), pool=np.zeros((3, 3)))
    with pytest.raises(InvalidInputError, match="4 features") as caught:
        ask(QueryRule.FAHL, make_pool(20, labelled=2), 1, seed=1, known=wrong)
    assert caught.value.field == "known"
