"""The site told from features before and after harmonisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from huizhen.core.evidence import Evidence, Verdict
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.harmonisation import BOTH, TELLERS, Told, site_told_around, telling_of
from huizhen.validate.shortcuts import told_by_neighbours, told_by_trees, told_from_features

RNG = np.random.default_rng(3)


def told(sites: tuple[str, ...] = ("a", "b"), n: int = 80) -> Told:
    """Return sites whose features differ before, and don't after."""
    site = np.repeat(sites, n)
    after = RNG.normal(size=(len(site), 8))
    apart = np.searchsorted(np.unique(site), site)[:, None] * 3.0
    return Told(
        patient=np.arange(len(site)).astype(str),
        site=site,
        before=after + apart,
        after=after,
        half=np.full(len(site), BOTH),
    )


def around(mine: Told, **settings: object) -> list[Evidence]:
    return site_told_around(telling_of(mine, seed=1), **settings)  # type: ignore[arg-type]  # one dict


def test_two_sites_are_told_before_and_not_after() -> None:
    found = {e.key: e for e in around(told(), modality="US", phantom=False, seed=1)}
    assert set(found) == {
        f"harmonisation/US/a/{when}/{how}" for when in ("before", "after") for how in TELLERS
    }
    assert set(TELLERS) == {"linear", "neighbours", "trees"}
    for how in TELLERS:
        before, after = (found[f"harmonisation/US/a/{when}/{how}"] for when in ("before", "after"))
        assert (before.estimate or 0) > 0.95
        assert abs((after.estimate or 0) - 0.5) < 0.15
        assert before.n == 160
        assert before.interval is not None


def test_three_sites_are_told_each_from_the_others() -> None:
    found = around(told(("a", "b", "c")), modality="US", phantom=False, seed=1)
    assert len(found) == 18


def test_one_site_and_few_patients_are_not_assessed() -> None:
    [alone] = around(told(("a",)), modality="US", phantom=False, seed=1)
    assert alone.verdict is Verdict.NOT_ASSESSED
    few = around(told(n=6), modality="US", phantom=False, seed=1)
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


def halved(error: float) -> Told:
    """Return two sites alike but that each half of the second is off by what the other half's shift erred."""
    site, half = np.repeat(["a", "b"], 200), np.concatenate([np.full(200, BOTH), np.arange(200) % 2])
    off = np.array([0.0, error, -error])[half + 1]
    features = RNG.normal(size=(400, 6))
    after = features + off[:, None] * np.array([1.0, 0, 0, 0, 0, 0])
    return Told(patient=np.arange(400).astype(str), site=site, before=features, after=after, half=half)


def test_what_one_half_s_shift_errs_by_is_not_hidden_by_the_other_s() -> None:
    """Shown together, the halves err in opposite directions, and no line finds either."""
    mine = halved(1.2)
    found = {e.key: e for e in around(mine, modality="US", phantom=False, seed=1)}
    linear = found["harmonisation/US/a/after/linear"]
    assert (linear.estimate or 0) > 0.7
    assert (linear.n, linear.detail["showings"]) == (400, 2)
    together = replace(mine, half=np.full(400, BOTH))
    hidden = {e.key: e for e in around(together, modality="US", phantom=False, seed=1)}
    assert (hidden["harmonisation/US/a/after/linear"].estimate or 0) < 0.6


def test_trees_see_corners() -> None:
    rows = RNG.normal(size=(300, 3))
    corners = rows[:, 0] * rows[:, 1] > 0
    score = told_by_trees(rows, corners, seed=2)
    assert (score[corners][:, None] > score[~corners]).mean() > 0.85
    assert np.array_equal(score, told_by_trees(rows, corners, seed=2))


@pytest.mark.parametrize("teller", [told_by_neighbours, told_by_trees])
def test_few_patients_are_not_told_by_their_fold_s_share(teller: object) -> None:
    """Of 58 patients 25 neighbours are half of all: the AUC came out at .05, which looks like success."""
    belongs = np.arange(58) % 3 == 0
    with pytest.raises(NotEstimableError, match="fewer than 100 patients in all"):
        teller(RNG.normal(size=(58, 2)), belongs, seed=1)  # type: ignore[operator]  # either of two
