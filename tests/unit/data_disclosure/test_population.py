"""Estimates about the population, tried where the population is known."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.data.disclosure.classes import classes_of
from huizhen.data.disclosure.log_linear import log_linear
from huizhen.data.disclosure.population import negative_binomial, pitman_uniques
from huizhen.errors import NotEstimableError

REPEATS = 12


def restaurant(n: int, theta: float, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """Return the class of each of n people drawn by Pitman's own urn."""
    ids, sizes = np.zeros(n, np.int64), [1]
    for i in range(1, n):
        if rng.random() < (theta + alpha * len(sizes)) / (theta + i):
            ids[i] = len(sizes)
            sizes.append(1)
            continue
        while True:
            chosen = ids[rng.integers(i)]
            if rng.random() < (sizes[chosen] - alpha) / sizes[chosen]:
                break
        ids[i] = chosen
        sizes[chosen] += 1
    return ids


def test_pitmans_model_finds_the_uniques_of_its_own_populations() -> None:
    rng, inside, ratio = np.random.default_rng(1), [], []
    for k in range(REPEATS):
        ids = restaurant(8000, 150.0, 0.5, rng)
        sample = np.bincount(ids[rng.choice(8000, 800, replace=False)])
        found = pitman_uniques(sample[sample > 0], 8000, seed=k)
        truth = int((np.bincount(ids) == 1).sum())
        inside.append(found.low <= truth <= found.high)
        ratio.append(found.value / truth)
    assert sum(inside) >= REPEATS - 3
    assert 0.8 < np.mean(ratio) < 1.25


def test_the_negative_binomial_finds_uniques_and_the_journalists_risk() -> None:
    rng, inside, mean = np.random.default_rng(2), [], []
    for k in range(REPEATS):
        people = rng.poisson(rng.gamma(0.3, 20.0, 15_000))
        sample = rng.binomial(people, 0.05)
        held = sample > 0
        found = negative_binomial(sample[held], int(people.sum()), seed=k)
        alone = int(((sample == 1) & (people == 1)).sum())
        risk = (sample[held] / people[held]).sum() / sample.sum()
        inside.append(found.uniques.low <= alone <= found.uniques.high)
        mean.append(found.average.low <= risk <= found.average.high)
        assert found.most.value <= 1.0
    assert sum(inside) >= REPEATS - 3
    assert sum(mean) >= REPEATS - 3


def test_the_log_linear_model_needs_pairs_where_columns_hang_together() -> None:
    rng, sums = np.random.default_rng(3), np.zeros(6)
    for _ in range(4):
        n = 60_000
        a = rng.choice(30, n, p=rng.dirichlet(np.ones(30) * 3))
        b = rng.choice(12, n, p=rng.dirichlet(np.ones(12) * 2))
        c, d = (a // 3 + rng.integers(0, 6, n)) % 15, rng.choice(8, n, p=rng.dirichlet(np.ones(8)))
        columns, many, sample = [a, b, c, d], [30, 12, 15, 8], rng.choice(n, 2000, replace=False)
        everybody = classes_of(columns, many)
        seen = classes_of([one[sample] for one in columns], many)
        behind = everybody.sizes[everybody.ids[sample]][seen.sizes[seen.ids] == 1]
        pairs = log_linear([one[sample] for one in columns], many, n)
        main = log_linear([one[sample] for one in columns], many, n, pairs=False)
        assert (pairs.terms, main.terms) == ("pairs", "main")
        sums += [
            (behind == 1).sum(),
            pairs.uniques,
            main.uniques,
            (1 / behind).sum(),
            pairs.matches,
            main.matches,
        ]
    uniques, by_pairs, by_main, matches, matches_pairs, matches_main = sums
    assert abs(by_pairs / uniques - 1) < 0.35
    assert abs(matches_pairs / matches - 1) < 0.2
    assert abs(by_main / uniques - 1) > abs(by_pairs / uniques - 1)
    assert abs(matches_main / matches - 1) > abs(matches_pairs / matches - 1)


@pytest.mark.parametrize(
    ("sizes", "population", "why"),
    [
        ([1, 2, 3], 6, "no larger"),
        ([2, 3], 100, "nobody, or everybody"),
        ([1, 1], 100, "nobody, or everybody"),
    ],
    ids=["small", "nobody-alone", "all-alone"],
)
def test_what_cannot_be_estimated_says_so(sizes: list[int], population: int, why: str) -> None:
    for estimate in (pitman_uniques, negative_binomial):
        with pytest.raises(NotEstimableError, match=why):
            estimate(np.array(sizes), population)


def test_a_column_of_nearly_unique_values_has_no_log_linear_model() -> None:
    with pytest.raises(NotEstimableError, match="nearly every patient"):
        log_linear([np.arange(50), np.zeros(50, np.int64)], [50, 1], 1000)
