"""Robust rules against slow ones, and what some liars can do to each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from huizhen.errors import FederationError, InvalidInputError
from huizhen.federate.robust import clip, krum, mean, median, trimmed_mean

matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 9), st.integers(1, 4)),
    elements=st.floats(-8, 8, width=16),
)


def slow_krum(changes: np.ndarray, liars: int) -> set[int]:
    """Return the rows that Krum may choose: score each by its nearest n - f - 2 neighbours."""
    n = len(changes)
    rows = changes.astype(float)
    scores = []
    for i in range(n):
        apart = sorted(sum((rows[i] - rows[j]) ** 2) for j in range(n) if j != i)
        scores.append(sum(apart[: n - liars - 2]))
    best = min(scores)
    return {i for i, score in enumerate(scores) if score <= best + 1e-6 * (1 + abs(best))}


@given(matrices)
@settings(max_examples=60, deadline=None)
def test_rules_are_as_slow_ones_say(changes):
    patients = np.arange(1, len(changes) + 1)
    weights = patients / patients.sum()
    slow = sum(w * row.astype(float) for w, row in zip(weights, changes, strict=True))
    np.testing.assert_allclose(mean(changes, patients), slow, atol=1e-5)
    np.testing.assert_allclose(
        median(changes, patients), [np.median(column) for column in changes.T.astype(float)], atol=1e-5
    )
    if len(changes) >= 3:
        kept = [sorted(column)[1:-1] for column in changes.T.astype(float)]
        np.testing.assert_allclose(
            trimmed_mean(changes, patients, share=0.01), [sum(k) / len(k) for k in kept], atol=1e-5
        )
    if len(changes) >= 5:
        chosen = krum(changes, patients, share=1 / len(changes))
        assert any(np.array_equal(chosen, changes[i]) for i in slow_krum(changes, 1))


@pytest.mark.parametrize("place", range(7))
def test_one_liar_of_seven_moves_no_robust_rule_out_of_the_honest_range(place):
    honest = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    patients = np.full(7, 10)
    for lie in (1e6, -1e6):
        changes = np.insert(honest, place, np.float32(lie), axis=0)
        for found in (
            median(changes, patients),
            trimmed_mean(changes, patients, share=1 / 7),
            krum(changes, patients, share=1 / 7),
        ):
            assert (found >= honest.min(0)).all()
            assert (found <= honest.max(0)).all()
        assert np.abs(mean(changes, patients)).max() > 1e4


def test_the_order_of_sites_does_not_matter():
    changes = np.random.default_rng(2).normal(size=(5, 3)).astype(np.float32)
    patients = np.full(5, 7)
    for order in itertools.islice(itertools.permutations(range(5)), 0, 120, 17):
        shuffled = changes[list(order)]
        np.testing.assert_array_equal(median(shuffled, patients), median(changes, patients))
        np.testing.assert_array_equal(krum(shuffled, patients, share=0.2), krum(changes, patients, share=0.2))


@pytest.mark.parametrize(("rule", "sites"), [(krum, 4), (trimmed_mean, 2)])
def test_too_few_sites_are_refused(rule, sites):
    with pytest.raises(FederationError, match=f"{sites} sites are too few"):
        rule(np.zeros((sites, 2), np.float32), np.full(sites, 5), share=0.2)


@pytest.mark.parametrize(
    ("changes", "patients"),
    [
        (np.zeros((2, 2), np.float32), np.array([5])),
        (np.zeros((0, 2), np.float32), np.zeros(0, int)),
        (np.zeros(3, np.float32), np.full(3, 5)),
        (np.float32([[np.nan]]), np.array([5])),
        (np.zeros((1, 2), np.float32), np.array([0])),
        (np.zeros((1, 2), np.float32), np.array([-4])),
    ],
    ids=["counts", "none", "flat", "nan", "nobody", "negative"],
)
def test_what_is_no_row_a_site_is_refused(changes, patients):
    for rule in (mean, median):
        with pytest.raises(InvalidInputError):
            rule(changes, patients)


def test_clipping_shortens_and_keeps_the_direction():
    change = np.float32([3, -4])
    assert clip(change, norm=10.0) is change
    np.testing.assert_allclose(clip(change, norm=0.5), [0.3, -0.4], atol=1e-6)
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        clip(np.float32([np.inf]), norm=1.0)
