"""Mammograms: breast found, letters gone, the right way round."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.data.harmonise.mammogram import breast_mask, inverted, normalised_mammogram, otsu
from huizhen.errors import InvalidInputError


def mammogram() -> tuple[np.ndarray, np.ndarray]:
    """Return an image with a breast at the left and a letter at the right, and where the breast is."""
    y, x = np.mgrid[:128, :96]
    breast = (x / 60) ** 2 + ((y - 64) / 50) ** 2 < 1
    tissue = 0.35 + 0.3 * np.exp(-(((x - 20) / 15) ** 2) - ((y - 60) / 20) ** 2)
    image = np.where(breast, tissue, 0.01) + np.random.default_rng(0).normal(0, 0.005, (128, 96))
    image[8:14, 80:92] = 0.95
    return image.clip(0, 1).astype(np.float32)[None], breast


def test_the_breast_is_found_without_the_letter() -> None:
    image, breast = mammogram()
    found = breast_mask(image[0])
    assert (found & breast).sum() / (found | breast).sum() > 0.95
    assert not found[8:14, 80:92].any()


def test_air_is_zero_and_the_breast_uses_the_range() -> None:
    image, breast = mammogram()
    shown = normalised_mammogram(image)
    assert (shown[0][~breast] == 0).mean() > 0.98
    assert np.percentile(shown[0][breast], 99) > 0.9
    assert np.percentile(shown[0][breast], 10) < 0.2


def test_an_inverted_image_gives_the_same() -> None:
    image, _ = mammogram()
    assert not inverted(image[0])
    assert inverted(1 - image[0])
    assert np.allclose(normalised_mammogram(1 - image), normalised_mammogram(image), atol=1e-5)


def test_exposure_falls_out() -> None:
    image, breast = mammogram()
    dim = normalised_mammogram((0.6 * image).astype(np.float32))
    assert np.abs(dim - normalised_mammogram(image))[0][breast].mean() < 0.02


def test_an_empty_image_stays() -> None:
    empty = np.full((1, 16, 16), 0.2, np.float32)
    assert (normalised_mammogram(empty) == empty).all()
    assert breast_mask(np.zeros((16, 16))).all()


@pytest.mark.parametrize("values", [np.zeros(0), np.array([0.1, np.nan])])
def test_otsu_refuses_what_has_no_threshold(values: np.ndarray) -> None:
    with pytest.raises(InvalidInputError):
        otsu(values)
