"""Heatmaps as DICOM: read back by pydicom and highdicom, values, references, marks and identity."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.pm import ParametricMap
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from huizhen.core.digests import digest_bytes
from huizhen.errors import DataError, InvalidInputError, UnreadableFileError
from huizhen.explain.dicom_export import Identity, derived_uid, heatmap_dicom
from huizhen.explain.dicom_objects import remapped_uid
from huizhen.explain.overlay import PHANTOM_MARK
from huizhen.explain.panels import LINE, PHANTOM_INK, marked_overlay

MG, MR, US = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.6.1"
US_FRAMES, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.4.1"
PARAMETRIC_MAP, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.30", "1.2.840.10008.5.1.4.1.1.7"
ROWS, COLUMNS = 24, 40
FOUND = Path(os.environ.get("HUIZHEN_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
REAL = FOUND / "dicom_phi_and_multimodality"
SECRET = {
    "PatientID": "MRN-774411",
    "PatientName": "Müller^Anna",
    "PatientBirthDate": "19610203",
    "PatientSex": "F",
    "AccessionNumber": "ACC-99",
    "StudyID": "ST-12",
    "StudyDate": "20200102",
    "StudyTime": "101112",
    "StudyDescription": "Mamma links",
    "ReferringPhysicianName": "Weiss^Otto",
    "InstitutionName": "Waldklinik",
    "InstitutionAddress": "Am Wald 1",
    "OperatorsName": "Klein^Eva",
    "DeviceSerialNumber": "SN-3141",
    "StationName": "ROOM-7",
}


def source(sop_class: str, modality: str, **more: Any) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = derived_uid(
        "test", sop_class, repr(sorted(more)), str(more.get("SliceLocation"))
    )
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
    dataset.Modality, dataset.Manufacturer = modality, "Scanner works"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    for keyword, value in (SECRET | more).items():
        setattr(dataset, keyword, value)
    return dataset


def geometry(z: float = 10.0) -> dict[str, Any]:
    return {
        "FrameOfReferenceUID": "1.2.3.9",
        "ImagePositionPatient": [-12.5, 3.25, z],
        "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 0.8, 0.6],
        "PixelSpacing": [0.7, 0.5],
        "SliceThickness": 2.0,
    }


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def enhanced() -> Dataset:
    where = geometry()
    groups = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[-12.5, 3.25, z])]) for z in (10.0, 12.0, 14.0)
    ]
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=where["ImageOrientationPatient"])],
        PixelMeasuresSequence=[item(PixelSpacing=where["PixelSpacing"], SliceThickness=2.0)],
    )
    return source(
        ENHANCED_MR,
        "MR",
        FrameOfReferenceUID="1.2.3.9",
        NumberOfFrames=3,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
    )


def write(folder: Path, dataset: Dataset, name: str = "source.dcm") -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(folder / name, enforce_file_format=True)
    return folder / name


def a_heat(rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.float64]:
    down, right = np.mgrid[0:rows, 0:columns]
    heat = np.exp(-(((down - rows / 3) / rows * 4) ** 2) - ((right - columns / 2) / columns * 4) ** 2)
    return np.asarray(heat / heat.max(), dtype=np.float64)


def export(path: Path, heat: NDArray[np.floating] | None = None, **changes: Any) -> bytes:
    values = a_heat() if heat is None else heat
    arguments: dict[str, Any] = {
        "image": np.linspace(0, 1, values.size).reshape(values.shape),
        "pseudonym": "P-0f3a",
        "description": "Alignment heatmap",
        "study_digest": digest_bytes(b"study"),
        "model_digest": digest_bytes(b"model"),
        "made_at": datetime(2026, 1, 2, 3, 4, 5, 678),
        "phantom": False,
        "uid_secret": b"secret",
    }
    return heatmap_dicom(path, values, **arguments | changes)


def read(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(data))


MAMMOGRAM: dict[str, Any] = {
    "PatientOrientation": ["A", "R"],
    "BodyPartExamined": "BREAST",
    "ImageLaterality": "R",
    "ViewPosition": "CC",
    "ViewCodeSequence": [
        item(CodeValue="399162004", CodingSchemeDesignator="SCT", CodeMeaning="cranio-caudal")
    ],
    "ImagerPixelSpacing": [0.07, 0.07],
    "PixelSpacing": [0.065, 0.065],
}

MAKERS: dict[str, Callable[[], Dataset]] = {
    "MR": lambda: source(MR, "MR", **geometry()),
    "MG": lambda: source(MG, "MG", **MAMMOGRAM),
    "US": lambda: source(US, "US"),
}


def shared_values(made: Dataset) -> list[Dataset]:
    """Return the mappings of stored values to heat."""
    return list(made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence)


def test_a_slice_with_geometry_becomes_a_parametric_map(tmp_path: Path) -> None:
    data = export(write(tmp_path, MAKERS["MR"]()))
    made = ParametricMap.from_dataset(read(data))
    assert made.SOPClassUID == PARAMETRIC_MAP
    heat = made.get_frame(1, apply_real_world_transform=True)
    assert np.abs(heat - a_heat()).max() <= 0.5 / 65535 + 1e-12
    assert np.array_equal(made.pixel_array, np.rint(a_heat() * 65535))
    assert made.FrameOfReferenceUID == remapped_uid(b"secret", "1.2.3.9")
    (value,) = shared_values(made)
    assert value.LUTExplanation == "1 = highest of the patient's images of this modality"
    frame, shared = made.PerFrameFunctionalGroupsSequence[0], made.SharedFunctionalGroupsSequence[0]
    assert list(frame.PlanePositionSequence[0].ImagePositionPatient) == [-12.5, 3.25, 10.0]
    cosines = list(shared.PlaneOrientationSequence[0].ImageOrientationPatient)
    assert cosines == [1.0, 0.0, 0.0, 0.0, 0.8, 0.6]
    assert list(shared.PixelMeasuresSequence[0].PixelSpacing) == [0.7, 0.5]
    assert shared.PixelMeasuresSequence[0].SliceThickness == 2.0
    assert "SpacingBetweenSlices" not in shared.PixelMeasuresSequence[0]  # unknown, and never made up
    assert (made.ContentQualification, made.Modality) == ("RESEARCH", "MR")


def test_the_window_shows_the_full_range(tmp_path: Path) -> None:
    made = ParametricMap.from_dataset(read(export(write(tmp_path, MAKERS["MR"]()), np.eye(ROWS, COLUMNS))))
    shown = made.get_frame(1, apply_voi_transform=True, apply_real_world_transform=False)
    assert (shown.min(), shown.max()) == (0.0, 1.0)


@pytest.mark.parametrize("kind", ["MG", "US"])
def test_an_image_without_frame_of_reference_becomes_a_secondary_capture(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, MAKERS[kind]())
    image = np.linspace(0, 1, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    made = read(export(path, image=image))
    assert made.SOPClassUID == SECONDARY_CAPTURE
    assert np.array_equal(made.pixel_array, marked_overlay(image, a_heat()))
    assert (made.ConversionType, made.BurnedInAnnotation, made.Modality) == ("WSD", "YES", kind)
    assert made.get("PatientOrientation") == (["A", "R"] if kind == "MG" else "")
    assert made.get("BodyPartExamined") == ("BREAST" if kind == "MG" else None)


def test_a_mammogram_s_side_view_and_pixel_size_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path, MAKERS["MG"]())
    made = read(export(path, description="CMAN heatmap MG R CC"))
    assert (made.ImageLaterality, made.ViewPosition, made.Modality) == ("R", "CC", "MG")
    assert made.ViewCodeSequence[0].CodeValue == "399162004"
    assert (list(made.ImagerPixelSpacing), list(made.PixelSpacing)) == ([0.07, 0.07], [0.065, 0.065])
    assert made.SeriesDescription == "CMAN heatmap MG R CC"


def test_a_parametric_map_takes_the_side_and_nothing_of_pixels_it_does_not_show(tmp_path: Path) -> None:
    dataset = source(MR, "MR", **geometry(), Laterality="L", ViewPosition="CC", BurnedInAnnotation="YES")
    made = read(export(write(tmp_path, dataset)))
    assert (made.Laterality, made.BurnedInAnnotation) == ("L", "NO")
    assert "ViewPosition" not in made
    assert "PixelSpacing" not in made  # it stands in the functional groups


@pytest.mark.parametrize("phantom", [True, False])
def test_a_capture_is_marked_in_its_pixels_and_has_the_outline(phantom: bool, tmp_path: Path) -> None:
    mask = np.zeros((ROWS, COLUMNS), np.bool_)
    mask[8:14, 10:20] = True
    pixels = read(export(write(tmp_path, MAKERS["US"]()), mask=mask, phantom=phantom)).pixel_array
    image = np.linspace(0, 1, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    assert np.array_equal(pixels, marked_overlay(image, a_heat(), mask=mask, phantom=phantom))
    assert (pixels[:ROWS] == LINE).all(axis=2).sum() == 2 * (6 + 10)
    found = int((np.abs(pixels[ROWS:].astype(int) - PHANTOM_INK).max(axis=2) <= 12).sum())
    assert (found > 5) == phantom


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_under_a_pseudonym_no_uid_of_the_source_is_left(kind: str, tmp_path: Path) -> None:
    dataset = MAKERS[kind]()
    path = write(tmp_path, dataset)
    made = read(export(path))
    real = {dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID, "1.2.3.9"}
    assert real.isdisjoint({e.value for e in made.iterall() if e.VR == "UI"})
    assert made.StudyInstanceUID == remapped_uid(b"secret", dataset.StudyInstanceUID)
    assert (made.PatientIdentityRemoved, made.get("DeidentificationMethod") is not None) == ("YES", True)
    other = read(export(path, uid_secret=b"another"))
    assert other.StudyInstanceUID != made.StudyInstanceUID
    assert {other.SeriesInstanceUID, other.SOPInstanceUID}.isdisjoint(
        {made.SeriesInstanceUID, made.SOPInstanceUID}
    )


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="secret is empty"):
        export(write(tmp_path, MAKERS["US"]()), uid_secret=b"")


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("identity", list(Identity))
def test_references_point_at_the_source_or_what_stands_for_it(
    kind: str, identity: Identity, tmp_path: Path
) -> None:
    dataset = MAKERS[kind]()
    made = read(export(write(tmp_path, dataset), identity=identity))

    def named(uid: str) -> str:
        return uid if identity is Identity.SOURCE else remapped_uid(b"secret", uid)

    (root,) = made.SourceImageSequence
    (series,) = made.ReferencedSeriesSequence
    (instance,) = series.ReferencedInstanceSequence
    references = [root, instance]
    if kind == "MR":
        (derivation,) = made.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
        references.extend(derivation.SourceImageSequence)
        assert len(references) == 3
    for reference in references:
        assert reference.ReferencedSOPInstanceUID == named(dataset.SOPInstanceUID)
        assert reference.ReferencedSOPClassUID == dataset.SOPClassUID
        assert "ReferencedFrameNumber" not in reference
    assert series.SeriesInstanceUID == named(dataset.SeriesInstanceUID)
    assert made.StudyInstanceUID == named(dataset.StudyInstanceUID)
    assert made.SeriesInstanceUID != dataset.SeriesInstanceUID
    assert root.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


@pytest.mark.parametrize("frame", [0, 2])
def test_a_frame_of_an_enhanced_object_lies_where_that_frame_lies(frame: int, tmp_path: Path) -> None:
    made = ParametricMap.from_dataset(read(export(write(tmp_path, enhanced()), frame=frame)))
    group = made.PerFrameFunctionalGroupsSequence[0]
    assert group.PlanePositionSequence[0].ImagePositionPatient[2] == 10.0 + 2 * frame
    reference = group.DerivationImageSequence[0].SourceImageSequence[0]
    assert (reference.ReferencedSOPClassUID, reference.ReferencedFrameNumber) == (ENHANCED_MR, frame + 1)


def test_a_frame_of_an_ultrasound_loop_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, source(US_FRAMES, "US", NumberOfFrames=4))
    made = read(export(path, frame=3))
    assert made.SOPClassUID == SECONDARY_CAPTURE
    assert made.SourceImageSequence[0].ReferencedFrameNumber == 4
    for wrong in (None, 4, -1):
        with pytest.raises(InvalidInputError, match="4 frames"):
            export(path, frame=wrong)


def test_phases_of_one_slice_are_all_referenced(tmp_path: Path) -> None:
    phases = [source(MR, "MR", **geometry(), SliceLocation=float(i)) for i in range(3)]
    paths = [write(tmp_path, phase, f"{i}.dcm") for i, phase in enumerate(phases)]
    made = read(export(paths[0], further=[(paths[1], None), (paths[2], None)]))
    expected = [remapped_uid(b"secret", phase.SOPInstanceUID) for phase in phases]
    assert len(set(expected)) == 3
    assert [r.ReferencedSOPInstanceUID for r in made.SourceImageSequence] == expected
    (series,) = made.ReferencedSeriesSequence
    assert [r.ReferencedSOPInstanceUID for r in series.ReferencedInstanceSequence] == expected


def test_phases_of_another_study_are_refused(tmp_path: Path) -> None:
    other = source(MR, "MR", **geometry())
    other.StudyInstanceUID = "1.2.3.5"
    first = write(tmp_path, MAKERS["MR"](), "a.dcm")
    with pytest.raises(DataError, match="another study"):
        export(first, further=[(write(tmp_path, other, "b.dcm"), None)])


@pytest.mark.parametrize("name", ["images.npz", "scan.png"])
def test_a_source_that_is_not_dicom_becomes_a_secondary_capture(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 not an image" * 20)
    image = np.zeros((ROWS, COLUMNS, 3))
    made = read(export(tmp_path / name, image=image))
    assert made.SOPClassUID == SECONDARY_CAPTURE
    assert np.array_equal(made.pixel_array, marked_overlay(image, a_heat()))
    assert made.Modality == "OT"
    assert (made.PatientID, str(made.PatientName)) == ("P-0f3a", "P-0f3a")
    assert "SourceImageSequence" not in made
    assert "ReferencedSeriesSequence" not in made
    assert made.StudyInstanceUID == derived_uid("study", digest_bytes(b"study"), "P-0f3a")


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_by_default_nothing_of_the_patient_is_copied(kind: str, tmp_path: Path) -> None:
    data = export(write(tmp_path, MAKERS[kind]()))
    for keyword, value in SECRET.items():
        if keyword != "PatientSex":  # one letter, which stands in any file
            assert value.encode("latin-1") not in data, keyword
            assert value.encode() not in data, keyword
    made = read(data)
    assert (made.PatientID, str(made.PatientName)) == ("P-0f3a", "P-0f3a")
    assert not made.PatientSex
    assert not made.PatientBirthDate


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_the_site_may_file_it_with_the_patient(kind: str, tmp_path: Path) -> None:
    made = read(export(write(tmp_path, MAKERS[kind]()), identity=Identity.SOURCE))
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"):
        assert made[keyword].value == SECRET[keyword]
    assert str(made.PatientName) == "Müller^Anna"
    assert "InstitutionName" not in made
    assert "OperatorsName" not in made


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("phantom", [True, False])
def test_a_phantom_is_marked_in_the_file(kind: str, phantom: bool, tmp_path: Path) -> None:
    made = read(export(write(tmp_path, MAKERS[kind]()), phantom=phantom))
    assert made.get("ImageComments") == (PHANTOM_MARK if phantom else None)
    assert made.get("QualityControlSubject") == ("YES" if phantom else None)
    assert made.SeriesDescription == ("PHANTOM Alignment heatmap" if phantom else "Alignment heatmap")


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_the_same_call_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, MAKERS[kind]())
    assert export(path) == export(path)


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_all_times_are_the_callers(kind: str, tmp_path: Path) -> None:
    made = read(export(write(tmp_path, MAKERS[kind]())))
    dates = [e for e in made.iterall() if e.VR in ("DA", "TM", "DT") and e.value]
    assert len(dates) >= 5
    for element in dates:
        assert str(element.value).removesuffix(".000678") in ("20260102", "030405", "20260102030405")


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_different_content_gets_another_instance_of_the_same_series(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, MAKERS[kind]())
    variants = [
        export(path),
        export(path, a_heat()[::-1].copy()),
        export(path, made_at=datetime(2026, 1, 2, 3, 4, 6)),
        export(path, instance_number=2),
        export(path, phantom=True),
    ]
    made = [read(data) for data in variants]
    assert len({m.SOPInstanceUID for m in made}) == len(made)
    assert len({m.SeriesInstanceUID for m in made}) == 1
    assert read(export(path, description="Another")).SeriesInstanceUID != made[0].SeriesInstanceUID
    other_model = read(export(path, model_digest=digest_bytes(b"other")))
    assert other_model.SeriesInstanceUID != made[0].SeriesInstanceUID
    assert read(export(path, series_uid="1.2.3.77")).SeriesInstanceUID == "1.2.3.77"


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_every_uid_is_valid_and_provenance_is_written(kind: str, tmp_path: Path) -> None:
    made = read(export(write(tmp_path, MAKERS[kind]())))
    uids = [e.value for e in made.iterall() if e.VR == "UI"]
    assert len(uids) > 5
    assert all(UID(uid).is_valid for uid in uids)
    assert made.SOPInstanceUID.startswith("2.25.")
    assert made.DeviceSerialNumber == digest_bytes(b"model")
    assert digest_bytes(b"study") in made.DerivationDescription


def test_a_description_in_chinese_survives(tmp_path: Path) -> None:
    made = read(export(write(tmp_path, MAKERS["MR"]()), description="对齐热图", phantom=True))
    assert made.SeriesDescription == "PHANTOM 对齐热图"
    assert made.ContentDescription == "PHANTOM 对齐热图"


@pytest.mark.parametrize(
    "broken",
    [
        {"FrameOfReferenceUID": None},
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"PixelSpacing": [0, 0]},
        {"PixelSpacing": None},
    ],
)
def test_a_geometry_that_makes_no_sense_is_not_used(broken: dict[str, Any], tmp_path: Path) -> None:
    made = read(export(write(tmp_path, source(MR, "MR", **geometry() | broken))))
    assert made.SOPClassUID == SECONDARY_CAPTURE


def test_a_slice_without_thickness_is_a_parametric_map(tmp_path: Path) -> None:
    made = read(export(write(tmp_path, source(MR, "MR", **geometry() | {"SliceThickness": None}))))
    assert made.SOPClassUID == PARAMETRIC_MAP


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"description": ""}, "description"),
        ({"description": "x" * 57}, "description"),
        ({"description": "a\\b"}, "description"),
        ({"description": "a\nb"}, "description"),
        ({"pseudonym": "p" * 65}, "pseudonym"),
        ({"pseudonym": " p"}, "pseudonym"),
        ({"image": np.zeros((3, 3))}, "heat"),
        ({"heat": a_heat() * 2}, "heat"),
        ({"heat": a_heat(ROWS, COLUMNS + 1)}, "heat"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], field: str, tmp_path: Path) -> None:
    path = write(tmp_path, MAKERS["US"]())
    with pytest.raises(InvalidInputError) as caught:
        export(path, **changes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "keyword", ["SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows"]
)
def test_a_source_that_can_not_be_referenced_is_refused(keyword: str, tmp_path: Path) -> None:
    path = write(tmp_path, MAKERS["US"]())
    dataset = dcmread(path)
    del dataset[keyword]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=False)
    with pytest.raises(DataError, match=f"lacks {keyword}"):
        export(path)


def test_broken_and_absent_files_are_refused_without_their_content(tmp_path: Path) -> None:
    (tmp_path / "broken.dcm").write_bytes(
        b"\0" * 128 + b"DICM" + b"\x02\x00\x10\x00UI\xff\xff" + b"Secret" * 9
    )
    for name in ("broken.dcm", "absent.dcm"):
        with pytest.raises(DataError) as caught:
            export(tmp_path / name)
        assert "Secret" not in str(caught.value)
    with pytest.raises(UnreadableFileError, match="FileNotFoundError"):
        export(tmp_path / "absent.dcm")


def test_derived_uids_are_version_8_uuids() -> None:
    number = int(derived_uid("a", "b").removeprefix("2.25."))
    assert (number >> 76) & 0xF == 8
    assert (number >> 62) & 0b11 == 0b10
    assert derived_uid("a", "b") != derived_uid("ab") != derived_uid("b", "a")


@pytest.mark.realdata
@pytest.mark.skipif(not REAL.is_dir(), reason="the data folder is not here ($HUIZHEN_DATA)")
def test_files_of_many_vendors_become_heatmaps() -> None:
    made: dict[str, str] = {}
    with (REAL / "index.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["rows"] and row["file"].endswith(".dcm")]
    for row in rows:
        size = (int(row["rows"]), int(row["cols"]))
        if size[0] * size[1] > 300_000:  # seconds each, and no other attributes
            continue
        path, heat = REAL / "files" / row["file"], a_heat(*size)
        frame = 0 if int(row["frames"] or 1) > 1 else None
        result = read(export(path, heat, image=np.zeros(size), frame=frame, identity=Identity.SOURCE))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that these files hold
            origin = dcmread(path, stop_before_pixels=True)
            assert result.SourceImageSequence[0].ReferencedSOPInstanceUID == origin.SOPInstanceUID
            assert result.PatientID == origin.get("PatientID", "P-0f3a")
            assert result.PatientName == origin.get("PatientName", "P-0f3a")
        made[row["file"]] = result.SOPClassUID
        stored = np.rint(heat * 65535) if result.SOPClassUID == PARAMETRIC_MAP else None
        shown = marked_overlay(np.zeros(size), heat) if stored is None else stored
        assert np.array_equal(result.pixel_array, shown)
    assert len(made) > 12
    assert made["pydicom__MR_small.dcm"] == made["pydicom__CT_small.dcm"] == PARAMETRIC_MAP
    assert made["pydicom__JPEG2000.dcm"] == made["pydicom__examples_ybr_color.dcm"] == SECONDARY_CAPTURE
