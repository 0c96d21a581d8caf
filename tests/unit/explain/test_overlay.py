"""Overlays: where heat is low the image stays, where it is high the colours stand, and bytes repeat."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from huizhen.errors import InvalidInputError
from huizhen.explain.overlay import colours, grey_or_colour, overlay_rgb, png_bytes


def picture(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def ramp(height: int = 5, width: int = 7) -> NDArray[np.float64]:
    return np.linspace(0, 1, height * width).reshape(height, width)


def test_no_heat_leaves_the_image_as_it_is() -> None:
    grey = np.rint(ramp() * 255).astype(np.uint8)
    bare = np.stack([grey] * 3, axis=2)
    assert np.array_equal(overlay_rgb(grey / 255, np.zeros((5, 7))), bare)
    assert np.array_equal(grey_or_colour(grey / 255), bare)


def test_full_heat_at_full_opacity_is_the_last_colour() -> None:
    pixels = overlay_rgb(ramp(), np.ones((5, 7)), alpha=1.0)
    assert np.array_equal(pixels, np.broadcast_to(np.rint(colours()[255] * 255), (5, 7, 3)))


def test_the_mixture_is_what_the_docstring_says() -> None:
    image, heat = np.full((1, 1), 0.5), np.full((1, 1), 0.8)
    expected = np.rint(255 * ((1 - 0.4) * 0.5 + 0.4 * colours()[204]))
    assert np.array_equal(overlay_rgb(image, heat, alpha=0.5)[0, 0], expected)


def test_colours_rise_in_lightness() -> None:
    linear = np.where(colours() <= 0.04045, colours() / 12.92, ((colours() + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    assert colours().shape == (256, 3)
    assert luminance[0] < 0.001
    assert luminance[-1] > 0.9
    assert np.all(np.diff(luminance) > 0)


def test_colour_images_keep_their_colours() -> None:
    image = np.zeros((4, 4, 3))
    image[..., 0] = 1.0
    assert np.array_equal(overlay_rgb(image, np.zeros((4, 4)))[0, 0], [255, 0, 0])


def test_a_png_holds_the_pixels_and_its_bytes_repeat() -> None:
    pixels = overlay_rgb(ramp(), ramp())
    assert np.array_equal(picture(png_bytes(pixels)), pixels)
    assert png_bytes(pixels) == png_bytes(pixels.copy()) != png_bytes(pixels[::-1])


@pytest.mark.parametrize(
    ("image", "heat", "alpha", "field"),
    [
        (ramp(), ramp() * 1.01, 0.5, "heat"),
        (ramp(), ramp() - 0.01, 0.5, "heat"),
        (ramp(), np.full((5, 7), np.nan), 0.5, "heat"),
        (ramp() * 2, ramp(), 0.5, "image"),
        (ramp(), ramp(7, 5), 0.5, "heat"),
        (ramp(), np.zeros((5, 7), dtype=np.uint8), 0.5, "heat"),
        (np.zeros((5, 7, 4)), ramp(), 0.5, "image"),
        (np.zeros((0, 7)), np.zeros((0, 7)), 0.5, "heat"),
        (ramp(), ramp(), 0.0, "alpha"),
        (ramp(), ramp(), float("nan"), "alpha"),
    ],
)
def test_wrong_input_is_refused(
    image: NDArray[np.float64], heat: NDArray[np.float64], alpha: float, field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        overlay_rgb(image, heat, alpha=alpha)
    assert caught.value.field == field
