"""The finders of text: what each needs, what it returns of a picture; tiles, scales and frames of a clip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset

from huizhen.data.deidentify.frames import MOST_PIXELS, passes_of, pictures_of
from huizhen.data.deidentify.inspectors import inspector_of
from huizhen.data.deidentify.outcome import Refused
from huizhen.data.deidentify.policy import PixelPolicy
from huizhen.data.deidentify.regions import Region
from huizhen.data.deidentify.scales import FINEST, found_at_scales, tiles_of
from huizhen.data.deidentify.text_finders import Found, RapidFinder, TesseractFinder
from huizhen.errors import PolicyError

Make = Callable[..., Dataset]


def picture(text: str, size: int = 24) -> NDArray[np.uint8]:
    """Return a text, white on black."""
    drawn = Image.new("L", (420, 80), 0)
    ImageDraw.Draw(drawn).text((20, 25), text, fill=255, font=ImageFont.load_default(size))
    return np.asarray(drawn, dtype=np.uint8)


def test_rapid_reads_what_is_there() -> None:
    finder = RapidFinder()
    for shown in (picture("WEBER 4711"), np.repeat(picture("WEBER 4711")[:, :, None], 3, axis=2)):
        (found,) = finder.find(shown)
        assert "WEBER" in found.text
        assert found.score > 0.8
        assert found.region.holds(Region(top=32, bottom=44, left=24, right=120))
    assert finder.find(np.zeros((80, 200), dtype=np.uint8)) == []


def test_tesseract_reads_what_is_there() -> None:
    if shutil.which("tesseract") is None:
        assert not os.environ.get("HUIZHEN_REQUIRE_OPTIONAL"), "CI installs tesseract"
        pytest.skip("tesseract isn't installed")
    found = TesseractFinder().find(picture("WEBER 4711"))
    assert "WEBER" in " ".join(one.text for one in found)
    assert all(0 <= one.score <= 1 for one in found)


def test_without_tesseract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PolicyError, match="tesseract isn't installed"):
        TesseractFinder()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    assert inspector_of(PixelPolicy()) is None
    with pytest.raises(PolicyError, match="isn't installed") as refused:
        inspector_of(PixelPolicy(inspect="ocr"))
    assert refused.value.remedy == "pip install 'huizhen[deid]'"


def test_the_engine_is_loaded_on_demand_only() -> None:
    code = "import sys, huizhen.data.deidentify.inspectors, huizhen.data.deidentify.prepare;"
    code += "sys.exit('onnxruntime' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1200, 1200), (1201, 1200), (5000, 3000), (40, 9000)])
def test_tiles_cover_all_and_overlap(rows: int, columns: int) -> None:
    seen = np.zeros((rows, columns), dtype=np.uint8)
    tiles = tiles_of(rows, columns)
    for one in tiles:
        assert one.height <= 1200
        assert one.width <= 1200
        seen[one.top : one.bottom, one.left : one.right] += 1
    assert seen.min() >= 1
    for first in {one.top for one in tiles} - {0}:
        before = max(one.bottom for one in tiles if one.top < first)
        assert before - first >= 200


class Corner:
    """A finder that finds the lower right corner of whatever it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def find(self, picture: NDArray[np.uint8]) -> list[Found]:
        """Return the corner's ten pixels."""
        rows, columns = picture.shape[:2]
        self.shown.append(picture.shape)
        box = Region(top=rows - 10, bottom=rows, left=columns - 10, right=columns)
        return [Found(region=box, score=1.0, text="x")]


@pytest.mark.parametrize(("rows", "columns"), [(100, 150), (900, 1600), (3000, 5200), (300, 4000)])
def test_finds_lie_where_they_lie_in_the_picture(rows: int, columns: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (rows, columns)).astype(np.uint8)
    finder = Corner()
    found = list(found_at_scales(finder, noise))
    ends = [(one.region.bottom, one.region.right) for one in found]
    assert (rows, columns) in ends
    assert all(bottom <= rows and right <= columns for bottom, right in ends)
    assert all(max(shape) <= 1600 for shape in finder.shown)
    if columns > 1600:
        scale = min(1.0, FINEST / columns)
        assert len(finder.shown) == 1 + len(tiles_of(round(rows * scale), round(columns * scale)))
        assert len(list(found_at_scales(Corner(), noise, fine=False))) == 1


def test_plain_tiles_are_passed_over() -> None:
    page = np.zeros((2600, 2600), dtype=np.uint8)
    page[:200, :200] = np.random.default_rng(0).integers(0, 255, (200, 200))
    finder = Corner()
    list(found_at_scales(finder, page))
    assert len(finder.shown) == 2
    assert list(found_at_scales(Corner(), np.full((500, 500), 7, dtype=np.uint8))) == []


def clip(make: Make, frames: NDArray[np.uint8]) -> Dataset:
    """Return a dataset of frames."""
    data = make()
    data.NumberOfFrames, data.Rows, data.Columns = frames.shape
    data.PixelData = frames.tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return data


def test_a_clip_shows_text_of_any_frame(make: Make) -> None:
    frames = np.full((40, 20, 30), 100, dtype=np.uint8)
    frames += np.arange(40, dtype=np.uint8)[:, None, None]
    frames[13, 5, 5] = 255
    frames[17, 6, 6] = 0
    frames[:, 7, 7] = 7
    pictures = pictures_of(clip(make, frames))
    assert len(pictures) == 6
    assert any(one[5, 5] == 255 for one in pictures)
    assert any(one[6, 6] == 0 for one in pictures)
    assert all(one[7, 7] == 7 for one in pictures)


def test_a_still_clip_is_one_picture(make: Make) -> None:
    assert len(pictures_of(clip(make, np.full((9, 20, 30), 100, dtype=np.uint8)))) == 1


def test_what_is_too_large_to_unpack_waits(make: Make) -> None:
    data = clip(make, np.zeros((1, 20, 30), dtype=np.uint8))
    data.NumberOfFrames = MOST_PIXELS // 600 + 1
    with pytest.raises(Refused) as refused:
        pictures_of(data)
    assert refused.value.queued


def test_dim_text_beside_bright_tissue_is_shown_by_its_rank() -> None:
    image = np.zeros((100, 100), dtype=np.uint16)
    image[50:] = np.random.default_rng(0).integers(3000, 4000, (50, 100))
    image[10:20, 10:60] = 60
    first, ranks = passes_of(image)
    assert int(first[15, 15]) - int(first[40, 40]) < 6
    assert int(ranks[15, 15]) - int(ranks[40, 40]) > 40
    assert len(passes_of(image, second=False)) == 1
    assert len(passes_of(np.zeros((9, 9), dtype=np.uint8))) == 1
