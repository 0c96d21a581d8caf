"""What a file says of its own patient stands nowhere else in the copy, in no spelling or kind of value."""

from __future__ import annotations

import unicodedata

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from huizhen.data.deidentify.files import deidentify_dataset
from huizhen.data.deidentify.identifiers import identifiers_of
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.options import Option
from huizhen.data.deidentify.policy import DeidPolicy

_MODEL = 0x00081090
_DEFAULT = DeidPolicy()


def cleaned_by(
    tag: int,
    vr: str,
    value: object,
    *,
    name: str = "Müller^Johanna=王小明",
    number: str = "4711882",
    policy: DeidPolicy = _DEFAULT,
) -> Dataset:
    """Return a de-identified dataset whose element `tag` holds `value`."""
    data = Dataset()
    data.SpecificCharacterSet, data.Modality = "ISO_IR 192", "CT"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    data.PatientID, data.PatientName, data.PatientBirthDate = number, name, "19800307"
    data.PatientTelephoneNumbers = "+86-13800138000"
    data.add_new(tag, vr, value)
    deidentify_dataset(data, policy=policy, who=Pseudonymiser(secret=b"k" * 32))
    return data


@pytest.mark.parametrize(
    "value",
    [
        "Scanner Müller",
        "Scanner " + unicodedata.normalize("NFD", "Müller"),
        "Scanner Muller",
        "Scanner Mueller",
        "\uff2aohanna",
        "Joh\u200banna",
        "J\ufe0fohanna",
        "王 小明",
        "王·小明",
        "Wang Xiaoming",
        "XIAOMING_WANG",
        "4711 882",
        "4711-882",
        "\uff14711882",
        "born 19800307",
        "07.03.1980",
        "tel 13800138000",
        "07 Mar 1980",
        "7/3/1980",
        "1980年3月7日",
    ],
    ids=range(20),
)
def test_no_spelling_of_the_patient_stays_in_a_text(value: str) -> None:
    left = str(cleaned_by(_MODEL, "LO", value)[_MODEL].value)
    assert left == "REMOVED"


@pytest.mark.parametrize("value", ["LI NA", "Na Li", "li^na"])
def test_a_short_name_is_found_whole(value: str) -> None:
    for name in ("Li^Na", "李娜"):
        assert cleaned_by(_MODEL, "LO", value, name=name)[_MODEL].value == "REMOVED"
    assert cleaned_by(_MODEL, "LO", "Linac 5", name="Li^Na")[_MODEL].value == "Linac 5"


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00200012, "IS", "4711882"),
        (0x00200011, "IS", "19800307"),
        (0x00180060, "DS", "4711882"),
        (0x00181150, "IS", "19800307"),
        (0x00186016, "UL", 4711882),
    ],
    ids=range(5),
)
def test_no_number_of_the_patient_stays_as_a_number(tag: int, vr: str, value: object) -> None:
    assert cleaned_by(tag, vr, value)[tag].value in (None, "")


def test_numbers_of_images_stay() -> None:
    for tag, vr, value in (
        (0x00200012, "IS", "47"),
        (0x00200032, "DS", [-47.11882, 0.4711882, 1.0]),
        (0x00186016, "UL", 4),
        (_MODEL, "LO", "Scanner 47"),
    ):
        assert cleaned_by(tag, vr, value)[tag].value == value
    assert cleaned_by(_MODEL, "LO", "x").SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"


def test_a_class_that_holds_the_id_is_mapped() -> None:
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeUID = "99X", "1.2.826.0.1.4711882"
    data = cleaned_by(0x00080110, "SQ", Sequence([item]))
    assert "4711882" not in data.to_json()


def test_what_a_file_says_of_its_people_is_read_folded() -> None:
    data = Dataset()
    data.SpecificCharacterSet, data.PatientID, data.PatientName = "ISO_IR 192", "MRN-47 11", "Ｗeber^Ann"
    assert identifiers_of(data).names == {"weber", "ann", "ｗeber"}
    assert identifiers_of(data).numbers == {"mrn4711"}


RETAINED = DeidPolicy(
    options=(
        Option.DEVICE,
        Option.INSTITUTION,
        Option.PATIENT_CHARACTERISTICS,
        Option.UIDS,
        Option.FULL_DATES,
    )
)
"""Everything that an option can retain."""

_SERIAL, _STATION, _PLATE, _DEVICE_TEXT, _HOSPITAL = (
    0x00181000,
    0x00081010,
    0x00181004,
    0x00181003,
    0x00080080,
)
_SMOKES, _ETHNIC, _WEIGHT, _FRAME = 0x001021A0, 0x00102160, 0x00101030, 0x00200052


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (_SERIAL, "LO", "SN of Müller"),
        (_SERIAL, "LO", "4711882"),
        (_STATION, "SH", "born 19800307"),
        (_STATION, "SH", "13800138000"),
        (_PLATE, "LO", "WANG XIAOMING"),
        (_HOSPITAL, "LO", "Clinic for 4711-882"),
        (0x00080081, "ST", "Room of Ｍueller, first floor"),
        (_ETHNIC, "SH", "MUELLER"),
        (_SMOKES, "CS", "JOHANNA"),
        (_WEIGHT, "DS", "4711882"),
        (_FRAME, "UI", "1.2.4711882.5"),
        (_FRAME, "UI", "1.2.3.19800307"),
    ],
    ids=range(12),
)
def test_what_an_option_retains_doesnt_name_the_patient(tag: int, vr: str, value: str) -> None:
    data = cleaned_by(tag, vr, value, policy=RETAINED)
    assert tag not in data or value not in str(data[tag].value)
    assert tag != _FRAME or str(data[tag].value).startswith("2.25.")


def test_what_an_option_retains_stays_otherwise() -> None:
    for tag, vr, value in (
        (_SERIAL, "LO", "SN 44711"),
        (_STATION, "SH", "CT 3"),
        (_HOSPITAL, "LO", "St. Johann Hospital"),
        (_SMOKES, "CS", "UNKNOWN"),
        (_WEIGHT, "DS", "71.1882"),
        (_FRAME, "UI", "1.2.3.4711"),
        (0x00080020, "DA", "19800307"),
    ):
        assert cleaned_by(tag, vr, value, policy=RETAINED)[tag].value == value


@pytest.mark.parametrize(
    ("number", "tag", "vr", "value", "stays"),
    [
        ("47118", 0x00200011, "IS", "47118", False),
        ("47118", 0x00200011, "IS", "147118", True),
        ("4711", 0x00200013, "IS", "4711", True),
        ("0471", 0x00200011, "IS", "0471", False),
        ("0471", 0x00200011, "IS", "471", True),
        ("4711", _FRAME, "UI", "1.2.4711.1", False),
        ("4711", _FRAME, "UI", "1.2.47110.1", True),
        ("840", _FRAME, "UI", "1.2.840.1", True),
        ("47", _SERIAL, "LO", "47", False),
        ("47", _SERIAL, "LO", "SN 47", True),
    ],
    ids=range(10),
)
def test_short_numbers_are_found_whole(number: str, tag: int, vr: str, value: str, stays: bool) -> None:
    data = cleaned_by(tag, vr, value, number=number, policy=RETAINED)
    assert (tag in data and str(data[tag].value) == value) is stays


def test_an_accession_number_doesnt_part_the_files_of_a_patient() -> None:
    for accession in ("ACC20815", "A1"):
        data = Dataset()
        data.SOPClassUID, data.PatientID = "1.2.840.10008.5.1.4.1.1.2", "4711"
        data.AccessionNumber, data.StudyInstanceUID = accession[3:], "1.2.20815"
        deidentify_dataset(data, policy=RETAINED, who=Pseudonymiser(secret=b"k" * 32))
        assert data.StudyInstanceUID == "1.2.20815"


def test_bytes_that_hold_the_patient_go() -> None:
    profile = 0x00282000
    for hidden in (b"Johanna", "JOHANNA".encode("utf-16-be"), "王小明".encode(), b"4711882"):
        data = cleaned_by(profile, "OB", b"\0\1desc" + hidden + b"\0" * (len(hidden) % 2))
        assert not data[profile].value
    assert cleaned_by(profile, "OB", b"\0\1desc sRGB")[profile].value == b"\0\1desc sRGB"


def test_ages_that_few_reach_are_one() -> None:
    age = 0x00101010
    for said, left in (("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("011M", "011M")):
        assert cleaned_by(age, "AS", said, policy=RETAINED)[age].value == left
    every = RETAINED.model_copy(update={"most_age_years": 999})
    assert cleaned_by(age, "AS", "101Y", policy=every)[age].value == "101Y"


def test_a_patient_named_after_a_code_of_structure_spoils_none() -> None:
    assert cleaned_by(0x00280004, "CS", "RGB", name="Rgb^Text")[0x00280004].value == "RGB"
