"""ComBat against neuroCombat, and at the edges: few patients, constant features, new sites."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import combat_cases

from huizhen.data.harmonise.combat import (
    FEWEST,
    FEWEST_SHIFT,
    Prior,
    SiteShift,
    apply_shift,
    site_shift,
)
from huizhen.data.harmonise.pooled import pooled_of, slopes_of, squares_of, sums_of
from huizhen.errors import DataError, InvalidInputError, NotEstimableError

WAYS = list(product((False, True), (None, 1), (False, True), Prior))


def peer(monkeypatch, y, c, batch, *, reference, prior, mean_only):
    pandas = pytest.importorskip("pandas")
    combat = pytest.importorskip("neuroCombat").neuroCombat
    module = sys.modules["neuroCombat.neuroCombat"]
    monkeypatch.setattr(module.it_sol, "__defaults__", (1e-13,))  # it stops at a ten-thousandth otherwise
    monkeypatch.setattr(np, "int", int, raising=False)  # numpy 2 took away what it calls
    covariates = pandas.DataFrame({"site": batch})
    if c is not None:
        covariates["sex"], covariates["age"] = c[:, 0], c[:, 1]
    found = combat(
        y.T,
        covariates,
        "site",
        categorical_cols=[] if c is None else ["sex"],
        continuous_cols=[] if c is None else ["age"],
        ref_batch=reference,
        eb=prior is not Prior.NONE,
        parametric=prior is Prior.PARAMETRIC,
        mean_only=mean_only,
    )
    return found["data"].T


@pytest.mark.parametrize(("kept", "reference", "mean_only", "prior"), WAYS)
def test_equals_neurocombat(monkeypatch, kept, reference, mean_only, prior) -> None:
    y, c, batch = combat_cases.sites()
    known = c if kept else None
    own = combat_cases.harmonised(y, known, batch, reference=reference, prior=prior, mean_only=mean_only)
    other = peer(monkeypatch, y, known, batch, reference=reference, prior=prior, mean_only=mean_only)
    assert np.abs(own - other).max() < 1e-8
    assert np.abs(own - y).max() > 0.1  # it does move something


def frozen(y, batch, c=None):
    sums = sums_of(y, c, batch=batch)
    slopes = slopes_of(sums, () if c is None else combat_cases.NAMES)
    return pooled_of(sums, slopes, *squares_of(y, c, slopes, batch=batch))


def test_a_new_site_is_brought_to_the_pooled_one_without_outcomes() -> None:
    y, _, batch = combat_cases.sites(n=600)
    pool = frozen(y, batch)
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(300, y.shape[1])) * pool.scale
    late = 2.0 * pool.scale + pool.centre + 1.7 * noise
    moved = apply_shift(late, pool, site_shift(late, pool))
    assert np.abs((moved.mean(0) - pool.centre) / pool.scale).max() < 0.1
    assert np.abs(moved.std(0) / pool.scale - 1).max() < 0.1


def test_a_site_at_the_pooled_mean_is_hardly_moved() -> None:
    y, _, batch = combat_cases.sites(n=900)
    pool = frozen(y, batch)
    rng = np.random.default_rng(5)
    same = pool.centre + pool.scale * rng.normal(size=(400, y.shape[1]))
    moved = apply_shift(same, pool, site_shift(same, pool))
    assert (np.abs(moved - same) / pool.scale).max() < 0.6


def test_covariates_unknown_at_use_count_as_their_mean() -> None:
    y, c, batch = combat_cases.sites()
    pool = frozen(y, batch, c)
    shift = SiteShift(gamma=np.zeros(12), delta=np.full(12, 4.0), n=30)
    centre = pool.centre + pool.covariates @ pool.slopes
    assert np.allclose(apply_shift(y, pool, shift), (y - centre) / 2 + centre)


def test_shift_is_affine_so_that_the_mean_of_images_is_the_image_of_the_mean() -> None:
    y, _, batch = combat_cases.sites()
    pool = frozen(y, batch)
    shift = site_shift(y[batch == 0], pool)
    both = apply_shift(y[:2], pool, shift).mean(0)
    assert np.allclose(both, apply_shift(y[:2].mean(0)[None], pool, shift)[0])


@pytest.mark.parametrize("n", [FEWEST_SHIFT - 1, 1, 0])
def test_too_few_patients_are_refused(n: int) -> None:
    y, _, batch = combat_cases.sites()
    with pytest.raises(DataError, match="can't be harmonised") as caught:
        site_shift(y[:n], frozen(y, batch), site="north")
    assert caught.value.field == "north"


def test_few_patients_are_shifted_only() -> None:
    y, _, batch = combat_cases.sites()
    pool = frozen(y, batch)
    few, enough = site_shift(y[: FEWEST - 1], pool), site_shift(y[:FEWEST], pool)
    assert few.mean_only
    assert (few.delta == 1).all()
    assert not enough.mean_only
    assert (enough.delta != 1).any()


def test_a_constant_feature_stays_and_moves_no_other() -> None:
    y, _, batch = combat_cases.sites()
    with_flat = np.column_stack([y[:, :3], np.full(len(y), 7.0), y[:, 3:]])
    found = combat_cases.harmonised(with_flat, None, batch)
    assert (found[:, 3] == 7.0).all()
    assert np.allclose(np.delete(found, 3, axis=1), combat_cases.harmonised(y, None, batch))


def test_features_that_are_all_constant_stay() -> None:
    y = np.full((30, 2), 3.0)
    assert (combat_cases.harmonised(y, None, np.repeat([0, 1], 15)) == 3.0).all()


def test_one_feature_has_no_empirical_bayes() -> None:
    y, _, batch = combat_cases.sites(p=1)
    with pytest.raises(NotEstimableError, match="there is one"):
        combat_cases.harmonised(y, None, batch)
    found = combat_cases.harmonised(y, None, batch, prior=Prior.NONE)
    assert np.ptp([found[batch == b].mean() for b in range(3)]) < 1e-12


def test_features_of_another_encoder_are_refused() -> None:
    y, _, batch = combat_cases.sites()
    with pytest.raises(InvalidInputError, match="the pooled part has 12"):
        site_shift(y[:, :5], frozen(y, batch))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    y, _, batch = combat_cases.sites()
    pool = frozen(y, batch)
    y[3, 2] = bad
    with pytest.raises(DataError, match="1 patients hold NaN or infinity"):
        site_shift(y, pool)
    with pytest.raises(DataError, match="NaN"):
        sums_of(y)


def test_the_non_parametric_prior_does_not_underflow() -> None:
    y, _, batch = combat_cases.sites(n=6000, p=4)
    assert np.isfinite(combat_cases.harmonised(y, None, batch, prior=Prior.NON_PARAMETRIC)).all()
