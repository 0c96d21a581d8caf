"""Harmonised columns: tokens move so that the patient's mean feature is what ComBat says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from huizhen.data.harmonise.combat import Prior, SiteShift
from huizhen.data.harmonise.components import Reduction
from huizhen.data.harmonise.pooled import Pooled
from huizhen.errors import DataError, ModelError
from huizhen.train.arrays import ImageColumn
from huizhen.train.harmony import Components, Harmony, harmony_from, patient_means, with_found_site

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
    trained = with_found_site(features, moved, known, training=True, **how)  # type: ignore[arg-type]  # one dict
    later = with_found_site(features, moved, hidden, training=False, **how)  # type: ignore[arg-type]  # one dict
    again = with_found_site(features, moved, known, training=False, **how)  # type: ignore[arg-type]  # one dict
    assert np.array_equal(later.shifts["c"].gamma, again.shifts["c"].gamma)
    assert not np.allclose(trained.shifts["c"].gamma, later.shifts["c"].gamma)


# --- reduced to components -------------------------------------------------------------------------------


def reduced(q: int = 0) -> Harmony:
    """Return a harmony of two components, whose alignment knows the sites a and b too."""
    reduction = Reduction(axes=RNG.normal(size=(D, 2)), constant=RNG.normal(size=2))
    few = Pooled(
        centre=RNG.normal(size=2),
        slopes=RNG.normal(size=(q, 2)),
        scale=RNG.uniform(0.5, 2, 2),
        covariates=np.full(q, 0.3),
        flat=np.zeros(2, bool),
        n=99,
    )
    shifts = {
        name: SiteShift(gamma=RNG.normal(size=2), delta=RNG.uniform(0.5, 2, 2), n=30) for name in ("a", "b")
    }
    whole = harmony(q)
    aligned = Harmony(pooled=few, shifts=shifts, unknown=whole.unknown)
    return replace(whole, components=Components(reduction=reduction, aligned=aligned))


@pytest.mark.parametrize("q", [0, 2])
def test_tokens_become_components_whose_mean_is_the_patient_s(q: int) -> None:
    few = reduced(q)
    sites, kept = ["a", "b", "a", "nowhere"], RNG.normal(size=(4, q))
    bag = few.column(column(), sites, kept).bag(np.array([2, 1, 0]), None)
    tokens = bag.harmonised(bag.payload.float()).double().numpy()
    assert tokens.shape == (6, 1, 2)
    for place, case in enumerate((2, 1, 0)):
        before = patient_means(column(), np.array([case]))
        own = few.moved(before, sites[case], kept[[case]])[0]
        for one in tokens[bag.case.numpy() == place]:
            assert np.allclose(one[0], own, atol=5e-3)  # every image says the same: none scatters


def test_a_thinned_bag_of_components_keeps_who_is_moved_by_what() -> None:
    bag = reduced(2).column(column(), ["a", "b", "a", "a"], RNG.normal(size=(4, 2))).bag(np.arange(3), None)
    whole = bag.harmonised(bag.payload.float())
    keep = torch.tensor([True, False, True, False, True, True])
    some = bag.thinned(keep)
    assert some.moved is not None
    assert torch.equal(some.moved.of(some.payload.float()), bag.moved.of(bag.payload.float())[keep])  # type: ignore[union-attr]  # it has
    assert torch.allclose(some.harmonised(some.payload.float())[1], whole[2])  # the one image of its case


def test_of_components_a_patient_has_one_token_however_many_images() -> None:
    bag = reduced().column(column(), ["a", "b", "a", "a"], NONE).bag(np.arange(3), None)
    _, there = bag.spread(bag.harmonised(bag.payload.float()), 3)
    assert there.sum(1).tolist() == [1, 1, 1]
    plain = harmony().column(column(), ["a", "b", "a", "a"], NONE).bag(np.arange(3), None)
    _, all_there = plain.spread(plain.harmonised(plain.payload.float()), 3)
    assert all_there.sum(1).tolist() == [8, 4, 12]


def test_a_new_site_s_components_are_aligned_without_outcomes() -> None:
    few = reduced()
    features = RNG.normal(size=(60, D)) * 3 + 5
    how = {"prior": Prior.NONE, "mean_only": False, "site": "c", "training": False}
    found = with_found_site(features, few, np.zeros((60, 0)), **how)  # type: ignore[arg-type]  # one dict
    moved = found.moved(features, "c", np.zeros((60, 0)))
    assert found.components is not None
    target = found.components.aligned.pooled
    assert np.allclose(moved.mean(0), target.centre, atol=1e-9)
    assert np.allclose(moved.std(0, ddof=1), target.scale, atol=1e-9)


def test_a_site_whose_components_are_not_aligned_is_refused() -> None:
    half = reduced().with_site("c", SiteShift(gamma=np.zeros(D), delta=np.ones(D), n=30))
    with pytest.raises(DataError, match="nothing is known of how features differ at c"):
        half.column(column(), ["a", "c", "a", "a"], NONE)


def test_components_come_back_from_arrays_and_nothing_shared_holds_a_site() -> None:
    few = reduced(2)
    again = harmony_from(few.to_arrays())
    assert again.components is not None
    assert few.components is not None
    assert np.array_equal(again.components.reduction.axes, few.components.reduction.axes)
    assert sorted(again.components.aligned.shifts) == ["a", "b"]
    assert not any("site" in name for name in few.shared().to_arrays())
    for damage in ({"components/axes": np.zeros((D, 3))}, {"components/aligned/scale": np.zeros(2)}):
        with pytest.raises(ModelError, match="missing or doesn't fit"):
            harmony_from({**few.to_arrays(), **damage})
    with pytest.raises(ModelError):
        harmony_from({k: v for k, v in few.to_arrays().items() if k != "components/constant"})


def test_the_reference_site_s_components_stay() -> None:
    few = reduced().resting("a")
    features = RNG.normal(size=(3, D))
    assert few.components is not None
    assert np.allclose(few.moved(features, "a", np.zeros((3, 0))), few.components.reduction.of(features))


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
