"""Harmonies fitted on training patients: no test patient's outcome or feature, no site of one outcome."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from harmonise_cases import SITES, TRAIN, D, N, data, fit, study

from huizhen.core.study_harmonisation import Harmonisation
from huizhen.errors import DataError, NotEstimableError
from huizhen.pipeline.harmonise_fit import prior_of, with_new_site
from huizhen.train.harmony import Harmony


def same(one: Harmony, two: Harmony) -> bool:
    a, b = one.to_arrays(), two.to_arrays()
    return set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("keep", [(), ("outcome",)], ids=["plain", "kept"])
def test_nothing_of_a_patient_who_is_not_trained_on_is_looked_at(keep: tuple[str, ...]) -> None:
    plain = data()
    flipped = np.where(TRAIN, plain.outcome, 1 - plain.outcome)
    sealed = np.where(TRAIN, plain.outcome, np.nan)
    one = fit(plain, keep=keep)
    for other in (data(flipped), data(sealed), data(shift=50.0)):
        assert same(one, fit(other, keep=keep))
    assert not same(one, fit(data(np.where(TRAIN, 1 - plain.outcome, 0)), keep=keep))


@pytest.mark.parametrize("keep", [(), ("outcome",)], ids=["plain", "kept"])
def test_a_new_site_is_moved_the_same_whatever_its_outcomes(keep: tuple[str, ...]) -> None:
    harmony = fit(data(), keep=keep)
    features = np.random.default_rng(1).normal(size=(30, D)) + 9
    one, two = (
        with_new_site(study(keep=keep), features, harmony, np.full((30, len(keep)), value), "far")
        for value in (1.0, np.nan)
    )
    assert same(one, two)
    kept = np.full((30, len(keep)), 1.0)
    assert np.array_equal(one.moved(features, "far", kept), one.moved(features, "far", kept * np.nan))


def test_components_go_with_the_outcome_and_are_aligned() -> None:
    harmony, cases = fit(data()), data()
    assert harmony.components is not None
    means = np.asarray(cases.images["US"].payload)[:, 0].mean(1).astype(np.float64)
    moved = {
        site: harmony.moved(means[[s == site for s in SITES]], site, np.zeros((SITES.count(site), 0)))
        for site in ("east", "north")
    }
    train = {site: moved[site][: int(sum(TRAIN[k] for k in range(N) if SITES[k] == site))] for site in moved}
    for found in train.values():
        assert np.allclose(found.mean(0), harmony.components.aligned.pooled.centre, atol=1e-6)
        assert np.allclose(found.std(0, ddof=1), harmony.components.aligned.pooled.scale, atol=1e-6)
    every = np.concatenate([moved[s] for s in moved])
    event = np.concatenate([cases.outcome[[s == site for s in SITES]] for site in moved]) == 1
    assert every[event, 0].mean() > every[~event, 0].mean() + 1


def test_a_training_site_of_one_outcome_is_refused_by_name() -> None:
    outcome = np.where([site == "north" for site in SITES], 0.0, data().outcome)
    with pytest.raises(DataError, match="training patients at north don't have both outcomes"):
        fit(data(outcome))
    assert fit(data(outcome), components=None).components is None  # ComBat alone needs no outcome


def test_few_events_are_refused() -> None:
    outcome = np.zeros(N)
    outcome[:6] = 1
    with pytest.raises(NotEstimableError, match="10 training patients with it and without"):
        fit(data(outcome))


def test_the_reference_site_stays_where_it_is() -> None:
    harmony = fit(data(), reference="east")
    assert harmony.components is not None
    features = np.random.default_rng(2).normal(size=(5, D))
    plain = harmony.components.reduction.of(features)
    assert np.allclose(harmony.moved(features, "east", np.zeros((5, 0))), plain)
    assert not np.allclose(harmony.moved(features, "north", np.zeros((5, 0))), plain)


def test_priors_are_named_as_in_the_study() -> None:
    assert [prior_of(Harmonisation(prior=p)).value for p in ("parametric", "none")] == ["parametric", "none"]
