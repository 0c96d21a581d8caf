"""What a file says of its own patient stands nowhere else in the copy, in no spelling or kind of value."""

from __future__ import annotations

import unicodedata

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from huizhen.data.deidentify.files import deidentify_dataset
from huizhen.data.deidentify.identifiers import identifiers_of
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.policy import DeidPolicy

_MODEL = 0x00081090


def cleaned_by(tag: int, vr: str, value: object, *, name: str = "Müller^Johanna=王小明") -> Dataset:
    """Return a de-identified dataset whose element `tag` holds `value`."""
    data = Dataset()
    data.SpecificCharacterSet, data.Modality = "ISO_IR 192", "CT"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    data.PatientID, data.PatientName, data.PatientBirthDate = "4711882", name, "19800307"
    data.PatientTelephoneNumbers = "+86-13800138000"
    data.add_new(tag, vr, value)
    deidentify_dataset(data, policy=DeidPolicy(), who=Pseudonymiser(secret=b"k" * 32))
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
    ],
    ids=range(17),
)
def test_no_spelling_of_the_patient_stays_in_a_text(value: str) -> None:
    left = str(cleaned_by(_MODEL, "LO", value)[_MODEL].value)
    assert left in ("REMOVED", "M")


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
    assert tag not in cleaned_by(tag, vr, value)


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
