"""Kappa over sites: equal to the pooled one, an interval that covers, and no sums that can't be."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.agreement import Kappa, Read
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.runner import run
from huizhen.train.active.agreement import fleiss_kappa


def drawn(n: int, seed: int, *, err: float = 0.2, missing: float = 0.3) -> np.ndarray:
    """Return ratings (n, 4) by readers who err now and then, some not reading; two read each case."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 1)) < 0.4
    said = (truth ^ (rng.random((n, 4)) < err)).astype(np.int64)
    said[:, 2:][rng.random((n, 2)) < missing] = -1
    return said


def test_kappa_over_sites_is_that_of_all_cases():
    sites = [drawn(n, seed) for n, seed in ((40, 1), (25, 2), (60, 3))]
    found = run(Kappa(), [Read.of(site) for site in sites]).result
    pooled = fleiss_kappa(np.concatenate(sites), labels=2, seed=1)
    assert found.kappa == pytest.approx(pooled.kappa, abs=1e-12)
    assert found.n == pooled.n
    assert found.interval.low == pytest.approx(pooled.interval.low, abs=0.03)  # delta against bootstrap
    assert found.interval.high == pytest.approx(pooled.interval.high, abs=0.03)


def test_the_interval_covers_in_nineteen_of_twenty():
    large = run(Kappa(), [Read.of(drawn(40_000, 9))]).result.kappa
    found = [run(Kappa(), [Read.of(drawn(80, 100 + seed))]).result.interval for seed in range(300)]
    assert 0.91 <= np.mean([one.low <= large <= one.high for one in found]) <= 0.98


def test_readers_who_say_the_same_of_everybody_have_no_kappa():
    with pytest.raises(NotEstimableError, match="all labelled alike"):
        run(Kappa(), [Read.of(np.zeros((5, 2), np.int64))])


def test_a_case_read_once_says_nothing_of_agreement():
    assert Read.of(np.array([[1, -1], [0, 0]])).n == 1
    with pytest.raises(InvalidInputError, match="answers don't fit"):
        Read(answers=np.array([1]), positive=np.array([0]))


@pytest.mark.parametrize("sums", [(3.0, 1.0, 4.0), (1.0, 5.0, 4.0), (1.0, 1.0, 3.0)])
def test_sums_that_no_readings_have_are_refused(sums):
    layout = Kappa().layout(Query(name="kappa"))
    wrong = aggregate(layout, {"n": 2, "sums": sums, "products": np.zeros((3, 3))})
    with pytest.raises(MessageError, match="contradict"):
        Kappa().check(Query(name="kappa"), wrong)


def test_sites_that_agree_in_everything_have_an_interval_that_is_no_point() -> None:
    reads = np.repeat(np.arange(30) % 2, 2).reshape(30, 2)
    over_sites = run(Kappa(), [Read.of(reads[:14]), Read.of(reads[14:])]).result
    pooled = fleiss_kappa(reads, labels=2, seed=1)
    assert over_sites.kappa == pytest.approx(1)
    assert over_sites.interval.low == pytest.approx(pooled.interval.low)
    assert 0.7 < over_sites.interval.low < 0.8
