"""Each disturbance does what its parameter says, in pixels and shares that can be measured."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.study_robustness import Disturbance
from huizhen.data.corruptions.cells import WRONG_LEVEL, mismeasured, without_cells
from huizhen.data.corruptions.disturb import OF_IMAGES, OF_ROWS, disturbed_image, disturbed_row
from huizhen.data.corruptions.interface import SCALES, Setting
from huizhen.data.corruptions.optics import blurred, ghosted, moved, noisy
from huizhen.data.corruptions.scanner import rescanned
from huizhen.data.tables import TableEncoding, categorical_column, numeric_column
from huizhen.errors import InvalidInputError

RNG = np.random.default_rng
GREY = np.full((1, 96, 96), 0.5, np.float32)


def test_every_kind_has_five_rising_values_and_one_function() -> None:
    assert set(SCALES) == set(Disturbance) == set(OF_IMAGES) | set(OF_ROWS)
    assert not set(OF_IMAGES) & set(OF_ROWS)
    for scale in SCALES.values():
        assert [scale.still, *scale.values] == sorted({scale.still, *scale.values})


def test_noise_has_the_stated_spread_and_rician_noise_lifts_the_dark() -> None:
    assert noisy(GREY, 0.08, RNG(1), Setting(side=96)).std() == pytest.approx(0.08, rel=0.03)
    dark = np.zeros((1, 128, 128), np.float32)
    rician = noisy(dark, 0.08, RNG(1), Setting(side=128, imaging="MR"))
    assert rician.mean() == pytest.approx(0.08 * np.sqrt(np.pi / 2), rel=0.03)  # Rayleigh


def test_blur_has_the_stated_width() -> None:
    spot = np.zeros((1, 97, 97), np.float32)
    spot[0, 48, 48] = 1
    found = blurred(spot, 0.04, RNG(1), Setting(side=100))[0].astype(float)
    place = np.arange(97) - 48
    assert np.sqrt((found.sum(0) * place**2).sum() / found.sum()) == pytest.approx(4.0, rel=0.02)


def test_motion_smears_a_spot_over_its_length() -> None:
    spot = np.zeros((1, 101, 101), np.float32)
    spot[0, 48:53, 48:53] = 1
    found = moved(spot, 0.2, RNG(3), Setting(side=100))[0].astype(float)
    down, across = np.indices(found.shape) - 50
    spread = np.cov(
        np.stack([down.ravel(), across.ravel()]), aweights=np.where(found > 0.05, found, 0).ravel()
    )
    long, short = sorted(np.sqrt(np.linalg.eigvalsh(spread)), reverse=True)
    assert long == pytest.approx(np.sqrt(20**2 / 12 + 2), rel=0.1)  # a line of 20, and the spot's own 5
    assert short < 2.5


def test_ghosts_repeat_a_bright_bar_along_one_axis() -> None:
    bar = np.zeros((1, 128, 128), np.float32)
    bar[0, 60:68, 60:68] = 1
    found = ghosted(bar, 0.01, RNG(1), Setting(side=128, imaging="MR"))[0]
    outside = found.copy()
    outside[60:68], outside[:, 60:68] = 0, 0
    beside = found.copy()
    beside[60:68, 60:68] = 0
    assert outside.max() < 1e-6, "ghosts lie along the phase-encoding axis alone"
    assert beside.max() > 0.02


def test_another_scanner_is_reached_at_the_last_step() -> None:
    lut = np.linspace(1, 0, 256, dtype=np.float32)
    setting = Setting(side=96, transfer=lut)
    light = np.full((1, 4, 4), 0.2, np.float32)
    steps = [rescanned(light, SCALES[Disturbance.SCANNER].at(k), RNG(1), setting)[0, 0, 0] for k in range(6)]
    assert steps == pytest.approx([0.2, 0.32, 0.44, 0.56, 0.68, 0.8], abs=1e-5)


def test_speckle_is_for_ultrasound() -> None:
    plain, sonogram = (rescanned(GREY, 1.0, RNG(1), Setting(side=96, imaging=i)) for i in ("MG", "US"))
    assert plain.std() == 0
    assert sonogram.std() > 0


def table() -> TableEncoding:
    columns = (
        numeric_column("age", start=0, n=9, mean=50.0, sd=10.0),
        categorical_column("grade", ("1", "2", "3"), start=1, n=9),
    )
    return TableEncoding(modality="clinic", columns=columns)


def test_cells_go_missing_and_err_as_often_as_stated() -> None:
    row, rng = (np.array([1, 0, 1, 0], np.float32), np.ones(2, bool)), RNG(5)
    lost = [without_cells(row, 0.2, rng, table())[1] for _ in range(4000)]
    assert 1 - np.mean(lost) == pytest.approx(0.2, abs=0.01)
    wrong = [mismeasured(row, 0.5, rng, table())[0] for _ in range(4000)]
    assert np.std([values[0] for values in wrong]) == pytest.approx(0.5, rel=0.04)
    assert np.mean([values[2] == 0 for values in wrong]) == pytest.approx(0.5 * WRONG_LEVEL, abs=0.015)


@pytest.mark.parametrize("step", [-1, 6])
def test_there_are_five_steps(step: int) -> None:
    with pytest.raises(InvalidInputError, match=f"no step {step}"):
        disturbed_image(GREY, Disturbance.BLUR, step, Setting(side=96), seed=1, patient="P")


def test_kinds_are_not_mixed_up() -> None:
    with pytest.raises(InvalidInputError, match="is for tables"):
        disturbed_image(GREY, Disturbance.MISSING, 1, Setting(side=96), seed=1, patient="P")
    row = np.zeros(4, np.float32), np.ones(2, bool)
    with pytest.raises(InvalidInputError, match="is for images"):
        disturbed_row(row, Disturbance.NOISE, 1, table(), seed=1, patient="P")


@pytest.mark.parametrize(
    "pixels", [GREY[0], GREY * 3, np.full((1, 2, 2), np.nan, np.float32), np.zeros((1, 0, 4), np.float32)]
)
def test_what_is_no_image_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(InvalidInputError):
        disturbed_image(pixels, Disturbance.NOISE, 1, Setting(side=96), seed=1, patient="P")
