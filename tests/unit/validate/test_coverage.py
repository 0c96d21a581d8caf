"""Intervals cover the truth as often as they say, over simulated studies (the numbers are printed)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from huizhen.validate.discrimination import auc_interval, paired_difference
from huizhen.validate.estimates import normal_quantile
from huizhen.validate.placements import place
from huizhen.validate.proportions import clopper_pearson, wilson_limits

STUDIES = 3000
BLOCK = 250


def _simulated(n: int, true_auc: float) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """Yield binormal studies of n patients, 30 % of them events, in blocks (block, n)."""
    draw, shift = np.random.default_rng(n), math.sqrt(2) * float(ndtri(true_auc))
    outcome = np.arange(n) < round(0.3 * n)
    for _ in range(STUDIES // BLOCK):
        yield outcome, draw.normal(size=(BLOCK, n)) + shift * outcome


def _limits(
    outcome: NDArray[np.bool_], scores: NDArray[np.float64], *, by_logit: bool
) -> NDArray[np.float64]:
    """Return the limits (2, block), all studies at once; the first is checked against the function itself."""
    placed = place(outcome, scores, least=2)
    parts = ((placed.pos, placed.n_neg), (placed.neg, placed.n_pos))
    variance = sum(own.var(axis=1, ddof=1) / (4 * other**2 * own.shape[1]) for own, other in parts)
    value, reach = placed.aucs, normal_quantile(0.95) * np.sqrt(variance)
    if by_logit:
        reach = reach / (value * (1 - value))
        limits = expit(np.stack([logit(value) - reach, logit(value) + reach]))
    else:
        limits = np.clip(np.stack([value - reach, value + reach]), 0, 1)
    checked = auc_interval(outcome, scores[0], method="logit" if by_logit else "delong").interval
    assert (checked.low, checked.high) == pytest.approx(tuple(limits[:, 0]), abs=1e-12)
    return limits


@pytest.mark.parametrize(
    ("by_logit", "n", "true_auc", "least"),
    [
        (True, 50, 0.8, 0.935),
        (True, 200, 0.8, 0.935),
        (True, 1000, 0.8, 0.935),
        (True, 200, 0.9, 0.935),
        (False, 50, 0.8, 0.90),  # known to cover too little in small samples: why claims use the logit
        (False, 200, 0.8, 0.93),
        (False, 1000, 0.8, 0.93),
        (False, 200, 0.9, 0.92),
    ],
)
def test_auc_interval(by_logit: bool, n: int, true_auc: float, least: float) -> None:
    held, too_high = 0, 0
    for outcome, scores in _simulated(n, true_auc):
        low, high = _limits(outcome, scores, by_logit=by_logit)
        held += int(np.count_nonzero((low <= true_auc) & (true_auc <= high)))
        too_high += int(np.count_nonzero(low > true_auc))
    name = "logit" if by_logit else "plain"
    print(
        f"{name} DeLong, n = {n}, AUC {true_auc}: coverage {held / STUDIES:.4f}, "
        f"lower limit above the truth in {too_high / STUDIES:.4f}"
    )
    assert least < held / STUDIES < 0.97
    if by_logit:
        assert too_high / STUDIES < 0.035


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_paired_difference(n: int) -> None:
    draw = np.random.default_rng(n + 1)
    outcome = np.arange(n) < round(0.3 * n)
    shift, studies = math.sqrt(2) * float(ndtri(0.8)), 1000
    held = rejected = 0
    for _ in range(studies):
        common = draw.normal(size=n)
        a, b = (0.7 * common + math.sqrt(0.51) * draw.normal(size=n) + shift * outcome for _ in range(2))
        found = paired_difference(outcome, a, b)
        held += found.interval.low <= 0 <= found.interval.high
        rejected += found.p < 0.05
    print(f"coverage of the paired 95 % interval at n = {n}: {held / studies:.4f}")
    assert 0.92 < held / studies < 0.98
    assert held + rejected == studies


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_wilson(n: int, share: float) -> None:
    hits = np.random.default_rng(n).binomial(n, share, size=5000)
    low, high = wilson_limits(hits, n)
    coverage = float(np.mean((low <= share) & (share <= high)))
    print(f"coverage of the 95 % Wilson interval at n = {n}, share {share}: {coverage:.4f}")
    assert 0.92 < coverage < 0.98


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_clopper_pearson_never_covers_less(share: float) -> None:
    n = 50
    chances = np.array([math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)])
    limits = [clopper_pearson(k, n) for k in range(n + 1)]
    held = np.array([limit.low <= share <= limit.high for limit in limits])
    assert float(chances @ held) >= 0.95
