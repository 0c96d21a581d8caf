"""Where slices lie in space and time, and which acquisition of a study is taken."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from huizhen.data.readers.dicom_headers import read_header
from huizhen.data.readers.dicom_planes import seconds_of
from huizhen.data.readers.dicom_stacks import best_stack

PIXELS = np.arange(16, dtype=np.uint16).reshape(4, 4)
AXIAL = [1, 0, 0, 0, 1, 0]
SAGITTAL = [0, 1, 0, 0, 0, -1]


@pytest.fixture
def headers(tmp_path, dicom):
    """Write MR files given as attribute dicts and return their headers in that order."""

    def write(*files):
        found = []
        for number, attributes in enumerate(files):
            name = f"{number}.dcm"
            given = {"Modality": "MR", "ImageOrientationPatient": AXIAL, "PixelSpacing": [1, 1], **attributes}
            dicom(tmp_path / name, PIXELS, **given)
            found.append(read_header(tmp_path / name, name))
        return found

    return write


def files_of(stack):
    return [[slot.header.file for slot in phases] for phases in stack.slices]


def at(z, **more):
    return {"ImagePositionPatient": [0, 0, z], **more}


def test_temporal_positions_in_one_series_go_by_identifier(headers):
    found = headers(
        at(0, TemporalPositionIdentifier=2), at(5, TemporalPositionIdentifier=2),
        at(5, TemporalPositionIdentifier=1), at(0, TemporalPositionIdentifier=1),
    )  # fmt: skip
    stack, unused = best_stack(found)
    assert files_of(stack) == [["3.dcm", "0.dcm"], ["2.dcm", "1.dcm"]]
    assert unused == ()


@pytest.mark.parametrize("keyword", ["AcquisitionTime", "ContentTime"])
def test_separate_series_go_by_time_not_by_number(headers, keyword):
    found = headers(
        at(0, **{keyword: "101500", "SeriesInstanceUID": "1.2.1", "SeriesNumber": 1}),
        at(0, **{keyword: "100000", "SeriesInstanceUID": "1.2.2", "SeriesNumber": 2}),
    )
    assert files_of(best_stack(found)[0]) == [["1.dcm", "0.dcm"]]


@pytest.mark.parametrize("keyword", ["TriggerTime", "AcquisitionNumber", "InstanceNumber"])
def test_without_times_the_other_counters_decide(headers, keyword):
    found = headers(at(0, **{keyword: 9}), at(0, **{keyword: 4}))
    assert files_of(best_stack(found)[0]) == [["1.dcm", "0.dcm"]]


def test_midnight_between_two_series(headers):
    found = headers(
        at(0, AcquisitionDate="20240102", AcquisitionTime="000100", SeriesInstanceUID="1.2.1"),
        at(0, AcquisitionDate="20240101", AcquisitionTime="235900", SeriesInstanceUID="1.2.2"),
    )
    assert files_of(best_stack(found)[0]) == [["1.dcm", "0.dcm"]]


def test_slices_are_ordered_along_the_normal(headers):
    found = headers(
        *(
            {"ImageOrientationPatient": SAGITTAL, "ImagePositionPatient": [x, 7, 7], "InstanceNumber": n}
            for n, x in enumerate((3, -9, 20))
        )
    )
    order = files_of(best_stack(found)[0])
    assert order in ([["1.dcm"], ["0.dcm"], ["2.dcm"]], [["2.dcm"], ["0.dcm"], ["1.dcm"]])


def test_slice_location_and_then_instance_number_stand_in(headers):
    found = headers({"SliceLocation": 8}, {"SliceLocation": 2})
    assert files_of(best_stack(found)[0]) == [["1.dcm"], ["0.dcm"]]
    found = headers({"InstanceNumber": 8}, {"InstanceNumber": 2})
    assert files_of(best_stack(found)[0]) == [["1.dcm"], ["0.dcm"]]


def test_instance_numbers_that_run_on_over_the_phases(headers):
    found = headers(*({"InstanceNumber": n, "TemporalPositionIdentifier": 1 + n // 2} for n in range(4)))
    assert files_of(best_stack(found)[0]) == [["0.dcm", "2.dcm"], ["1.dcm", "3.dcm"]]


@pytest.mark.parametrize(
    "other",
    [
        {"EchoTime": 90},
        {"FlipAngle": 150},
        {"PixelSpacing": [2, 2]},
        {"ImageType": ["DERIVED", "PRIMARY", "SUB"]},
    ],
)
def test_another_sequence_is_no_phase(headers, other):
    dynamic = {"EchoTime": 1.4, "FlipAngle": 12, "ImageType": ["ORIGINAL", "PRIMARY", "M"]}
    found = headers(
        at(0, **dynamic, AcquisitionTime="100000", SeriesInstanceUID="1.2.1"),
        at(0, **dynamic, AcquisitionTime="100500", SeriesInstanceUID="1.2.2"),
        at(0, **{**dynamic, **other}, AcquisitionTime="101000", SeriesInstanceUID="1.2.3"),
        at(5, **{**dynamic, **other}, AcquisitionTime="101000", SeriesInstanceUID="1.2.3"),
    )
    stack, unused = best_stack(found)
    assert files_of(stack) == [["0.dcm", "1.dcm"]]
    assert [header.file for header in unused] == ["2.dcm"]  # one file stands for the series


def test_diffusion_is_not_taken_for_contrast(headers):
    weighted = [
        at(0, DiffusionBValue=float(b), SeriesInstanceUID="1.2.1", InstanceNumber=b + 1) for b in range(4)
    ]
    found = headers(*weighted, at(0, SeriesInstanceUID="1.2.2"))
    assert files_of(best_stack(found)[0]) == [["4.dcm"]]


def test_positions_that_lack_a_phase_are_dropped(headers):
    phases = [at(z, TemporalPositionIdentifier=t) for z in (0, 5, 10) for t in (1, 2)]
    stack, _ = best_stack(headers(*phases[:-1]))
    assert files_of(stack) == [["0.dcm", "1.dcm"], ["2.dcm", "3.dcm"]]


def test_a_small_shift_of_the_table_does_not_part_phases(headers):
    found = headers(
        at(0, InstanceNumber=1),
        at(0.05, InstanceNumber=2),
        at(3, InstanceNumber=3),
        at(3.05, InstanceNumber=4),
    )
    assert files_of(best_stack(found)[0]) == [["0.dcm", "1.dcm"], ["2.dcm", "3.dcm"]]


def test_no_planes_no_stack(tmp_path, dicom):
    dicom(tmp_path / "a.dcm", PIXELS, Modality="MG")
    dicom(tmp_path / "b.dcm", np.zeros((4, 4, 3), np.uint8), Modality="CT")  # a screen shot
    assert best_stack(read_header(tmp_path / name, name) for name in ("a.dcm", "b.dcm")) is None


def test_broken_numbers_are_taken_as_unknown(headers):
    [header] = headers({"SliceLocation": None, "InstanceNumber": None, "AcquisitionTime": ""})
    [plane] = header.planes
    assert plane.position_mm is None
    assert plane.instance == 0
    assert math.isnan(plane.time_s)


def test_times_of_other_forms():
    assert seconds_of("", "0930") == 34200
    assert math.isnan(seconds_of("20240101", ""))
    assert math.isnan(seconds_of("20240101", "noon"))


def enhanced_frame(z, phase):
    position, content, frame = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [0, 0, z]
    content.TemporalPositionIndex, content.InStackPositionNumber = phase, 1
    frame.PlanePositionSequence, frame.FrameContentSequence = Sequence([position]), Sequence([content])
    return frame


def test_frames_of_an_enhanced_object_are_slices_and_phases(tmp_path, dicom):
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = AXIAL, [1, 1]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = (
        Sequence([orientation]),
        Sequence([measures]),
    )
    frames = [enhanced_frame(z, phase) for phase in (2, 1) for z in (4, 0)]
    dicom(
        tmp_path / "a.dcm",
        np.stack([PIXELS + i for i in range(4)]),
        Modality="MR",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1",
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence(frames),
    )
    stack, _ = best_stack([read_header(tmp_path / "a.dcm", "a.dcm")])
    assert [[slot.plane.frame for slot in phases] for phases in stack.slices] == [[3, 1], [2, 0]]
