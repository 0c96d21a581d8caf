"""What machine, operator and export put into an ultrasound image, taken out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from huizhen.data.harmonise.ultrasound import (
    Resolution,
    centre_square,
    content_box,
    fit_resolution,
    flat_gain,
    inside_borders,
    radial_amplitude,
    without_overlays,
)
from huizhen.errors import InvalidInputError, NotEstimableError


def speckle(seed: int = 0, side: int = 96, width: float = 1.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(side, side))
    smooth = gaussian_filter(noise, width)
    return (0.35 + 0.08 * smooth / smooth.std()).clip(0, 1).astype(np.float32)[None]


def test_borders_go_and_the_content_stays_pixel_by_pixel() -> None:
    inner = speckle()
    framed = np.pad(inner, ((0, 0), (20, 5), (0, 31)))
    assert content_box(framed) == (slice(20, 116), slice(0, 96))
    assert (inside_borders(framed) == inner).all()


def test_a_border_with_jpeg_noise_goes_too() -> None:
    framed = np.pad(speckle(), ((0, 0), (20, 20), (0, 0)))
    framed += np.random.default_rng(1).uniform(0, 4 / 255, framed.shape).astype(np.float32)
    assert content_box(framed)[0] == slice(20, 116)


@pytest.mark.parametrize("dark", [np.zeros((1, 40, 40), np.float32), np.eye(40, dtype=np.float32)[None] / 99])
def test_a_dark_image_is_left_whole(dark: np.ndarray) -> None:
    assert inside_borders(dark).shape == dark.shape


def test_the_middle_square() -> None:
    image = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    assert (centre_square(image)[0] == image[0, :, 1:5]).all()


def test_writing_goes_and_speckle_stays() -> None:
    plain = speckle()
    written = plain.copy()
    written[0, 80:82, 10:40:3] = 1.0
    written[0, 76:86, 20] = 1.0
    cleaned = without_overlays(written)
    stroke = written != plain
    assert np.abs(cleaned[stroke] - plain[stroke]).max() < 0.35
    assert (cleaned[~stroke] == plain[~stroke]).mean() > 0.97
    assert (without_overlays(plain) == plain).mean() > 0.999


def test_time_gain_is_flattened_and_a_lesion_stays() -> None:
    plain = speckle()
    plain[0, 40:56, 40:56] *= 0.3
    gain = np.linspace(0.5, 1.5, 96, dtype=np.float32)[None, :, None]
    flat = flat_gain(plain * gain)

    def tilt(x: np.ndarray) -> float:
        return abs(float(x[0, 70:90].mean() / x[0, 5:25].mean()) - 1)

    assert tilt(flat) < 0.15 < tilt(plain * gain)
    around = np.r_[flat[0, 40:56, :30].ravel(), flat[0, 40:56, 66:].ravel()]
    assert flat[0, 42:54, 42:54].mean() < 0.5 * around.mean()
    assert (flat_gain(np.zeros((1, 8, 8), np.float32)) == 0).all()


def test_a_fine_and_a_coarse_machine_come_to_one_resolution() -> None:
    fine, coarse = [speckle(k, width=0.8) for k in range(6)], [speckle(k + 9, width=1.6) for k in range(6)]
    wanted = fit_resolution([*fine, *coarse])

    def middle(images: list[np.ndarray]) -> float:
        spectra = np.mean([radial_amplitude(i[0]) for i in images], axis=0)
        return float((spectra * np.arange(len(spectra))).sum() / spectra.sum())

    before = middle(fine) / middle(coarse)
    after = middle([wanted.apply(i) for i in fine]) / middle([wanted.apply(i) for i in coarse])
    assert before > 2
    assert abs(after - 1) < 0.25 * (before - 1)


def test_what_is_coarser_than_three_cycles_stays() -> None:
    wanted = fit_resolution([speckle(k, width=3.0) for k in range(4)])
    wave = 0.5 + 0.3 * np.sin(2 * np.pi * 2 * np.arange(96) / 96)
    slow = np.broadcast_to(wave, (1, 96, 96)).astype(np.float32)
    assert np.abs(wanted.apply(slow) - slow).max() < 1e-3


def test_a_resolution_comes_back_from_json_and_others_are_refused() -> None:
    wanted = fit_resolution([speckle()])
    assert Resolution.from_json(wanted.to_json()) == wanted
    with pytest.raises(InvalidInputError):
        Resolution.from_json({"amplitude": [1.0, 0.0]})
    with pytest.raises(InvalidInputError):
        Resolution.from_json({})
    with pytest.raises(NotEstimableError):
        fit_resolution([np.zeros((1, 32, 32), np.float32)])
