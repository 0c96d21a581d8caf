"""Each option: what it retains or cleans, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from huizhen.data.deidentify.codes import clean_code
from huizhen.data.deidentify.context import Context
from huizhen.data.deidentify.dates import shifted
from huizhen.data.deidentify.descriptors import cleaned
from huizhen.data.deidentify.files import deidentify_dataset
from huizhen.data.deidentify.identifiers import Identifiers
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.options import CODES, Option
from huizhen.data.deidentify.policy import DeidPolicy, load_policy
from huizhen.data.deidentify.profile import Action, decide, object_of, row_of, rows
from huizhen.errors import PolicyError

Make = Callable[..., Dataset]
Under = Callable[..., Dataset]


@pytest.fixture
def under(who: Pseudonymiser) -> Under:
    """Return a function that de-identifies a dataset under options."""

    def under(data: Dataset, *options: Option) -> Dataset:
        deidentify_dataset(data, policy=DeidPolicy(options=options), who=who)
        return data

    return under


def test_the_table_is_whole() -> None:
    assert len(rows()) == 621
    letters = {row.basic for row in rows().values()}
    assert letters == {"X", "D", "U", "Z", "X/D", "X/Z", "X/Z/D", "Z/D", "X/Z/U*"}
    assert row_of(0x00080016) is None
    assert row_of(0x60023000) == row_of(0x60003000) == rows()["60xx3000"]
    assert row_of(0x50040010) == rows()["50xxxxxx"]
    assert row_of(0x00091001) == rows()["private"]


def test_types_decide_between_removing_and_emptying() -> None:
    date = 0x00080023  # Content Date: type 2 of a general image, type 1 of a structured report
    assert decide(date, (), object_of("1.2.840.10008.5.1.4.1.1.88.33"), None) is Action.DUMMY
    assert decide(date, (), object_of("1.2.840.10008.5.1.4.1.1.4"), None) in (Action.ZERO, Action.DUMMY)
    acquired = 0x00080022
    assert decide(acquired, (), object_of("1.2.840.10008.5.1.4.1.1.2"), None) is Action.REMOVE
    assert decide(acquired, (), "", None) is Action.ZERO
    assert decide(0x00082112, (), "ct-image", None) is Action.REMOVE


def test_cleaning_wins_over_keeping() -> None:
    calibrated = 0x00181200
    both = (Option.DEVICE, Option.MODIFIED_DATES)
    assert decide(calibrated, (Option.DEVICE,), "mr-image", None) is Action.KEEP
    assert decide(calibrated, both, "mr-image", None) is Action.CLEAN


def test_full_dates(make: Make, under: Under) -> None:
    data = make()
    data.ContentDate, data.AcquisitionDateTime = "20240303", "20240303101500+0800"
    data.TimezoneOffsetFromUTC = "+0800"
    under(data, Option.FULL_DATES)
    assert (data.StudyDate, data.ContentDate) == ("20240301", "20240303")
    assert data.AcquisitionDateTime == "20240303101500+0800"
    assert data.LongitudinalTemporalInformationModified == "UNMODIFIED"
    assert data.PatientBirthDate in ("", None)


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_what_is_retained_must_be_of_its_kind(make: Make, under: Under) -> None:
    data = make()
    data.SeriesDate, data.TimezoneOffsetFromUTC, data.PatientAge = "Weber", "Weber", "WEB"
    under(data, Option.FULL_DATES, Option.PATIENT_CHARACTERISTICS)
    assert "Weber" not in str(data)
    assert "WEB" not in str(data)
    assert data.StudyDate == "20240301"


def test_without_dates_options_none_is_left(make: Make, under: Under) -> None:
    data = under(make())
    assert data.StudyDate in ("", None)
    assert "SeriesDate" not in data
    assert data.LongitudinalTemporalInformationModified == "REMOVED"


def test_patient_characteristics(make: Make, under: Under) -> None:
    data = make()
    data.PatientWeight, data.PatientSize = "61.5", "1.7"
    data.Allergies = "latex, says Mrs Weber of the breast"
    under(data, Option.PATIENT_CHARACTERISTICS)
    assert (data.PatientSex, data.PatientAge, data.PatientWeight) == ("F", "061Y", 61.5)
    assert data.Allergies == "breast"
    assert under(make()).get("PatientAge") is None


def test_device_and_institution(make: Make, under: Under) -> None:
    def given() -> Dataset:
        data = make()
        data.DeviceSerialNumber, data.StationName = "SN-77", "MR1"
        return data

    kept = under(given(), Option.DEVICE, Option.INSTITUTION)
    assert (kept.DeviceSerialNumber, kept.StationName) == ("SN-77", "MR1")
    assert kept.InstitutionName == "Hospital of Somewhere"
    gone = under(given())
    assert gone.get("DeviceSerialNumber") != "SN-77"
    assert "InstitutionName" not in gone


def test_uids(make: Make, under: Under) -> None:
    data = under(make(), Option.UIDS)
    assert (data.SOPInstanceUID, data.StudyInstanceUID) == ("1.2.3.1.1.1", "1.2.3.1")
    assert under(make()).SOPInstanceUID.startswith("2.25.")


def test_uids_that_the_table_forgets_follow(make: Make, under: Under, who: Pseudonymiser) -> None:
    data = make()
    data.SOPInstanceUIDOfConcatenationSource, data.RetrieveURL = "1.2.3.1.1.1", "https://pacs/4711"
    data.SecondaryReviewerName, data.ReferencedSOPClassUID = "Weber", "1.2.840.10008.5.1.4.1.1.4"
    under(data)
    assert data.SOPInstanceUIDOfConcatenationSource == data.SOPInstanceUID == who.uid("1.2.3.1.1.1")
    assert "RetrieveURL" not in data
    assert data.SecondaryReviewerName == "REMOVED"
    assert data.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.4"


def test_a_name_where_none_belongs_goes(make: Make, under: Under) -> None:
    data = make()
    data.ManufacturerModelName, data.BodyPartExamined = "Scanner of Dr. Referring", "WEBER"
    data.ConvolutionKernel = "B30f"
    under(data)
    assert data.ManufacturerModelName == "REMOVED"
    assert not data.BodyPartExamined
    assert data.ConvolutionKernel == "B30f"


def test_graphics_and_overlays(make: Make, under: Under) -> None:
    data = make()
    text, drawn = Dataset(), Dataset()
    text.UnformattedTextValue, drawn.TextObjectSequence = "Weber left breast", Sequence([text])
    drawn.GraphicLayer = "L"
    data.GraphicAnnotationSequence = Sequence([drawn])
    for element, vr, value in ((0x0010, "US", 4), (0x3000, "OW", b"Weber "), (0x1500, "LO", "Weber")):
        data.add_new(0x60000000 | element, vr, value)
    under(data, Option.CLEAN_GRAPHICS)
    (item,) = data.GraphicAnnotationSequence
    assert item.TextObjectSequence[0].UnformattedTextValue == "left breast"
    assert not [tag for tag in data.keys() if tag.group == 0x6000]  # noqa: SIM118  # iterating gives elements


def test_structured_content(make: Make, under: Under, who: Pseudonymiser) -> None:
    def given() -> Dataset:
        data = make()
        data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
        name, text, code = Dataset(), Dataset(), Dataset()
        name.ValueType, name.PersonName, name.RelationshipType = "PNAME", "Weber^A", "HAS OBS CONTEXT"
        text.ValueType, text.TextValue, text.RelationshipType = "TEXT", "Lesion of Weber, 5mm", "CONTAINS"
        code.CodeValue, code.CodingSchemeDesignator = "W-17", "99WEBER"
        code.CodeMeaning = "Weber's lesion"
        text.ConceptNameCodeSequence = Sequence([code])
        data.ContentSequence = Sequence([name, text])
        return data

    data = under(given(), Option.CLEAN_STRUCTURED_CONTENT)
    name, text = data.ContentSequence
    assert (name.PersonName, text.TextValue) == ("REMOVED", "Lesion 5mm")
    (code,) = text.ConceptNameCodeSequence
    assert (code.CodingSchemeDesignator, code.CodeMeaning) == ("99LOCAL", "lesion")
    assert code.CodeValue.startswith("L-")
    assert "W-17" not in str(data)
    assert [item.ValueType for item in under(given()).ContentSequence] != ["PNAME", "TEXT"]
    assert "Weber" not in str(under(given()))


def test_an_encapsulated_document_becomes_an_empty_one(make: Make, under: Under) -> None:
    data = make()
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    data.MIMETypeOfEncapsulatedDocument = "application/pdf"
    data.EncapsulatedDocument, data.EncapsulatedDocumentLength = b"%PDF Weber", 10
    under(data)
    assert data.EncapsulatedDocument.startswith(b"%PDF-1.4")
    assert b"Weber" not in data.EncapsulatedDocument
    assert data.EncapsulatedDocumentLength == len(data.EncapsulatedDocument)


@pytest.mark.parametrize(
    ("scheme", "value", "meaning", "left"),
    [
        ("DCM", "121106", "Weber", ("DCM", "121106", "Comment")),
        ("SCT", "76752008", "Breast of Weber", ("SCT", "76752008", "Breast structure (body structure)")),
        ("LN", "12345-6", "Weber study", ("LN", "12345-6", "study")),
        ("SCT", "Weber", "Weber", ("99LOCAL", None, "REMOVED")),
    ],
    ids=["known", "known-other-meaning", "public", "malformed"],
)
def test_codes(
    who: Pseudonymiser, scheme: str, value: str, meaning: str, left: tuple[str, str | None, str]
) -> None:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    nobody = Identifiers(names=frozenset(), numbers=frozenset())
    context = Context(policy=DeidPolicy(), who=who, patient="1", identifiers=nobody, iod="")
    clean_code(item, context, "")
    assert (item.CodingSchemeDesignator, item.CodeMeaning) == (left[0], left[2])
    assert item.CodeValue == left[1] if left[1] else item.CodeValue.startswith("L-")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ""),
        ("MR Mamma li. Frau Weber geb. 17.05.1962", "MR"),
        ("T1 FLAIR axial 3mm b1000 Patient 4711", "T1 FLAIR axial 3mm b1000"),
        ("Dr. Breast examined the BREAST", "BREAST"),
        ("患者王芳乳腺超声左侧", "乳腺 超声 左侧"),
        ("王芳 20240301", ""),
    ],
    ids=["empty", "german", "technique", "title", "chinese", "nothing"],
)
def test_descriptors(text: str, left: str) -> None:
    assert cleaned(text) == left


def test_descriptive_words_that_are_names_here_go() -> None:
    assert cleaned("MRI of Hip, hip", but={"hip"}) == "MRI"


@pytest.mark.parametrize(
    ("value", "vr", "moved"),
    [
        ("20240229", "DA", "20240228"),
        ("2024.02.29", "DA", "20240228"),
        ("20230229", "DA", None),
        ("00010101", "DA", None),
        ("235959.999999", "TM", "235959.999999"),
        ("10:15:00", "TM", "10:15:00"),
        ("25", "TM", None),
        ("202403", "DT", "202402"),
        ("20240301101500.123456-0500", "DT", "20240229101500.123456-0500"),
        ("20241301", "DT", None),
    ],
)
def test_dates(value: str, vr: str, moved: str | None) -> None:
    assert shifted(value, vr, days=1) == moved


def test_codes_of_all_options_are_the_standards() -> None:
    from huizhen.data.deidentify.codes import meaning_of

    assert {code: meaning_of("DCM", code) for code, _ in CODES.values()} == dict(CODES.values())
    assert set(CODES) == set(Option)


def test_the_policy_in_the_documents_holds(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[3] / "docs/how-to/prepare-a-folder.md"
    block = page.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
    (tmp_path / "deid.toml").write_text(block, encoding="utf-8")
    policy = load_policy(tmp_path / "deid.toml")
    assert policy.private[0].creator == "SIEMENS MR HEADER"
    assert (policy.pixels.inspect, policy.pixels.heads, policy.pixels.release) == ("ocr", "review", ())


def test_policies(tmp_path: Path) -> None:
    path = tmp_path / "deid.toml"
    path.write_text('options = ["device"]\n[pixels]\nrelease = ["US"]\n')
    assert load_policy(path).pixels.release == ("US",)
    for wrong in ('options = ["clean_pixels"]', "most_shift_days = 1", "unknown = 1", "="):
        path.write_text(wrong)
        with pytest.raises(PolicyError):
            load_policy(path)
    with pytest.raises(PolicyError, match="TOML"):
        load_policy(tmp_path / "absent.toml")


def test_all_that_is_wrong_with_a_policy_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deid.toml"
    path.write_text('options = ["devise"]\nmost_shift_day = 1\n[pixels]\ninspect = "orc"\n')
    with pytest.raises(PolicyError, match="did you mean device") as told:
        load_policy(path)
    assert all(key in told.value.message for key in ("options.0", "most_shift_day", "pixels.inspect"))
