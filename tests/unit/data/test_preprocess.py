"""Letterboxing: aspect, padding, channels, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.study import Phases
from huizhen.data.preprocess import Letterbox, letterbox, letterbox_mask, to_channels
from huizhen.errors import InvalidInputError


@pytest.mark.parametrize(("height", "width"), [(100, 50), (50, 100), (64, 64), (3000, 7), (1, 1), (31, 33)])
def test_the_image_fills_its_longer_side_and_is_centred(height, width):
    square = letterbox(np.ones((1, height, width), np.float32), size=64, channels=1)[0]
    box = Letterbox(height=height, width=width, size=64)
    assert max(box.inner_height, box.inner_width) == 64
    assert (square[box.inner] == 255).all()
    assert int(square.sum()) == 255 * box.inner_height * box.inner_width
    rows, columns = np.flatnonzero(square.any(1)), np.flatnonzero(square.any(0))
    assert abs(rows[0] - (63 - rows[-1])) <= 1
    assert abs(columns[0] - (63 - columns[-1])) <= 1


def test_shrinking_averages_instead_of_picking():
    stripes = np.zeros((1, 256, 256), np.float32)
    stripes[:, :, ::2] = 1
    square = letterbox(stripes, size=32, channels=1)[0]
    assert np.abs(square[:, 2:-2].astype(int) - 127).max() <= 2


def test_values_outside_are_clipped_and_inside_rounded():
    image = np.array([[[-1.0, 0.5, 2.0]] * 3], np.float32)
    assert letterbox(image, size=3, channels=1)[0, 0].tolist() == [0, 128, 255]


def test_grey_is_repeated_and_colour_becomes_luminance():
    grey = np.full((1, 4, 4), 0.5, np.float32)
    assert (letterbox(grey, size=4, channels=3) == 128).all()
    red = np.zeros((3, 4, 4), np.float32)
    red[0] = 1
    assert (letterbox(red, size=4, channels=1) == round(0.299 * 255)).all()
    assert to_channels(np.stack([grey[0], grey[0] * 0]), 1).mean() == 0.25


@pytest.mark.parametrize(
    ("shape", "channels"), [((2, 4, 4), 3), ((3, 4, 4), 2), ((5, 4, 4), 1), ((4, 4), 1), ((1, 0, 4), 1)]
)
def test_what_cant_become_an_image_is_refused(shape, channels):
    with pytest.raises(InvalidInputError):
        letterbox(np.zeros(shape, np.float32), size=8, channels=channels)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(InvalidInputError, match="finite"):
        letterbox(np.full((1, 4, 4), np.nan, np.float32), size=8, channels=1)


@pytest.mark.parametrize(("height", "width"), [(300, 120), (120, 300), (20, 30)])
def test_a_heatmap_returns_to_where_it_came_from(height, width):
    spot = np.zeros((1, height, width), np.float32)
    y, x = int(height * 0.7), int(width * 0.2)
    spot[0, y - 2 : y + 3, x - 2 : x + 3] = 1
    square = letterbox(spot, size=128, channels=1)[0].astype(np.float64)
    native = Letterbox(height=height, width=width, size=128).to_native(square)
    assert native.shape == (height, width)
    weight = native.sum()
    found_y = (native.sum(1) * np.arange(height)).sum() / weight
    found_x = (native.sum(0) * np.arange(width)).sum() / weight
    assert (found_y, found_x) == (pytest.approx(y, abs=0.5), pytest.approx(x, abs=0.5))


def test_a_heatmap_of_another_size_is_refused():
    with pytest.raises(InvalidInputError, match="square"):
        Letterbox(height=9, width=9, size=32).to_native(np.zeros((16, 16)))


def test_a_mask_keeps_its_share_and_its_smallest_lesion():
    mask = np.zeros((400, 400), dtype=bool)
    mask[100:300, 100:300] = True
    assert letterbox_mask(mask, size=64).mean() == pytest.approx(0.25, abs=0.01)
    tiny = np.zeros((400, 400), dtype=bool)
    tiny[7, 391] = True
    assert np.argwhere(letterbox_mask(tiny, size=32)).tolist() == [[0, 31]]
    assert not letterbox_mask(np.zeros((5, 9), dtype=bool), size=32).any()


def test_subtraction_takes_what_every_phase_shares() -> None:
    phases = np.stack([np.full((8, 8), 0.2), np.full((8, 8), 0.5), np.full((8, 8), 0.4)]).astype(np.float32)
    shifted = phases + 0.3
    one, other = (
        letterbox(p, size=8, channels=3, phases=Phases.SUBTRACTION)[:, 0, 0].tolist()
        for p in (phases, shifted)
    )
    assert one == pytest.approx(other, abs=1)
    assert one == pytest.approx([153, 102, 76.5], abs=1)


def test_enhancement_is_free_of_gain_and_says_wash_out() -> None:
    rng = np.random.default_rng(3)
    before = rng.uniform(0.1, 0.3, (16, 16)).astype(np.float32)
    washes_out = np.stack([before, 2.0 * before, 1.5 * before])
    still_rises = np.stack([before, 1.5 * before, 2.0 * before])
    one, faint, rising = (
        letterbox(p, size=32, channels=3, phases=Phases.ENHANCEMENT).astype(int)
        for p in (washes_out, washes_out / 4, still_rises)
    )
    assert np.abs(one - faint).max() <= 1
    assert (one[2] < 127).all()
    assert (rising[2] > 128).all()


def test_enhancement_keeps_noise_in_the_dark_small() -> None:
    rng = np.random.default_rng(4)
    phases = np.abs(rng.normal(0, 0.01, (3, 64, 64))).astype(np.float32)
    phases[:, 20:40, 20:40] += 0.4
    shown = letterbox(phases, size=64, channels=3, phases=Phases.ENHANCEMENT)
    assert np.percentile(shown[0], 99) < 26  # a tenth of the range
