"""An image's numbers move as the image is changed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from huizhen.core.streams import stream
from huizhen.data.checks.image_statistics import MEASURES, ImageStatistics, image_statistics


def picture(seed: int = 1) -> np.ndarray:
    rough = gaussian_filter(stream(seed, "picture").random((96, 96)), 3)
    scaled = (rough - rough.min()) / np.ptp(rough)
    return (0.1 + 0.8 * scaled)[None].astype(np.float32)


def of(pixels: np.ndarray) -> ImageStatistics:
    return image_statistics(np.clip(pixels, 0, 1).astype(np.float32))


def test_blur_noise_and_saturation_are_told() -> None:
    plain = of(picture())
    blurred = of(gaussian_filter(picture(), (0, 2, 2)))
    noisy = of(picture() + stream(2, "noise").normal(0, 0.08, (1, 96, 96)))
    assert blurred.sharpness < plain.sharpness < noisy.sharpness
    assert noisy.noise > plain.noise + 1
    assert np.exp(noisy.noise) == pytest.approx(0.08, rel=0.25)
    bright = of(picture() * 2)
    assert bright.saturated > 0.2 > plain.saturated
    assert bright.mean > plain.mean


def test_a_letterbox_is_a_border() -> None:
    boxed = np.zeros((1, 96, 96), np.float32)
    boxed[:, 24:72] = picture()[:, 24:72]
    assert of(boxed).border == pytest.approx(0.5, abs=0.02)
    assert of(boxed).background >= 0.5
    assert of(picture()).border == 0
    assert of(np.full((1, 20, 20), 0.3)).border == 1


def test_brightness_leaves_the_coarse_picture() -> None:
    one, other = of(picture()), of(picture() * 0.5 + 0.2)
    assert np.dot(one.coarse, other.coarse) == pytest.approx(1, abs=0.01)
    assert np.dot(one.coarse, of(picture(9)).coarse) < 0.8
    assert len(one.row()) == len(MEASURES) == 10
