"""Regions made black: every kind of pixels, every frame, and nothing beside the region."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from huizhen.data.deidentify.blackening import blacken
from huizhen.data.deidentify.frames import frames_of
from huizhen.data.deidentify.outcome import Refused
from huizhen.data.deidentify.regions import Region

Make = Callable[..., Dataset]
BOX = Region(top=2, bottom=5, left=3, right=9)
EXPLICIT = "1.2.840.10008.1.2.1"


def stored(make: Make, values: NDArray[np.generic], syntax: str = EXPLICIT, **more: object) -> Dataset:
    """Return a dataset whose pixels are these values, as they are stored."""
    data = make()
    data.Rows, data.Columns = 8, 12
    data.BitsAllocated = data.BitsStored = values.dtype.itemsize * 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    data.PixelData = values.tobytes()
    data["PixelData"].VR = "OW"
    for keyword, value in more.items():
        setattr(data, keyword, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    return data


def numbers(*shape: int, dtype: str = "u1", low: int = 20, high: int = 200) -> NDArray[np.generic]:
    """Return values between two bounds."""
    return np.random.default_rng(0).integers(low, high, shape).astype(dtype)


RGB = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
KINDS: dict[str, tuple[NDArray[np.generic], dict[str, object]]] = {
    "grey": (numbers(8, 12), {}),
    "inverse": (numbers(8, 12), {"PhotometricInterpretation": "MONOCHROME1"}),
    "twelve-bits": (numbers(8, 12, dtype="<u2", high=4000), {"BitsStored": 12, "HighBit": 11}),
    "signed": (numbers(8, 12, dtype="<i2", low=-1000, high=1000), {}),
    "thirty-two": (numbers(8, 12, dtype="<u4"), {}),
    "frames": (numbers(5, 8, 12), {"NumberOfFrames": 5}),
    "colour": (numbers(8, 12, 3), {**RGB, "PlanarConfiguration": 0}),
    "planes": (numbers(3, 8, 12), {**RGB, "PlanarConfiguration": 1}),
    "colour-frames": (numbers(4, 8, 12, 3), {**RGB, "PlanarConfiguration": 0, "NumberOfFrames": 4}),
    "plane-frames": (numbers(4, 3, 8, 12), {**RGB, "PlanarConfiguration": 1, "NumberOfFrames": 4}),
    "ybr": (
        numbers(8, 12, 3),
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL", "PlanarConfiguration": 0},
    ),
    "ybr-422": (
        numbers(8, 24),
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": 0},
    ),
}


def shown(data: Dataset) -> NDArray[np.float64]:
    """Return the brightness of every frame (frames, rows, columns), small values bright where they are so."""
    frames = np.stack([np.asarray(frame, dtype=np.float64) for frame in frames_of(data)])
    grey = frames.mean(axis=-1) if frames.ndim == 4 else frames
    return -grey if data.PhotometricInterpretation == "MONOCHROME1" else grey


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_is_black_within_and_the_same_without(make: Make, kind: str) -> None:
    values, more = KINDS[kind]
    data = stored(make, values, **more)
    before = shown(data)
    blacken(data, (BOX,))
    after = shown(data)
    inside = np.zeros((8, 12), dtype=bool)
    inside[BOX.top : BOX.bottom, BOX.left : BOX.right] = True
    assert np.ptp(after[:, inside]) == 0
    assert after[:, inside].max() <= before.min()
    assert np.array_equal(before[:, ~inside], after[:, ~inside])
    assert len(data.PixelData) % 2 == 0


def test_big_endian(make: Make) -> None:
    values = numbers(8, 12, dtype=">u2", low=256, high=9999)
    data = stored(make, values, "1.2.840.10008.1.2.2")
    blacken(data, (BOX,))
    left = np.frombuffer(data.PixelData, dtype=">u2").reshape(8, 12)
    assert (left[2:5, 3:9] == values.min()).all()
    assert left[0, 0] == values[0, 0]


@pytest.mark.parametrize(("inverse", "black"), [(False, 0), (True, 1)], ids=["plain", "inverse"])
def test_one_bit(make: Make, inverse: bool, black: int) -> None:
    bits = numbers(3, 8, 12, low=0, high=2)
    packed = np.packbits(bits.astype(np.uint8).ravel(), bitorder="little")
    kind = "MONOCHROME1" if inverse else "MONOCHROME2"
    more = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PhotometricInterpretation": kind}
    data = stored(make, packed, NumberOfFrames=3, **more)
    blacken(data, (BOX,))
    after = np.stack(list(frames_of(data)))
    assert (after[:, 2:5, 3:9] == black).all()
    assert np.array_equal(after[:, 5:], bits[:, 5:])


def test_a_palette_gets_its_darkest_colour(make: Make) -> None:
    data = stored(make, numbers(8, 12, low=0, high=4), PhotometricInterpretation="PALETTE COLOR")
    for i, colour in enumerate(("Red", "Green", "Blue")):
        table = np.array([200, 150, 10, 90], dtype="<u2") * 257 + i
        setattr(data, f"{colour}PaletteColorLookupTableDescriptor", [4, 0, 16])
        setattr(data, f"{colour}PaletteColorLookupTableData", table.tobytes())
    blacken(data, (BOX,))
    left = np.frombuffer(data.PixelData, dtype=np.uint8).reshape(8, 12)
    assert (left[2:5, 3:9] == 2).all()


def test_jpeg_in_colour_becomes_plain_and_black(make: Make) -> None:
    pixels = np.full((64, 80, 3), (90, 160, 40), dtype=np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95, subsampling=1)
    data = stored(make, numbers(1), "1.2.840.10008.1.2.4.50", SamplesPerPixel=3, PlanarConfiguration=0)
    data.Rows, data.Columns, data.PhotometricInterpretation = 64, 80, "YBR_FULL_422"
    data.PixelData = encapsulate([stream.getvalue()])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    blacken(data, (Region(top=0, bottom=20, left=0, right=80),))
    whole = BytesIO()
    pydicom.dcmwrite(whole, data, enforce_file_format=True)
    again = pydicom.dcmread(BytesIO(whole.getvalue()))
    (frame,) = frames_of(again)
    assert frame[:20].max() <= 1
    assert np.abs(frame[30:].astype(int) - pixels[30:]).max() <= 4
    assert again.file_meta.TransferSyntaxUID == EXPLICIT


@pytest.mark.parametrize(
    "more",
    [{"BitsAllocated": 12}, {"Rows": 30000, "Columns": 60000}, {"FloatPixelData": b"\0" * 384}],
    ids=["twelve-allocated", "too-large", "floats"],
)
def test_what_cannot_be_blackened_waits(make: Make, more: dict[str, object]) -> None:
    data = stored(make, numbers(8, 12))
    for keyword, value in more.items():
        setattr(data, keyword, value)
    with pytest.raises(Refused) as refused:
        blacken(data, (BOX,))
    assert refused.value.queued


def test_without_regions_nothing_is_unpacked(make: Make) -> None:
    data = stored(make, numbers(8, 12), "1.2.840.10008.1.2.4.50")
    before = data.PixelData
    blacken(data, ())
    assert data.PixelData is before
