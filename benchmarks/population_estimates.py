"""Estimates about a population from a table, tried where the population is known.

    PYTHONPATH=src python benchmarks/population_estimates.py

Populations are drawn from each model's own law (negative binomial class sizes, Pitman's urn) or, for the
log-linear model, from four columns of which two hang together; a simple random sample is taken, and the
estimate is held against the truth. Printed: how often the 95 % interval holds it, and the mean of estimate
over truth.
"""

from __future__ import annotations

import json

import numpy as np

from huizhen.data.disclosure.classes import classes_of
from huizhen.data.disclosure.log_linear import log_linear
from huizhen.data.disclosure.population import negative_binomial, pitman_uniques

REPEATS = 60


def urn(people: int, theta: float, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """Return the class of each of some people drawn by Pitman's urn."""
    ids, sizes = np.zeros(people, np.int64), [1]
    for i in range(1, people):
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


def of_negative_binomial(rng: np.random.Generator) -> dict[str, float]:
    """Return how the negative binomial's estimates stand, 15,000 classes and a sample of 5 %."""
    inside, mean, ratio = [], [], []
    for k in range(REPEATS):
        people = rng.poisson(rng.gamma(0.3, 20.0, 15_000))
        sample = rng.binomial(people, 0.05)
        held = sample > 0
        found = negative_binomial(sample[held], int(people.sum()), seed=k)
        alone = int(((sample == 1) & (people == 1)).sum())
        risk = (sample[held] / people[held]).sum() / sample.sum()
        inside.append(found.uniques.low <= alone <= found.uniques.high)
        mean.append(found.average.low <= risk <= found.average.high)
        ratio.append(found.uniques.value / alone)
    return {
        "uniques_held": int(sum(inside)),
        "risk_held": int(sum(mean)),
        "of": REPEATS,
        "ratio": float(np.mean(ratio)),
    }


def of_pitman(rng: np.random.Generator) -> dict[str, float]:
    """Return how Pitman's estimate stands, 8,000 people and a sample of 10 %."""
    inside, ratio = [], []
    for k in range(REPEATS):
        ids = urn(8000, 150.0, 0.5, rng)
        sample = np.bincount(ids[rng.choice(8000, 800, replace=False)])
        found = pitman_uniques(sample[sample > 0], 8000, seed=k)
        truth = int((np.bincount(ids) == 1).sum())
        inside.append(found.low <= truth <= found.high)
        ratio.append(found.value / truth)
    return {"uniques_held": int(sum(inside)), "of": REPEATS, "ratio": float(np.mean(ratio))}


def of_log_linear(rng: np.random.Generator) -> dict[str, float]:
    """Return means of truth and estimates over ten populations of 200,000 and samples of 2 %."""
    sums = np.zeros(6)
    for _ in range(10):
        n = 200_000
        a = rng.choice(30, n, p=rng.dirichlet(np.ones(30) * 3))
        b = rng.choice(12, n, p=rng.dirichlet(np.ones(12) * 2))
        c, d = (a // 3 + rng.integers(0, 6, n)) % 15, rng.choice(8, n, p=rng.dirichlet(np.ones(8)))
        columns, many, sample = [a, b, c, d], [30, 12, 15, 8], rng.choice(n, 4000, replace=False)
        everybody, seen = classes_of(columns, many), classes_of([one[sample] for one in columns], many)
        behind = everybody.sizes[everybody.ids[sample]][seen.sizes[seen.ids] == 1]
        pairs = log_linear([one[sample] for one in columns], many, n)
        main = log_linear([one[sample] for one in columns], many, n, pairs=False)
        sums += [(behind == 1).sum(), pairs.uniques, main.uniques, 0.0, pairs.matches, main.matches]
        sums[3] += (1 / behind).sum()
    names = ("uniques", "uniques_pairs", "uniques_main", "matches", "matches_pairs", "matches_main")
    return dict(zip(names, (sums / 10).round(1).tolist(), strict=True))


def main() -> None:
    """Print all three as JSON."""
    rng = np.random.default_rng(20261123)
    found = {
        "negative_binomial": of_negative_binomial(rng),
        "pitman": of_pitman(rng),
        "log_linear": of_log_linear(rng),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
