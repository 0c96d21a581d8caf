"""The declared steps in their order; masks and heatmaps go along."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from huizhen.core.study import ImageModality
from huizhen.core.study_image_steps import ImageStep
from huizhen.data.harmonise.chain import EVEN, harmonised_picture, picture_of
from huizhen.data.preprocess import Frame, Letterbox
from huizhen.errors import DataError


def image(height: int = 60, width: int = 80) -> np.ndarray:
    rng = np.random.default_rng(0)
    found = np.zeros((1, height, width), np.float32)
    found[:, 8:-4, 6:-10] = rng.uniform(0.2, 0.7, (1, height - 12, width - 16))
    return found


def modality(*steps: str, **more: object) -> ImageModality:
    return ImageModality.model_validate({"name": "US", "harmonise": steps, **more})


def test_without_steps_nothing_changes_and_nothing_is_signed() -> None:
    plain = ImageModality(name="US")
    assert not {"harmonise", "spacing_mm"} & set(plain.model_dump(mode="json"))
    assert (harmonised_picture(picture_of(image()), plain).pixels == image()).all()


def test_a_mask_is_cut_with_its_image() -> None:
    mask = np.zeros((60, 80), bool)
    mask[20:30, 30:40] = True
    shown = image()
    shown[0, mask] = 0.99
    found = harmonised_picture(picture_of(shown, mask), modality("inside-borders", "centre-square"))
    assert found.pixels.shape == (1, 48, 48)
    assert found.mask is not None
    assert (found.pixels[0][found.mask] == np.float32(0.99)).all()
    assert found.mask.sum() == mask.sum()


def test_heat_lies_where_the_lesion_is_in_the_image_as_read() -> None:
    found = harmonised_picture(picture_of(image()), modality("inside-borders", "centre-square"))
    box = Letterbox(height=48, width=48, size=32, frame=found.frame)
    heat = np.zeros((32, 32), np.float32)
    heat[16, 16] = 1
    over = box.to_native(heat)
    assert over.shape == (60, 80)
    y, x = np.unravel_index(over.argmax(), over.shape)
    assert abs(y - (8 + 24)) <= 2
    assert abs(x - (6 + 8 + 24)) <= 2
    assert (over[:8] == 0).all()


def test_every_step_gives_finite_pixels_in_range() -> None:
    for step in ImageStep:
        more = {"spacing_mm": 0.7} if step is ImageStep.SPACING else {}
        found = harmonised_picture(picture_of(image(), None, (0.5, 0.5)), modality(step.value, **more))
        assert np.isfinite(found.pixels).all(), step
        assert found.pixels.min() >= -1e-6, step
        assert found.pixels.max() <= 1 + 1e-6, step
        assert found.pixels.dtype == np.float32, step


def test_resampling_keeps_the_frame_so_that_heat_comes_back() -> None:
    found = harmonised_picture(picture_of(image(), None, (1.0, 0.5)), modality("spacing", spacing_mm=1.0))
    assert found.pixels.shape == (1, 60, 40)
    assert (found.frame.height, found.frame.width) == (60, 80)


def test_an_image_without_spacing_is_refused_where_one_is_needed() -> None:
    with pytest.raises(DataError, match="has no pixel spacing"):
        harmonised_picture(picture_of(image()), modality("spacing", spacing_mm=1.0))


def test_grey_levels_are_spread_evenly_whatever_the_gain() -> None:
    one, two = (EVEN.apply(gain * image()) for gain in (1.0, 0.6))
    assert np.abs(one - two).max() < 1e-3


@pytest.mark.parametrize(
    ("steps", "more", "why"),
    [
        (("flat-gain", "flat-gain"), {}, "twice"),
        (("spacing",), {}, "give both or none"),
        ((), {"spacing_mm": 1.0}, "give both or none"),
        (("spacing", "centre-square"), {"spacing_mm": 1.0}, "put spacing behind"),
        (("sharpen",), {}, "Input should be"),
    ],
    ids=["twice", "no-spacing", "no-step", "order", "unknown"],
)
def test_steps_that_do_not_go_together_are_refused(
    steps: tuple[str, ...], more: dict[str, object], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        modality(*steps, **more)


def test_a_frame_puts_a_map_over_the_whole() -> None:
    frame = Frame(top=2, left=3, height=2, width=2, whole_height=6, whole_width=7)
    over = frame.over(np.ones((2, 2), np.float32))
    assert over.sum() == 4
    assert over[2:4, 3:5].all()
