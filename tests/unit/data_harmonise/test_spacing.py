"""Resampling to a common spacing."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.data.harmonise.spacing import resampled, resampled_mask
from huizhen.errors import DataError


def bar() -> np.ndarray:
    image = np.zeros((1, 40, 60), np.float32)
    image[:, 10:20, 20:40] = 1
    return image


@pytest.mark.parametrize(
    ("spacing", "to_mm", "shape"),
    [((1.0, 2.0), 1.0, (40, 120)), ((1.0, 1.0), 2.0, (20, 30)), ((0.5, 0.5), 0.5, (40, 60))],
)
def test_extent_and_area_stay(spacing: tuple[float, float], to_mm: float, shape: tuple[int, int]) -> None:
    found = resampled(bar(), spacing, to_mm=to_mm)
    assert found.shape == (1, *shape)
    area = bar().sum() * spacing[0] * spacing[1]
    assert abs(found.sum() * to_mm**2 / area - 1) < 0.02


def test_no_shift_of_half_a_pixel() -> None:
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32) / 32, (1, 32, 32)).copy()
    finer = resampled(ramp, (1.0, 1.0), to_mm=0.5)[0]
    assert np.allclose(finer[:, 2:-2].reshape(64, 30, 2).mean(2)[::2], ramp[0, :, 1:-1], atol=1e-5)


def test_a_mask_keeps_its_area() -> None:
    mask = bar()[0] > 0
    assert resampled_mask(mask, (1.0, 2.0), to_mm=1.0).sum() == 2 * mask.sum()
    assert resampled_mask(mask, (1.0, 1.0), to_mm=1.0) is mask


def test_fine_texture_does_not_fold_back() -> None:
    stripes = np.broadcast_to((np.arange(64) % 2).astype(np.float32), (1, 64, 64)).copy()
    assert resampled(stripes, (1.0, 1.0), to_mm=3.0)[0, 4:-4, 4:-4].std() < 0.02


@pytest.mark.parametrize(
    ("spacing", "why"),
    [
        (None, "no pixel spacing"),
        ((0.0, 1.0), "isn't positive"),
        ((np.nan, 1.0), "isn't positive"),
        ((1e6, 1e6), "would have"),
        ((1e-6, 1e-6), "would have 0 x 0"),
    ],
)
def test_a_spacing_that_cannot_be_used_is_refused(spacing: tuple[float, float] | None, why: str) -> None:
    with pytest.raises(DataError, match=why) as caught:
        resampled(bar(), spacing, to_mm=1.0)
    assert caught.value.field == "spacing"
