"""Pointing games over sites: the pooled means, intervals from sums, and sums that contradict each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from huizhen.errors import InvalidInputError, MessageError, PolicyError
from huizhen.explain.localisation import wilson
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.localisation import Localisation, Pointing
from huizhen.federate.statistics.runner import run, run_visible

PARTS = (slice(0, 20), slice(20, 21), slice(21, 60))


def pooled(*, whole: bool = True) -> Pointing:
    """Return 60 patients, whose hits are whole or also half."""
    rng = np.random.default_rng(3)
    hit = rng.integers(0, 2, 60) if whole else rng.integers(0, 3, 60) / 2
    return Pointing(hit=hit.astype(float), energy=rng.random(60), area=rng.random(60) / 5, images=70)


def parts(whole: Pointing) -> list[Pointing]:
    """Return the same patients at three sites."""
    rest = whole.images - whole.n
    return [
        Pointing(
            hit=whole.hit[part],
            energy=whole.energy[part],
            area=whole.area[part],
            images=len(whole.hit[part]) + rest * (i == 0),
        )
        for i, part in enumerate(PARTS)
    ]


def test_means_are_those_of_the_patients_together():
    whole = pooled()
    found = run(Localisation(), parts(whole)).result
    assert (found.n, found.images) == (60, 70)
    assert found.pointing.mean == pytest.approx(whole.hit.mean(), abs=1e-12)
    assert found.energy.mean == pytest.approx(whole.energy.mean(), abs=1e-12)
    assert found.chance == pytest.approx(whole.area.mean(), abs=1e-12)


def test_the_interval_of_whole_hits_is_that_of_one_process():
    whole = pooled()
    found, own = run(Localisation(), parts(whole)).result.pointing.interval, wilson(whole.hit)
    assert (found.low, found.high, found.method) == (
        pytest.approx(own.low, abs=1e-12),
        pytest.approx(own.high, abs=1e-12),
        own.method,
    )


def test_other_intervals_are_students():
    whole = pooled(whole=False)
    found = run(Localisation(), parts(whole)).result
    for share, values in ((found.pointing, whole.hit), (found.energy, whole.energy)):
        low, high = stats.t.interval(0.95, 59, loc=values.mean(), scale=stats.sem(values))
        assert (share.interval.low, share.interval.high) == (
            pytest.approx(low, abs=1e-9),
            pytest.approx(high, abs=1e-9),
        )


def test_one_patient_has_no_interval_of_energy():
    one = Pointing(hit=np.ones(1), energy=np.array([0.4]), area=np.array([0.1]), images=1)
    found = run(Localisation(), [one]).result
    assert found.energy.interval is None
    assert found.pointing.interval is not None


def test_few_patients_are_not_shown():
    with pytest.raises(PolicyError, match="fewer than 5"):
        run_visible(Localisation(), parts(pooled()), smallest_count=5)
    with pytest.raises(PolicyError):
        run(Localisation(), [parts(pooled())[1]], smallest_count=5)


@pytest.mark.parametrize(
    "wrong",
    [{"sums": [70.0, 1, 1]}, {"sums": [-1.0, 1, 1]}, {"squares": [9.0, 0.1]}, {"images": 3}, {"partly": 99}],
    ids=str,
)
def test_sums_that_contradict_each_other_are_refused(wrong):
    good = {"n": 60, "images": 60, "partly": 0, "sums": [30.0, 6.0, 6.0], "squares": [30.0, 2.0]}
    statistic, query = Localisation(), Query(name="localisation")
    statistic.check(query, aggregate(statistic.layout(query), good))
    with pytest.raises(MessageError):
        statistic.check(query, aggregate(statistic.layout(query), {**good, **wrong}))


@pytest.mark.parametrize(
    "wrong", [{"hit": np.ones(2)}, {"energy": np.array([1.5])}, {"area": np.array([np.nan])}, {"images": 0}]
)
def test_shares_that_are_none_are_refused(wrong):
    good = {"hit": np.ones(1), "energy": np.ones(1), "area": np.ones(1), "images": 1}
    with pytest.raises(InvalidInputError):
        Pointing(**{**good, **wrong})
