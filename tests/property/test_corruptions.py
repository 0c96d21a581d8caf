"""Disturbances: step 0 leaves images alone, later steps lead further away, the same name draws the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from huizhen.core.study_robustness import IMAGE_DISTURBANCES, TABLE_DISTURBANCES, Disturbance
from huizhen.data.corruptions.disturb import disturbed_image, disturbed_row
from huizhen.data.corruptions.interface import Setting
from huizhen.data.corruptions.scanner import distance, transfer
from huizhen.data.tables import TableEncoding, categorical_column, numeric_column

IMAGING = (None, "MR", "US")
sides = st.tuples(st.integers(24, 48), st.integers(24, 48), st.integers(1, 3))


def picture(seed: int, height: int, width: int, channels: int) -> NDArray[np.float32]:
    """Return smooth tissue with fine grain and a bright spot, in [0, 1]."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(channels, height, width)), (0, 4, 4))
    smooth = 0.4 + 0.15 * smooth / smooth.std() + 0.05 * rng.normal(size=smooth.shape)
    smooth[:, height // 3 : height // 2, width // 3 : width // 2] += 0.3
    return np.clip(smooth, 0, 1).astype(np.float32)


def apart(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


@pytest.mark.parametrize("imaging", IMAGING)
@pytest.mark.parametrize("kind", IMAGE_DISTURBANCES)
@settings(max_examples=12, deadline=None)
@given(size=sides, seed=st.integers(0, 10**6))
def test_steps_lead_away_from_the_image(
    kind: Disturbance, imaging: str | None, size: tuple[int, int, int], seed: int
) -> None:
    pixels = picture(seed, *size)
    before = pixels.copy()
    setting = Setting(side=max(size[:2]), imaging=imaging)
    found = [disturbed_image(pixels, kind, k, setting, seed=seed, patient="P", image=1) for k in range(6)]
    assert all(one.shape == pixels.shape and one.dtype == np.float32 for one in found)
    assert all(float(one.min()) >= 0 and float(one.max()) <= 1 for one in found)
    assert np.array_equal(found[0], pixels)
    assert np.array_equal(pixels, before), "the original must not be changed in place"
    far = [apart(one, pixels) for one in found]
    assert all(b > a * 0.98 for a, b in pairwise(far)), far
    assert 0 < far[1] < far[5]
    again = disturbed_image(pixels, kind, 5, setting, seed=seed, patient="P", image=1)
    assert np.array_equal(again, found[5])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_other_patients_draw_other_noise(seed: int) -> None:
    pixels, setting = picture(seed, 24, 24, 1), Setting(side=24)
    named = [("P-1", 0), ("P-2", 0), ("P-1", 1)]
    found = [
        disturbed_image(pixels, Disturbance.NOISE, 3, setting, seed=seed, patient=p, image=k)
        for p, k in named
    ]
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_transfer_keeps_ranks_and_brings_the_other_histogram(seed: int) -> None:
    rng = np.random.default_rng(seed)
    own, other = rng.random(256), np.roll(np.sort(rng.random(256)), int(rng.integers(256)))
    shown = transfer(own, other)
    assert np.all(np.diff(shown) >= -1e-6)
    assert float(shown.min()) >= 0
    assert float(shown.max()) <= 1
    there, _ = np.histogram(shown * 255, bins=256, range=(-0.5, 255.5), weights=own)
    assert distance(there, other) <= distance(own, other) + 1e-3
    assert np.allclose(transfer(own, own), np.arange(256) / 255, atol=1e-6)


CLINIC = TableEncoding(
    modality="clinic",
    columns=(
        numeric_column("age", start=0, n=9, mean=50.0, sd=10.0),
        categorical_column("grade", ("1", "2", "3"), start=1, n=9),
        numeric_column("size", start=4, n=9, mean=20.0, sd=5.0),
    ),
)


@pytest.mark.parametrize("kind", TABLE_DISTURBANCES)
@settings(max_examples=60, deadline=None)
@given(
    age=st.floats(-3, 3, width=32), grade=st.integers(0, 2), lost=st.integers(0, 7), seed=st.integers(0, 999)
)
def test_rows_keep_their_form_and_lose_more_with_each_step(
    kind: Disturbance, age: float, grade: int, lost: int, seed: int
) -> None:
    values, there = np.array([age, 0, 0, 0, 1], np.float32), np.array([lost & 1, lost & 2, lost & 4]) == 0
    values[1 + grade] = 1
    for k, column in enumerate(CLINIC.columns):
        values[column.start : column.stop] *= there[k]
    rows = [disturbed_row((values, there), kind, k, CLINIC, seed=seed, patient="P") for k in range(6)]
    assert np.array_equal(rows[0][0], values)
    assert np.array_equal(rows[0][1], there)
    for before, after in pairwise(rows):
        assert not np.any(after[1] & ~before[1]), "what is missing stays missing at the next step"
        assert np.all(after[0][1:4] >= 0)
        assert after[0][1:4].sum() == float(after[1][1])
        if kind is Disturbance.MEASUREMENT_ERROR:
            assert np.array_equal(after[1], there)
            errors = [abs(float(row[0][0] - values[0])) for row in (before, after)]
            assert errors[0] <= errors[1] + 1e-6
