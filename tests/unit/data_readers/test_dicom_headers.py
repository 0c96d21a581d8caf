"""What a DICOM header says, and which files are refused before anything is decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian, JPEGExtended12Bit

from huizhen.data.readers.dicom_headers import read_header
from huizhen.errors import UnreadableFileError


def test_header_says_who_and_what(tmp_path, dicom, ramp16):
    path = tmp_path / "a.dcm"
    dicom(path, ramp16, PatientID=" p7 ", Manufacturer="ACME  Inc.", ManufacturerModelName="M1 ")
    header = read_header(path, "a.dcm")
    assert (header.patient, header.scanner, header.frames) == ("p7", "ACME Inc. M1", 1)
    assert header.is_image
    assert not header.phantom
    assert not header.planes  # a mammogram is no slice


@pytest.mark.parametrize(
    ("attributes", "view"),
    [
        ({"ImageLaterality": "L", "ViewPosition": "CC"}, "L-CC"),
        ({"Laterality": "R", "ViewPosition": "MLO"}, "R-MLO"),
        ({"ImageLaterality": "R"}, "R"),
        ({"ViewPosition": "ML"}, "ML"),
        ({"ImageLaterality": "U"}, ""),
    ],
)
def test_view_from_plain_attributes(tmp_path, dicom, ramp16, attributes, view):
    dicom(tmp_path / "a.dcm", ramp16, **attributes)
    assert read_header(tmp_path / "a.dcm", "a.dcm").view == view


@pytest.mark.parametrize(("code", "view"), [("399162004", "L-CC"), ("R-10226", "L-MLO"), ("0", "L-XX")])
def test_view_code_goes_before_view_position(tmp_path, dicom, ramp16, code, view):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "view"
    dicom(
        tmp_path / "a.dcm", ramp16, ImageLaterality="L", ViewPosition="XX", ViewCodeSequence=Sequence([item])
    )
    assert read_header(tmp_path / "a.dcm", "a.dcm").view == view


def test_laterality_of_a_multi_frame_object(tmp_path, dicom):
    anatomy, groups = Dataset(), Dataset()
    anatomy.FrameLaterality = "R"
    groups.FrameAnatomySequence = Sequence([anatomy])
    dicom(
        tmp_path / "a.dcm", np.zeros((3, 4, 4), np.uint8), SharedFunctionalGroupsSequence=Sequence([groups])
    )
    assert read_header(tmp_path / "a.dcm", "a.dcm").view == "R"


@pytest.mark.parametrize(
    "attributes",
    [
        {"PatientID": "PHANTOM-0001"},
        {"ImageType": ["DERIVED", "PRIMARY", "PHANTOM"]},
        {"ImageComments": "PHANTOM, NOT A PATIENT"},
    ],
)
def test_each_mark_makes_a_phantom(tmp_path, dicom, ramp16, attributes):
    dicom(tmp_path / "a.dcm", ramp16, **attributes)
    assert read_header(tmp_path / "a.dcm", "a.dcm").phantom


def test_a_file_without_preamble_is_read(tmp_path, dicom, ramp16):
    dicom(tmp_path / "a.dcm", ramp16)
    bare = tmp_path / "b.dcm"
    bare.write_bytes((tmp_path / "a.dcm").read_bytes()[132:])
    assert read_header(bare, "b.dcm").patient == "p1"


def test_a_file_without_file_meta_is_read(tmp_path, dicom, ramp16):
    data = dicom(tmp_path / "a.dcm", ramp16)
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    bare = tmp_path / "b.dcm"
    data.save_as(bare, implicit_vr=True, little_endian=True, enforce_file_format=True)
    whole = bare.read_bytes()
    bare.write_bytes(whole[whole.index(b"\x08\x00\x16\x00") :])  # from SOP Class UID on
    assert read_header(bare, "b.dcm").rows == 8


def _cut(path: Path, by: int) -> None:
    path.write_bytes(path.read_bytes()[:-by])


def test_cut_off_pixels_are_refused(tmp_path, dicom, ramp16):
    dicom(tmp_path / "a.dcm", ramp16)
    _cut(tmp_path / "a.dcm", 2)
    with pytest.raises(UnreadableFileError) as caught:
        read_header(tmp_path / "a.dcm", "a.dcm")
    assert "p1" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_file_cut_off_before_its_pixels_is_refused(tmp_path, dicom, ramp16, share):
    """Cut within the header it still parses, and would pass for an object that is no image."""
    dicom(tmp_path / "a.dcm", ramp16)
    whole = (tmp_path / "a.dcm").read_bytes()
    header = whole.rindex(b"\xe0\x7f\x10\x00")
    (tmp_path / "a.dcm").write_bytes(whole[: int(header * share)])
    with pytest.raises(UnreadableFileError):
        read_header(tmp_path / "a.dcm", "a.dcm")


def test_cut_off_fragments_are_refused(tmp_path, dicom, ramp16):
    data = dicom(tmp_path / "a.dcm", ramp16)
    data.compress("1.2.840.10008.1.2.5")
    data.save_as(tmp_path / "a.dcm")
    assert read_header(tmp_path / "a.dcm", "a.dcm").rows == 8
    _cut(tmp_path / "a.dcm", 12)
    with pytest.raises(UnreadableFileError):
        read_header(tmp_path / "a.dcm", "a.dcm")


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 9},  # more than the pixels that are there
        {"NumberOfFrames": 2},
        {"Rows": 0},
        {"Rows": 40000, "Columns": 40000},
    ],
)
def test_sizes_that_do_not_fit_are_refused(tmp_path, dicom, ramp16, attributes):
    dicom(tmp_path / "a.dcm", ramp16, **attributes)
    with pytest.raises(UnreadableFileError):
        read_header(tmp_path / "a.dcm", "a.dcm")


def test_an_image_without_pixels_is_refused(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", Rows=8, Columns=8)
    with pytest.raises(UnreadableFileError):
        read_header(tmp_path / "a.dcm", "a.dcm")


def test_twelve_bit_jpeg_that_nothing_decodes_is_refused(tmp_path, dicom, ramp16):
    data = dicom(tmp_path / "a.dcm", ramp16, BitsStored=12)
    data.compress("1.2.840.10008.1.2.5")
    data.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(UnreadableFileError):
        read_header(tmp_path / "a.dcm", "a.dcm")


@pytest.mark.parametrize(
    "content", [b"", b"DICM", b"not dicom at all" * 20, bytes(128) + b"DICM", b"\x08\x00" * 99]
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(UnreadableFileError):
        read_header(tmp_path / "a.dcm", "a.dcm")


def test_a_report_is_no_image(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", Modality="SR")
    assert not read_header(tmp_path / "a.dcm", "a.dcm").is_image


@pytest.mark.parametrize(
    ("keyword", "value"), [("SeriesNumber", "17"), ("InstanceNumber", "12"), ("SliceLocation", "31")]
)
def test_a_number_that_is_none_does_not_cost_the_file(tmp_path, dicom, ramp16, keyword, value):
    data = dicom(tmp_path / "a.dcm", ramp16, Modality="MR", **{keyword: value})
    whole = (tmp_path / "a.dcm").read_bytes()
    tag = data[keyword].tag
    start = whole.index(bytes([tag.group & 255, tag.group >> 8, tag.element & 255, tag.element >> 8]))
    (tmp_path / "a.dcm").write_bytes(whole[: start + 8] + b"x?" + whole[start + 10 :])
    header = read_header(tmp_path / "a.dcm", "a.dcm")
    assert header.series_number == 0
    assert header.planes[0].instance == 0
    assert header.planes[0].position_mm is None


def test_odd_values_reach_no_log(tmp_path, dicom, ramp16, caplog):
    dicom(tmp_path / "a.dcm", ramp16, StudyInstanceUID="1.2.3.4.5")
    whole = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(whole.replace(b"1.2.3.4.5", b"ZHANG^WEI"))
    with caplog.at_level("DEBUG"):
        assert read_header(tmp_path / "a.dcm", "a.dcm").study == "ZHANG^WEI"
    assert "ZHANG^WEI" not in caplog.text
