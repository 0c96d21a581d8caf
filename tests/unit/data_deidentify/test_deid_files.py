"""One file from disk to a released copy: what goes, what stays, and what every kind of bad input becomes."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from huizhen.data.deidentify.context import Rule
from huizhen.data.deidentify.files import IMPLEMENTATION, deidentify_file
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate, Outcome, Reason
from huizhen.data.deidentify.pixels import Inspection, Region
from huizhen.data.deidentify.policy import DeidPolicy, PixelPolicy

Make = Callable[..., Dataset]
Write = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path, policy: DeidPolicy, who: Pseudonymiser) -> Callable[..., Outcome]:
    """Return a function that de-identifies one file."""

    def run(source: Path, *, by: DeidPolicy = policy, key: Pseudonymiser = who, **more: object) -> Outcome:
        return deidentify_file(source, tmp_path / "out", policy=by, who=key, **more)  # type: ignore[arg-type]  # a test's own

    return run


def test_a_released_file_says_how(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = run(write(make()))
    assert (outcome.fate, outcome.reason) == (Fate.RELEASED, None)
    path = tmp_path / "out" / outcome.place
    found = pydicom.dcmread(path)
    assert path.read_bytes()[:128] == bytes(128)
    assert found.file_meta.ImplementationClassUID == IMPLEMENTATION
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
    assert found.PatientID == found.PatientName == outcome.patient
    assert found.PatientIdentityRemoved == "YES"
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [item.CodeValue for item in found.DeidentificationMethodCodeSequence] == [
        "113100", "113105", "113103", "113104", "113107",
    ]  # fmt: skip
    assert "2024e" in str(found.DeidentificationMethod)
    assert found.StudyDescription == "MRI breast bilateral 3mm"
    assert "InstitutionName" not in found
    assert found.PixelData == bytes(range(16))
    assert not path.stat().st_mode & 0o077


def test_one_patient_stays_one_over_files_and_years(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    early, late = make(), make(study="1.2.3.2", instance="1.2.3.2.1.1")
    early.StudyDate, late.StudyDate = "20190105", "20240301"
    made = [run(write(data, f"in/{i}.dcm")) for i, data in enumerate((early, late))]
    found = [pydicom.dcmread(tmp_path / "out" / one.place) for one in made]
    assert found[0].PatientID == found[1].PatientID
    assert found[0].FrameOfReferenceUID == found[1].FrameOfReferenceUID
    assert found[0].StudyInstanceUID != found[1].StudyInstanceUID
    from datetime import datetime

    days = [datetime.strptime(one.StudyDate, "%Y%m%d") for one in found]
    assert (days[1] - days[0]).days == 1882
    assert found[0].StudyDate != "20190105"


def test_another_key_changes_everything_and_the_same_key_nothing(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    source = write(make())
    first = run(source)
    content = (tmp_path / "out" / first.place).read_bytes()
    again = run(source)
    assert again == first
    assert (tmp_path / "out" / again.place).read_bytes() == content
    other = run(source, key=Pseudonymiser(secret=b"b" * 32))
    one, two = (pydicom.dcmread(tmp_path / "out" / made.place) for made in (first, other))
    for keyword in ("PatientID", "PatientName", "AccessionNumber", "StudyDate", "SOPInstanceUID",
                    "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):  # fmt: skip
        assert one[keyword].value != two[keyword].value, keyword


@pytest.mark.parametrize(
    "syntax",
    ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"],
    ids=["implicit", "explicit", "deflated", "big-endian"],
)
def test_syntaxes_stay(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path, syntax: str
) -> None:
    outcome = run(write(make(), syntax=syntax))
    found = pydicom.dcmread(tmp_path / "out" / outcome.place)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert found.PixelData == bytes(range(16))


def test_links_and_special_files_are_not_followed(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "link.dcm").symlink_to(write(make()))
    assert run(tmp_path / "link.dcm").reason is Reason.LINK
    os.mkfifo(tmp_path / "pipe.dcm")
    assert run(tmp_path / "pipe.dcm").reason is Reason.LINK
    assert run(tmp_path / "absent.dcm").reason is Reason.UNREADABLE
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content", [b"", b"name,id\nWeber,4711\n", bytes(200)], ids=["empty", "text", "zeros"]
)
def test_what_is_no_dicom(run: Callable[..., Outcome], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.dcm").write_bytes(content)
    assert run(tmp_path / "a.dcm").reason is Reason.NOT_DICOM


def test_cut_off_anywhere_leaves_nothing(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    whole = write(make()).read_bytes()
    for end in range(len(whole) - 16, len(whole)):
        (tmp_path / "cut.dcm").write_bytes(whole[:end])
        assert run(tmp_path / "cut.dcm").fate is Fate.REFUSED, end
    for end in range(132, len(whole) - 16, 7):
        (tmp_path / "cut.dcm").write_bytes(whole[:end])
        outcome = run(tmp_path / "cut.dcm")
        assert outcome.fate is not Fate.RELEASED, end
    assert not list(tmp_path.glob("out/**/*.part"))


def test_a_huge_length_allots_nothing(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    data = make()
    del data.PixelData
    whole = write(data).read_bytes()
    for length in (0x7FFFFFF0, 0xFFFFFFF0):
        lie = struct.pack("<HH2sHI", 0x0042, 0x0011, b"OB", 0, length)
        (tmp_path / "huge.dcm").write_bytes(whole + lie + b"x" * 10)
        assert run(tmp_path / "huge.dcm").reason is Reason.UNREADABLE


def test_too_many_bytes(make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path) -> None:
    source = write(make())
    with source.open("ab") as stream:
        stream.truncate(2 << 20)
    assert run(source, by=DeidPolicy(largest_mib=1)).reason is Reason.TOO_LARGE


def test_a_bomb_is_not_unpacked(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huizhen.data.readers.dicom_limits.MOST_UNPACKED", 1 << 20)
    whole = write(make(), syntax="1.2.840.10008.1.2.1.99").read_bytes()
    start = whole.index(b"1.2.840.10008.1.2.1.99")
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = 132 + 12 + struct.unpack("<I", whole[140:144])[0]
    assert start < head
    (tmp_path / "bomb.dcm").write_bytes(whole[:head] + machine.compress(bytes(64 << 20)) + machine.flush())
    assert run(tmp_path / "bomb.dcm").reason is Reason.TOO_LARGE


def test_deep_nesting_ends_the_file_only(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    data = make()
    del data.PixelData
    whole = write(data).read_bytes()
    open_item = (
        struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    )
    (tmp_path / "deep.dcm").write_bytes(whole + open_item * 20000)
    assert run(tmp_path / "deep.dcm").reason is Reason.UNREADABLE


@pytest.mark.parametrize(
    "keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"]
)
def test_missing_uids(make: Make, write: Write, run: Callable[..., Outcome], keyword: str) -> None:
    data = make()
    path = write(data)
    data = pydicom.dcmread(path)
    del data[keyword]
    data.save_as(path, enforce_file_format=False)
    assert run(path).reason is Reason.MISSING_UID


def test_a_nameless_patient_waits(make: Make, write: Write, run: Callable[..., Outcome]) -> None:
    outcome = run(write(make(patient="")))
    assert (outcome.fate, outcome.reason) == (Fate.QUEUED, Reason.MISSING_PATIENT)


def test_a_directory_is_not_released(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    data = make()
    data.SOPClassUID = "1.2.840.10008.1.3.10"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    pydicom.dcmwrite(tmp_path / "DICOMDIR", data, enforce_file_format=True)
    assert run(tmp_path / "DICOMDIR").reason is Reason.DIRECTORY


@pytest.mark.parametrize(
    ("changes", "pixels", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, {}, Reason.BURNED_IN),
        ({"BurnedInAnnotation": "YES"}, {"release_annotated": True}, None),
        ({"Modality": "US"}, {}, Reason.RISKY_PIXELS),
        ({"Modality": "US"}, {"release": ("US",)}, None),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, {}, Reason.RISKY_PIXELS),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, {"trust_flag": True}, None),
        ({"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, {}, Reason.RISKY_PIXELS),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "CT"}, {}, Reason.RISKY_PIXELS),
        ({"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, {}, Reason.RISKY_PIXELS),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, {}, Reason.RISKY_PIXELS),
        ({"ImagePositionPatient": None}, {}, Reason.RISKY_PIXELS),
        ({"ImagePositionPatient": None}, {"release": ("SC",)}, None),
        ({"SOPClassUID": "1.2.840.113619.4.1"}, {}, Reason.UNKNOWN_OBJECT),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.9.4.1"}, {}, Reason.VOICE),
        ({}, {}, None),
    ],
    ids=[
        "yes", "yes-released", "us", "us-released", "us-no", "us-no-trusted", "screen", "sc", "scout",
        "colour", "nowhere", "nowhere-released",
        "private", "voice", "mr",
    ],
)  # fmt: skip
def test_doubtful_pixels_wait(
    make: Make,
    write: Write,
    run: Callable[..., Outcome],
    changes: dict[str, object],
    pixels: dict[str, object],
    reason: Reason | None,
) -> None:
    data = make()
    for keyword, value in changes.items():
        setattr(data, keyword, value)
        if value is None:
            delattr(data, keyword)
    outcome = run(write(data), by=DeidPolicy(pixels=PixelPolicy.model_validate(pixels)))
    assert outcome.reason is reason
    assert outcome.fate is (Fate.RELEASED if reason is None else Fate.QUEUED)


def test_an_overlay_in_unused_bits_waits(make: Make, write: Write, run: Callable[..., Outcome]) -> None:
    data = make()
    data.add_new(0x60000102, "US", 7)
    assert run(write(data)).reason is Reason.OVERLAY_IN_PIXELS


class Finds:
    """An inspector that finds one banner, or is unsure."""

    def __init__(self, *regions: Region, sure: bool = True) -> None:
        self.found = Inspection(sure=sure, regions=regions)

    def inspect(self, dataset: Dataset) -> Inspection:
        """Return what it was made with, if it sees the pixels."""
        assert dataset.pixel_array.shape[-2:] == (4, 4)
        return self.found


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"], ids=["explicit", "implicit"])
def test_an_inspector_blackens_what_it_finds(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path, syntax: str
) -> None:
    data = make()
    data.Modality = "US"
    inspector = Finds(Region(top=0, bottom=1, left=1, right=4))
    outcome = run(write(data, syntax=syntax), by=DeidPolicy(), inspector=inspector)
    found = pydicom.dcmread(tmp_path / "out" / outcome.place)
    assert found.PixelData == bytes([0, 0, 0, 0]) + bytes(range(4, 16))
    assert found.BurnedInAnnotation == "NO"
    assert "113101" in [item.CodeValue for item in found.DeidentificationMethodCodeSequence]


def test_an_unsure_inspector_queues(make: Make, write: Write, run: Callable[..., Outcome]) -> None:
    assert run(write(make()), inspector=Finds(sure=False)).reason is Reason.DOUBTFUL_PIXELS


def test_what_an_inspector_cannot_see_waits_and_masks_are_left(
    make: Make, write: Write, run: Callable[..., Outcome]
) -> None:
    finds = Finds(Region(top=0, bottom=4, left=0, right=4))
    floats = make()
    del floats.PixelData
    floats.FloatPixelData = bytes(64)
    floats.BitsAllocated = 32
    assert run(write(floats), inspector=finds).reason is Reason.DOUBTFUL_PIXELS
    mask = make()
    mask.SOPClassUID, mask.Modality = "1.2.840.10008.5.1.4.1.1.66.4", "SEG"
    outcome = run(write(mask), inspector=finds)
    assert (outcome.fate, outcome.how, outcome.regions) == (Fate.RELEASED, "unseen", ())


def test_what_follows_the_pixels_does_not_leave(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    data = make()
    data.PixelData = bytes(range(16)) + b"Weber!"
    data.add_new(0xFFFCFFFC, "OB", b"WeberPad")
    source = write(data)
    source.write_bytes(source.read_bytes() + b"Annemarie Weber was here")
    outcome = run(source)
    found = (tmp_path / "out" / outcome.place).read_bytes()
    assert b"Weber" not in found
    assert pydicom.dcmread(tmp_path / "out" / outcome.place).PixelData == bytes(range(16))
    assert "7FE00010" in [done.path for done in outcome.done]


def test_private_text_goes_and_safe_numbers_may_stay(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    data = make()
    block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "800")
    block.add_new(0x0B, "DS", "1")
    data.private_block(0x0029, "UNKNOWN MAKER", create=True).add_new(1, "LO", "Weber")
    data.private_block(0x0021, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1")
    source = write(data)
    safe = DeidPolicy.model_validate({"options": ["safe_private"]})
    for by, left in ((DeidPolicy(), []), (safe, [0x00190010, 0x0019100C])):
        found = pydicom.dcmread(tmp_path / "out" / run(source, by=by).place)
        assert [tag for tag in found.keys() if tag.is_private] == left  # noqa: SIM118  # iterating gives elements


def test_a_lying_safe_element_goes(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    data = make()
    block = data.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x04, "CS", "WEBER")
    safe = DeidPolicy.model_validate({"options": ["safe_private"]})
    found = pydicom.dcmread(tmp_path / "out" / run(write(data), by=safe).place)
    assert not [tag for tag in found.keys() if tag.is_private]  # noqa: SIM118  # iterating gives elements


def test_records_hold_no_value(make: Make, write: Write, run: Callable[..., Outcome]) -> None:
    data = make()
    data.RequestAttributesSequence = Sequence([Dataset()])
    data.RequestAttributesSequence[0].ScheduledProcedureStepID = "Weber"
    outcome = run(write(data))
    assert {"00100010", "00100020", "00200010"} & {done.path for done in outcome.done}
    assert "Weber" not in repr(outcome)
    assert "4711" not in repr(outcome)


@pytest.mark.parametrize("vr", ["OB", "UN"])
@pytest.mark.parametrize("tag", [0x00080104, 0x00082218, 0x00185100], ids=["text", "sequence", "code"])
def test_bytes_in_the_place_of_something_else_go(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path, vr: str, tag: int
) -> None:
    data = make()
    del data.PixelData, data.Rows, data.Columns
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    source = write(data)
    lie = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, 8) + b"FrWeber "
    whole = source.read_bytes()
    place = whole.index(struct.pack("<HH", 0x0020, 0x000D))
    source.write_bytes(whole[:place] + lie + whole[place:])
    outcome = run(source)
    if outcome.place:
        assert b"Weber" not in (tmp_path / "out" / outcome.place).read_bytes()
    assert outcome.fate in (Fate.RELEASED, Fate.REFUSED)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x300A062E, b"LO", b"FrWeber "),
        (0x00180050, b"LO", b"Weber An"),
        (0x00189351, b"FL", b"WeberAnn"),
        (0x00189351, b"FL", b"Weber "),
    ],
    ids=["text-for-binary", "text-for-number", "text-as-numbers", "a-part-of-a-number"],
)
def test_text_in_the_place_of_numbers_goes(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path, tag: int, vr: bytes, value: bytes
) -> None:
    data = make(patient="1")
    data.PatientName = "Somebody^Else"
    source = write(data)
    whole = source.read_bytes()
    lie = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
    place = whole.index(struct.pack("<HH", 0x0020, 0x000D))
    source.write_bytes(whole[:place] + lie + whole[place:])
    outcome = run(source)
    assert outcome.fate is Fate.RELEASED
    assert b"Weber" not in (tmp_path / "out" / outcome.place).read_bytes()
    assert f"{tag:08X}" in [done.path for done in outcome.done if done.rule is Rule.ILLEGAL]


def test_a_wrapped_jpeg_waits(make: Make, run: Callable[..., Outcome], tmp_path: Path) -> None:
    data = make()
    data.PixelData = encapsulate([b"\0\0\0\x0cjP  \r\n\x87\n" + b"Weber!"])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"
    pydicom.dcmwrite(tmp_path / "a.dcm", data, enforce_file_format=True)
    assert run(tmp_path / "a.dcm").reason is Reason.DOUBTFUL_PIXELS
    assert not list(tmp_path.glob("out/**/*.dcm"))
