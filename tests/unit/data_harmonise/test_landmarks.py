"""Nyul's landmarks on known piecewise-linear maps."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.data.harmonise.landmarks import DECILES, Landmarks, extended, fit_landmarks, image_landmarks
from huizhen.errors import InvalidInputError, NotEstimableError


def picture(seed: int = 0) -> np.ndarray:
    return (0.1 + 0.5 * np.random.default_rng(seed).beta(2, 3, (1, 60, 60))).astype(np.float32)


def bent(pixels: np.ndarray) -> np.ndarray:
    """Return grey levels through a map with a kink at the median."""
    middle = np.median(pixels)
    return np.where(pixels < middle, 0.3 * pixels + 0.1, 1.2 * (pixels - middle) + 0.3 * middle + 0.1)


def test_two_scanners_with_known_maps_come_to_one_image() -> None:
    plain = picture()
    known = np.percentile(plain, DECILES)

    def scanner(x: np.ndarray) -> np.ndarray:  # piecewise linear, with kinks at the landmarks themselves
        return extended(x.astype(float).ravel(), known, np.linspace(0.2, 0.9, 11)).reshape(x.shape)

    scale = fit_landmarks([plain])
    other = scanner(plain).astype(np.float32)
    assert np.abs(scale.apply(plain) - scale.apply(other)).max() < 2e-3


def test_a_kink_at_a_decile_is_undone() -> None:
    plain = picture()
    scale = fit_landmarks([plain])
    assert np.abs(scale.apply(plain) - scale.apply(bent(plain).astype(np.float32))).max() < 5e-3


def test_gain_and_offset_fall_out() -> None:
    scale = fit_landmarks([picture(1), picture(2)])
    plain = picture(3)
    assert np.abs(scale.apply(plain) - scale.apply(0.4 * plain + 0.2)).max() < 1e-3


def test_landmarks_of_an_image_meet_the_standard_scale() -> None:
    scale = fit_landmarks([picture(1), picture(2)])
    moved = scale.apply(picture(3))
    assert np.allclose(np.percentile(moved, DECILES), scale.standard, atol=2e-3)


def test_background_stays_and_does_not_count() -> None:
    plain = picture()
    framed = np.pad(plain, ((0, 0), (40, 40), (40, 40)))
    scale = fit_landmarks([plain])
    assert (scale.apply(framed)[:, :40] == 0).all()
    assert np.allclose(scale.apply(framed)[:, 40:-40, 40:-40], scale.apply(plain))


def test_contrast_phases_keep_their_order() -> None:
    phases = np.concatenate([picture() * k for k in (0.5, 1.0, 0.8)])
    moved = fit_landmarks([phases]).apply(phases)
    assert (moved[1] >= moved[2]).all()
    assert (moved[2] >= moved[0]).all()


def test_an_image_without_contrast_stays() -> None:
    flat = np.full((1, 5, 5), 0.5, np.float32)
    assert (fit_landmarks([picture()]).apply(flat) == flat).all()
    assert image_landmarks(np.zeros((1, 4, 4))) is None
    with pytest.raises(NotEstimableError, match="no training image has contrast"):
        fit_landmarks([flat])


def test_pixels_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="NaN"):
        fit_landmarks([picture()]).apply(np.array([[[0.1, np.nan]]], np.float32))


def test_it_comes_back_from_json() -> None:
    scale = fit_landmarks([picture()])
    assert Landmarks.from_json(scale.to_json()) == scale


@pytest.mark.parametrize(
    "record", [None, {}, {"percentiles": [0, 1], "standard": [1, 0]}, {"percentiles": [1], "standard": [1]}]
)
def test_another_record_is_refused(record: object) -> None:
    with pytest.raises(InvalidInputError):
        Landmarks.from_json(record)
