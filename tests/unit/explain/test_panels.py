"""Pictures for people: image and overlay apart, the lesion's outline, a scale, and marks in the pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from huizhen.errors import InvalidInputError
from huizhen.explain.overlay import PHANTOM_MARK, overlay_rgb
from huizhen.explain.panels import (
    LINE,
    LONGEST,
    NARROWEST,
    PHANTOM_INK,
    marked_overlay,
    outlined,
    panel_png,
    resized,
    strip,
)

HEIGHT, WIDTH = 300, 400


def scene(
    height: int = HEIGHT, width: int = WIDTH
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    image = np.linspace(0, 0.7, height * width).reshape(height, width)
    heat, mask = np.zeros((height, width)), np.zeros((height, width), np.bool_)
    heat[height // 4 : height // 2, width // 4 : width // 2] = 1
    mask[height // 3 : height // 2, width // 3 : width // 2] = True
    return image, heat, mask


def picture(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def count(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((np.abs(pixels.astype(int) - colour).max(axis=2) <= 12).sum())


def test_an_overlay_keeps_every_pixel_in_its_place_and_marks_stand_below() -> None:
    image, heat, _ = scene()
    drawn = marked_overlay(image, heat)
    assert drawn.shape[1] == WIDTH
    assert np.array_equal(drawn[:HEIGHT], overlay_rgb(image, heat))
    below = strip(WIDTH, outline=False, dark=False, phantom=False)
    assert np.array_equal(drawn[HEIGHT:], below)
    assert below.max() > 200


@pytest.mark.parametrize("width", [30, 320, 900])
def test_every_mark_fits_below_images_of_any_width(width: int) -> None:
    wanted = [(phantom, dark, outline) for phantom in (0, 1) for dark in (0, 1) for outline in (0, 1)]
    drawn = {
        case: strip(width, phantom=bool(case[0]), dark=bool(case[1]), outline=bool(case[2]))
        for case in wanted
    }
    assert {pixels.shape[1] for pixels in drawn.values()} == {max(width, NARROWEST)}
    for (phantom, _, outline), pixels in drawn.items():
        assert (count(pixels, PHANTOM_INK) > 5) == bool(phantom)
        assert (count(pixels, LINE) > 5) == bool(outline)
    assert len({pixels.tobytes() for pixels in drawn.values()}) == len(wanted)


def test_letters_grow_with_the_image() -> None:
    small, large = (strip(width, outline=False, dark=False, phantom=True) for width in (900, 3600))
    assert len(large) == pytest.approx(4 * len(small), rel=0.05)


def test_the_outline_runs_just_outside_of_the_lesion() -> None:
    image, heat, mask = scene()
    pixels = overlay_rgb(image, heat)
    drawn = outlined(pixels, mask)
    changed = (drawn != pixels).any(axis=2)
    assert not (changed & mask).any()
    assert changed.sum() == 2 * (mask.any(axis=0).sum() + mask.any(axis=1).sum())
    assert set(map(tuple, drawn[changed].tolist())) == {LINE}


def test_the_bare_image_has_no_outline_and_stands_apart_from_the_overlay() -> None:
    image, heat, mask = scene()
    drawn = picture(panel_png(image, heat, mask=mask))
    title = 18
    bare, over = (
        drawn[title : title + HEIGHT, :WIDTH],
        drawn[title : title + HEIGHT, WIDTH + 6 : 2 * WIDTH + 6],
    )
    assert np.array_equal(bare, overlay_rgb(image, np.zeros_like(heat)))
    assert np.array_equal(over, outlined(overlay_rgb(image, heat), mask))
    seam = drawn[title : title + HEIGHT, WIDTH : WIDTH + 6]
    assert len(np.unique(seam.reshape(-1, 3), axis=0)) == 1


def test_a_dark_map_says_so() -> None:
    image, heat, _ = scene()
    dark, low = (panel_png(image, heat * peak) for peak in (0.04, 0.06))
    assert len(picture(dark)) >= len(picture(low))
    below = picture(dark)[-18 * 2 :], picture(low)[-18 * 2 :]
    assert count(below[0], (235, 235, 235)) > 1.3 * count(below[1], (235, 235, 235))


@pytest.mark.parametrize(
    ("size", "expected"), [((100, 50), (300, 150)), ((256, 10), (256, 10)), ((4096, 2048), (LONGEST, 512))]
)
def test_pictures_are_neither_too_small_nor_too_large(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resized(np.zeros((*size, 3), np.uint8), order=2).shape == (*expected, 3)


def test_an_empty_mask_has_no_outline() -> None:
    image, heat, mask = scene()
    assert panel_png(image, heat, mask=mask & False) == panel_png(image, heat)


@pytest.mark.parametrize("phantom", [True, False])
def test_a_phantom_says_so_in_its_pixels_and_its_file(phantom: bool) -> None:
    image, heat, _ = scene()
    made = panel_png(image, heat, phantom=phantom)
    assert (count(picture(made), PHANTOM_INK) > 50) == phantom
    with Image.open(io.BytesIO(made)) as opened:
        assert opened.info.get("Comment") == (PHANTOM_MARK if phantom else None)


def test_the_same_input_gives_the_same_bytes() -> None:
    image, heat, mask = scene(90, 70)
    first, again = (panel_png(image.astype(np.float32), heat, mask=mask, phantom=True) for _ in range(2))
    assert first == again != panel_png(image.astype(np.float32), heat[::-1], mask=mask, phantom=True)


def test_a_mask_of_another_size_is_refused() -> None:
    image, heat, mask = scene()
    for draw in (panel_png, marked_overlay):
        with pytest.raises(InvalidInputError) as caught:
            draw(image, heat, mask=mask[1:])
        assert caught.value.field == "mask"
