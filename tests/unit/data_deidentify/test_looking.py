"""The inspector that looks: what a box is judged to be, and what is asked for an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset

from huizhen.data.deidentify.looking import Judgement, TextInspector, judged
from huizhen.data.deidentify.policy import PixelPolicy
from huizhen.data.deidentify.regions import Region
from huizhen.data.deidentify.text_finders import Found, RapidFinder

Make = Callable[..., Dataset]


@dataclass
class Says:
    """A finder that finds the same in every picture, and keeps what it was shown."""

    found: list[Found]
    shown: list[tuple[int, ...]] = field(default_factory=list)

    def find(self, picture: NDArray[np.uint8]) -> list[Found]:
        """Return what it was made with, scaled as the picture is."""
        self.shown.append(picture.shape)
        return self.found


@pytest.fixture(scope="session")
def rapid() -> RapidFinder:
    """The real finder, loaded once."""
    return RapidFinder()


def image(make: Make, pixels: NDArray[np.generic], **more: object) -> Dataset:
    """Return a dataset with these pixels: (rows, columns), (frames, rows, columns) or one with 3 colours."""
    data = make()
    samples = 3 if pixels.ndim > 2 and pixels.shape[-1] == 3 else 1
    shape = pixels.shape[:-1] if samples == 3 else pixels.shape
    data.Rows, data.Columns = shape[-2:]
    if len(shape) == 3:
        data.NumberOfFrames = shape[0]
    data.SamplesPerPixel = samples
    data.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        data.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    data["PixelData"].VR = "OW" if bits > 8 else "OB"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    for keyword, value in more.items():
        setattr(data, keyword, value)
    return data


def written(
    text: str, *, size: int = 18, shape: tuple[int, int] = (200, 260), at: tuple[int, int] = (20, 30)
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return a noisy ground with a text on it, and where the text's ink is."""
    rng = np.random.default_rng(0)
    ground = 40 + 10 * rng.standard_normal(shape)
    drawn = Image.new("L", shape[::-1], 0)
    ImageDraw.Draw(drawn).text(at, text, fill=255, font=ImageFont.load_default(size))
    ink = np.asarray(drawn) > 100
    ground[ink] = 220
    return ground, ink


def covered(regions: tuple[Region, ...], ink: NDArray[np.bool_]) -> float:
    """Return the share of a text's ink that regions cover."""
    mask = np.zeros(ink.shape, dtype=bool)
    for one in regions:
        mask[one.top : one.bottom, one.left : one.right] = True
    return float(mask[ink].mean())


LINE = Region(top=10, bottom=25, left=10, right=200)
SIGN = Region(top=10, bottom=25, left=10, right=25)
TALL = Region(top=100, bottom=200, left=100, right=400)


@pytest.mark.parametrize(
    ("box", "score", "text", "policy", "expected"),
    [
        (LINE, 0.9, "Weber 4711", {}, Judgement.TEXT),
        (LINE, 0.3, "W?b?r", {}, Judgement.DOUBT),
        (LINE, 0.0, "", {}, Judgement.DOUBT),
        (LINE, 0.3, "W?b?r", {"text_score": 0.2}, Judgement.TEXT),
        (SIGN, 0.2, "x", {}, Judgement.SHAPE),
        (SIGN, 0.95, "R", {}, Judgement.TEXT),
        (SIGN, 0.95, "R", {"leave_marks": True}, Judgement.MARK),
        (SIGN, 0.8, "R", {"leave_marks": True}, Judgement.SHAPE),
        (LINE, 0.99, "L-MLO", {"leave_marks": True}, Judgement.MARK),
        (LINE, 0.99, "4.0 cm", {"leave_marks": True}, Judgement.MARK),
        (LINE, 0.99, "左", {"leave_marks": True}, Judgement.MARK),
        (LINE, 0.99, "R Weber", {"leave_marks": True}, Judgement.TEXT),
        (LINE, 0.99, "4711", {"leave_marks": True}, Judgement.TEXT),
        (TALL, 0.4, "139", {}, Judgement.SHAPE),
        (TALL, 0.9, "WEBER", {}, Judgement.TEXT),
    ],
)
def test_what_a_box_is(
    box: Region, score: float, text: str, policy: dict[str, object], expected: Judgement
) -> None:
    by = PixelPolicy.model_validate(policy)
    assert judged(Found(region=box, score=score, text=text), rows=512, columns=512, policy=by) is expected


def inspected(dataset: Dataset, *found: Found, **policy: object) -> tuple[bool, tuple[Region, ...]]:
    """Return what the inspector says where the finder finds these boxes."""
    by = PixelPolicy.model_validate({"inspect": "ocr", **policy})
    seen = TextInspector(finder=Says(list(found)), policy=by).inspect(dataset)
    return seen.sure, seen.regions


def test_small_doubts_are_blackened_and_large_ones_wait(make: Make) -> None:
    data = image(make, written("x", shape=(1000, 1000))[0].astype(np.uint8))
    small = Found(region=Region(top=10, bottom=20, left=10, right=100), score=0.1, text="?a")
    large = Found(region=Region(top=10, bottom=60, left=10, right=900), score=0.1, text="?a")
    text = Found(region=Region(top=5, bottom=70, left=5, right=950), score=0.9, text="a name")
    sure, regions = inspected(data, small)
    assert sure
    assert len(regions) == 1
    assert regions[0].holds(small.region)
    assert not inspected(data, large)[0]
    assert inspected(data, large, text)[0], "a doubt within what is blackened anyway is none"


def test_a_page_of_text_waits_with_a_proposal(make: Make) -> None:
    data = image(make, written("x", shape=(1000, 1000))[0].astype(np.uint8))
    lines = [
        Found(region=Region(top=30 * i, bottom=30 * i + 20, left=0, right=900), score=0.95, text="a line")
        for i in range(30)
    ]
    sure, regions = inspected(data, *lines)
    assert not sure
    assert len(regions) == 30
    assert inspected(data, *lines, most_masked_percent=90)[0]


def test_a_file_that_says_text_is_burned_in_and_shows_none_waits(make: Make) -> None:
    data = image(make, written("x")[0].astype(np.uint8), BurnedInAnnotation="YES")
    assert not inspected(data)[0]
    assert inspected(data, Found(region=LINE, score=0.9, text="Weber"))[0]


def test_nothing_read_is_shown_or_kept(make: Make) -> None:
    found = Found(region=LINE, score=0.9, text="Weber 4711")
    assert "Weber" not in repr(found)
    data = image(make, written("x")[0].astype(np.uint8))
    seen = TextInspector(finder=Says([found]), policy=PixelPolicy()).inspect(data)
    assert "Weber" not in repr(seen)


def kinds(text: str) -> Iterator[tuple[str, NDArray[np.generic], NDArray[np.bool_], dict[str, object]]]:
    """Yield images of every kind with one text on each, and its ink."""
    ground, ink = written(text)
    yield (
        "inverse",
        (255 - ground).clip(0, 255).astype(np.uint8),
        ink,
        {"PhotometricInterpretation": "MONOCHROME1"},
    )
    yield "signed", (ground * 8 - 1024).astype(np.int16), ink, {}
    yield "blue", np.stack([0 * ground, 0 * ground, ground], -1).clip(0, 255).astype(np.uint8), ink, {}
    clip = np.repeat(np.clip(40 + 0 * ground, 0, 255)[None], 6, axis=0).astype(np.uint8)
    clip += np.arange(6, dtype=np.uint8)[:, None, None]
    clip[4][ink] = 230
    yield "one-frame-of-six", clip, ink, {}
    dim = np.where(ink, 120, 0).astype(np.uint16)
    dim[150:, :] = np.random.default_rng(2).integers(3000, 4000, dim[150:, :].shape)
    yield "dim-beside-bright", dim, ink, {"BitsStored": 12, "HighBit": 11}


@pytest.mark.parametrize("kind", [kind for kind, *_ in kinds("x")])
def test_a_name_is_found_in_every_kind_of_image(make: Make, rapid: RapidFinder, kind: str) -> None:
    (found,) = [(pixels, ink, more) for name, pixels, ink, more in kinds("WEBER ANNE") if name == kind]
    pixels, ink, more = found
    seen = TextInspector(finder=rapid, policy=PixelPolicy()).inspect(image(make, pixels, **more))
    assert seen.sure
    assert covered(seen.regions, ink) > 0.95
    assert covered(seen.regions, np.ones_like(ink)) < 0.2


def test_a_plain_image_has_no_text(make: Make, rapid: RapidFinder) -> None:
    ground = np.random.default_rng(0).normal(100, 20, (300, 300)).clip(0, 255).astype(np.uint8)
    seen = TextInspector(finder=rapid, policy=PixelPolicy()).inspect(image(make, ground))
    assert seen.sure
    assert seen.regions == ()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 400), (40, 60)])
def test_tiny_images(make: Make, rapid: RapidFinder, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    assert TextInspector(finder=rapid, policy=PixelPolicy()).inspect(image(make, pixels)).sure


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "boxes"),
    [
        ("GREYSCALE_IMAGE", [(3, 24, 5, 285), (3, 24, 388, 690), (3, 24, 820, 1015)]),
        ("2_ORIGINAL.dcm", [(1, 17, 1, 234), (15, 28, 4, 115)]),
    ],
)
def test_the_identifiers_of_a_sample_file_are_found_by_ocr_alone(
    samples: list[Path], rapid: RapidFinder, name: str, boxes: list[tuple[int, int, int, int]]
) -> None:
    (path,) = [one for one in samples if name in one.name]
    data = pydicom.dcmread(path)
    seen = TextInspector(finder=rapid, policy=PixelPolicy(layouts=False)).inspect(data)
    for top, bottom, left, right in boxes:
        ink = np.zeros((int(data.Rows), int(data.Columns)), dtype=bool)
        ink[top:bottom, left:right] = True
        assert covered(seen.regions, ink) > 0.95
