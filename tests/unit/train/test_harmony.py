"""Harmonised columns: tokens move so that the patient's mean feature is what ComBat says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from huizhen.data.harmonise.combat import Prior, SiteShift
from huizhen.data.harmonise.pooled import Pooled
from huizhen.errors import DataError, ModelError
from huizhen.train.arrays import ImageColumn
from huizhen.train.harmony import Harmony, found_shift, harmony_from, patient_means

RNG = np.random.default_rng(1)
D, COUNTS = 6, (2, 1, 3, 0)
PAYLOAD = RNG.normal(size=(6, 2, 4, D)).astype(np.float16)
NONE = np.zeros((4, 0))


def column() -> ImageColumn:
    offsets = np.concatenate([[0], np.cumsum(COUNTS)]).astype(np.int64)
    return ImageColumn(payload=PAYLOAD, where=np.arange(6), offsets=offsets, features=True)


def harmony(q: int = 0) -> Harmony:
    flat = np.zeros(D, bool)
    flat[2] = True
    pooled = Pooled(
        centre=RNG.normal(size=D),
        slopes=RNG.normal(size=(q, D)),
        scale=RNG.uniform(0.5, 2, D),
        covariates=np.full(q, 0.3),
        flat=flat,
        n=99,
    )
    shifts = {
        name: SiteShift(gamma=RNG.normal(size=D), delta=RNG.uniform(0.5, 2, D), n=30) for name in ("a", "b")
    }
    return Harmony(pooled=pooled, shifts=shifts, unknown=np.array([True, *[False] * (q - 1)][:q], bool))


def test_a_patient_s_feature_is_the_mean_over_plain_images_and_tokens() -> None:
    found = patient_means(column(), np.array([2, 0]))
    assert np.allclose(found[0], PAYLOAD[3:6, 0].astype(float).mean((0, 1)))
    assert np.allclose(found[1], PAYLOAD[:2, 0].astype(float).mean((0, 1)))


@pytest.mark.parametrize("q", [0, 2])
def test_moved_tokens_have_the_moved_mean(q: int) -> None:
    moved = harmony(q)
    sites = ["a", "b", "a", "nowhere"]  # the last has no image
    kept = RNG.normal(size=(4, q))
    bag = moved.column(column(), sites, kept).bag(np.arange(3), None)
    tokens = bag.harmonised(bag.payload.float()).double().numpy()
    for case, site in enumerate(sites[:3]):
        mean = tokens[bag.case.numpy() == case].mean((0, 1))
        before = patient_means(column(), np.array([case]))
        assert np.allclose(mean, moved.moved(before, site, kept[[case]])[0], atol=2e-3)
        assert np.isclose(mean[2], before[0, 2], atol=2e-3)  # the same for everybody: it stays


def test_a_thinned_bag_keeps_who_is_moved_by_what() -> None:
    bag = harmony().column(column(), ["a", "b", "a", "a"], NONE).bag(np.arange(3), None)
    whole = bag.harmonised(bag.payload.float())
    keep = torch.tensor([True, False, True, False, True, True])
    some = bag.thinned(keep)
    assert torch.equal(some.harmonised(some.payload.float()), whole[keep])


def test_without_harmonisation_nothing_moves() -> None:
    bag = column().bag(np.arange(3), None)
    assert bag.moved is None
    assert torch.equal(bag.harmonised(bag.payload), bag.payload)


def test_a_covariate_unknown_at_use_changes_nothing() -> None:
    moved = harmony(2)
    kept = RNG.normal(size=(4, 2))
    other = kept.copy()
    other[:, 0] = np.nan
    one, two = (moved.column(column(), ["a"] * 4, c).harmonised for c in (kept, other))
    assert one is not None
    assert two is not None
    assert np.array_equal(one.offset, two.offset)


def test_a_site_without_a_shift_is_refused() -> None:
    with pytest.raises(DataError, match="nothing is known of how features differ at c"):
        harmony().column(column(), ["a", "c", "a", "a"], NONE)


def test_outcomes_are_used_of_training_patients_alone() -> None:
    moved = harmony(2)
    features, known = RNG.normal(size=(40, D)), np.column_stack([np.arange(40) % 2, RNG.normal(size=40)])
    hidden = known.copy()
    hidden[:, 0] = np.nan
    how = {"prior": Prior.PARAMETRIC, "mean_only": False, "site": "c"}
    trained = found_shift(features, moved, known, training=True, **how)  # type: ignore[arg-type]  # one dict
    later = found_shift(features, moved, hidden, training=False, **how)  # type: ignore[arg-type]  # one dict
    again = found_shift(features, moved, known, training=False, **how)  # type: ignore[arg-type]  # one dict
    assert np.array_equal(later.gamma, again.gamma)
    assert not np.allclose(trained.gamma, later.gamma)


def test_it_comes_back_from_arrays_and_damaged_ones_are_refused() -> None:
    moved = harmony(2)
    again = harmony_from(moved.to_arrays())
    assert np.array_equal(again.pooled.slopes, moved.pooled.slopes)
    assert sorted(again.shifts) == ["a", "b"]
    assert np.array_equal(again.shifts["b"].delta, moved.shifts["b"].delta)
    for damage in ({"centre": np.zeros(2)}, {"scale": np.zeros(D)}):
        with pytest.raises(ModelError, match="missing or doesn't fit"):
            harmony_from({**moved.to_arrays(), **damage})
    with pytest.raises(ModelError):
        harmony_from({})
