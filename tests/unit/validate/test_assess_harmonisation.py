"""The site told from features before and after harmonisation."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.evidence import Verdict
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.harmonisation import Told, site_told_around
from huizhen.validate.shortcuts import told_by_neighbours, told_from_features

RNG = np.random.default_rng(3)


def told(sites: tuple[str, ...] = ("a", "b"), n: int = 80) -> Told:
    """Return sites whose features differ before, and don't after."""
    site = np.repeat(sites, n)
    after = RNG.normal(size=(len(site), 8))
    apart = np.searchsorted(np.unique(site), site)[:, None] * 3.0
    return Told(site=site, before=after + apart, after=after)


def test_two_sites_are_told_before_and_not_after() -> None:
    found = {e.key: e for e in site_told_around(told(), modality="US", phantom=False, seed=1)}
    assert set(found) == {
        f"harmonisation/US/a/{when}/{how}" for when in ("before", "after") for how in ("linear", "neighbours")
    }
    for how in ("linear", "neighbours"):
        before, after = (found[f"harmonisation/US/a/{when}/{how}"] for when in ("before", "after"))
        assert (before.estimate or 0) > 0.95
        assert abs((after.estimate or 0) - 0.5) < 0.15
        assert before.n == 160
        assert before.interval is not None


def test_three_sites_are_told_each_from_the_others() -> None:
    found = site_told_around(told(("a", "b", "c")), modality="US", phantom=False, seed=1)
    assert len(found) == 12


def test_one_site_and_few_patients_are_not_assessed() -> None:
    [alone] = site_told_around(told(("a",)), modality="US", phantom=False, seed=1)
    assert alone.verdict is Verdict.NOT_ASSESSED
    few = site_told_around(told(n=6), modality="US", phantom=False, seed=1)
    assert {e.verdict for e in few} == {Verdict.NOT_ASSESSED}


def test_neighbours_see_what_no_line_does() -> None:
    belongs = np.arange(300) % 2 == 0
    rings = RNG.normal(size=(300, 5)) * np.where(belongs, 1, 3)[:, None]

    def auc(score: np.ndarray) -> float:
        return float((score[belongs][:, None] > score[~belongs]).mean())

    assert auc(told_by_neighbours(rings, belongs, seed=2)) > 0.85
    assert abs(auc(told_from_features(rings, belongs, seed=2)) - 0.5) < 0.15


def test_neighbours_refuse_too_few() -> None:
    with pytest.raises(NotEstimableError):
        told_by_neighbours(np.zeros((12, 2)), np.arange(12) < 3, seed=1)


def test_parts_join() -> None:
    both = told().joined(told(("c", "d")))
    assert len(both.site) == len(both.before) == len(both.after) == 320
