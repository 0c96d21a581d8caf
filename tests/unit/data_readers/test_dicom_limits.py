"""Small files that announce, or unpack to, more than any file holds."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from huizhen.data.readers import dicom_headers, dicom_limits
from huizhen.data.readers.dicom_headers import read_dataset, read_header
from huizhen.errors import UnreadableFileError

DEFLATED = "1.2.840.10008.1.2.1.99"
MANY = 2**31 - 1


def refused(path):
    with pytest.raises(UnreadableFileError) as caught:
        read_header(path, path.name)
    return caught.value


@pytest.mark.parametrize(("frames", "items"), [(MANY, 1), (2, 1), (1, 0)])
def test_frames_without_items_of_their_own_are_never_gone_through(
    tmp_path, dicom, ramp16, monkeypatch, frames, items
):
    path = tmp_path / "a.dcm"
    groups = Sequence([Dataset() for _ in range(items)])
    dicom(path, ramp16, Modality="MR", NumberOfFrames=frames, PerFrameFunctionalGroupsSequence=groups)
    monkeypatch.setattr(dicom_headers, "planes_of", lambda _: pytest.fail("planes before the check"))
    assert refused(path).field == "NumberOfFrames"


def test_more_frames_or_bytes_than_any_object_has_are_refused(tmp_path, dicom, ramp16):
    dicom(tmp_path / "a.dcm", ramp16, Modality="US", NumberOfFrames=dicom_limits.MOST_FRAMES + 1)
    assert "more frames" in refused(tmp_path / "a.dcm").message
    dicom(tmp_path / "b.dcm", ramp16, Modality="US", NumberOfFrames=50_000, Rows=4096, Columns=4096)
    assert "32 GiB" in refused(tmp_path / "b.dcm").message


@pytest.mark.parametrize("frames", [1, 4])
def test_a_deflated_clip_needs_its_pixels(tmp_path, dicom, frames):
    data = dicom(tmp_path / "a.dcm", np.ones((3, 8, 8), np.uint8), Modality="US", NumberOfFrames=frames)
    data.file_meta.TransferSyntaxUID = DEFLATED
    data.save_as(tmp_path / "a.dcm")
    if frames == 1:
        assert read_header(tmp_path / "a.dcm", "a.dcm").frames == 1
        assert len(read_dataset(tmp_path / "a.dcm").PixelData) == 3 * 64
    else:
        refused(tmp_path / "a.dcm")


def test_a_deflated_file_is_unpacked_no_further_than_the_limit(tmp_path, dicom, ramp16, monkeypatch):
    path = tmp_path / "a.dcm"
    data = dicom(path, ramp16)
    data.file_meta.TransferSyntaxUID = DEFLATED
    data.save_as(path, enforce_file_format=True)
    raw = path.read_bytes()
    start = 144 + struct.unpack("<I", raw[140:144])[0]
    zeros = struct.pack("<HH2sHI", 0x7FE1, 0x10, b"OW", 0, 16 << 20) + bytes(16 << 20)
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = machine.compress(zlib.decompress(raw[start:], -15) + zeros) + machine.flush()
    path.write_bytes(raw[:start] + packed)
    assert read_header(path, "a.dcm").frames == 1
    monkeypatch.setattr(dicom_limits, "MOST_UNPACKED", 4 << 20)
    monkeypatch.setattr(dicom_headers.pydicom, "dcmread", lambda *_, **__: pytest.fail("read at all"))
    assert refused(path).field == "TransferSyntaxUID"
    path.write_bytes(raw[: start + 20])
    refused(path)


@pytest.mark.parametrize(
    ("frames", "table", "good"), [(2, True, True), (3, True, False), (2, False, True), (3, False, False)]
)
def test_compressed_frames_need_a_fragment_each(tmp_path, dicom, frames, table, good):
    path = tmp_path / "a.dcm"
    data = dicom(path, np.ones((2, 8, 8), np.uint8), Modality="US")
    data.compress("1.2.840.10008.1.2.5")
    if not table:
        data.PixelData = data.PixelData[:4] + bytes(4) + data.PixelData[16:]
    data.NumberOfFrames = frames
    data.save_as(path)
    if good:
        assert read_header(path, "a.dcm").frames == frames
    else:
        refused(path)
