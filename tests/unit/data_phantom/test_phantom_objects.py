"""The DICOM objects: readable, valid for their kind, marked, lossless, and identified by names alone."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from huizhen.core.digests import digest_bytes
from huizhen.core.streams import stream
from huizhen.data.phantom import TransferSyntax, breast_trio_spec
from huizhen.data.phantom.latent import draw
from huizhen.data.phantom.objects import Exam, encode
from huizhen.data.phantom.picture import Picture
from huizhen.data.phantom.rendering import render
from huizhen.data.phantom.spec import MODALITIES

ROOT = digest_bytes(b"test")
SPEC = breast_trio_spec()
REQUIRED = {
    "MG": "PresentationIntentType ImageLaterality ViewPosition ViewCodeSequence AnatomicRegionSequence "
    "OrganExposed PositionerType PatientOrientation ImagerPixelSpacing PixelIntensityRelationship "
    "PixelIntensityRelationshipSign PresentationLUTShape RescaleIntercept RescaleSlope RescaleType "
    "WindowCenter",
    "MRI": "ScanningSequence SequenceVariant MRAcquisitionType FrameOfReferenceUID ImagePositionPatient "
    "ImageOrientationPatient PixelSpacing SliceLocation TemporalPositionIdentifier NumberOfTemporalPositions "
    "Laterality WindowCenter",
    "US": "SequenceOfUltrasoundRegions UltrasoundColorDataPresent Laterality",
}
"""Attributes of type 1 (and those that readers need) by kind of image."""
MAY_BE_EMPTY = {
    "MG": "DetectorType AcquisitionContextSequence",
    "MRI": "ScanOptions RepetitionTime EchoTime EchoTrainLength SliceThickness PositionReferenceIndicator",
    "US": "",
}
PATIENT_AND_STUDY = (
    "PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber"
)


def exam(hospital_index: int, modality: str) -> tuple[Exam, list[Picture]]:
    hospital = replace(SPEC.hospitals[hospital_index], missing={})
    latent = draw(SPEC, hospital, stream(4, "objects"), 1)
    drawn = render(latent, hospital, lambda name: stream(4, "objects", name))[modality]
    described = Exam(
        patient_id=hospital.patient_id(0),
        modality=modality,
        hospital=hospital.name,
        scanner=hospital.scanners[modality],
        root=ROOT,
    )
    return described, drawn


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(content))


@pytest.fixture(scope="module")
def written() -> dict[tuple[int, str], list[tuple[Picture, Dataset]]]:
    result = {}
    for hospital_index in range(4):
        for modality in MODALITIES:
            described, drawn = exam(hospital_index, modality)
            files = list(encode(drawn, described))
            result[hospital_index, modality] = [(picture, read(content)) for picture, content in files]
    return result


Written = dict[tuple[int, str], list[tuple[Picture, Dataset]]]


def test_every_file_is_marked_as_phantom(written: Written) -> None:
    for files in written.values():
        for _, data in files:
            assert data.PatientID.startswith("PHANTOM-")
            assert str(data.PatientName) == "PHANTOM^NOT A PATIENT"
            assert data.ImageType[2] == "PHANTOM"
            assert "PHANTOM, NOT A PATIENT" in data.ImageComments
            assert data.Manufacturer.startswith("huizhen phantom")
            assert data.QualityControlImage == "YES"


def test_attributes_of_each_kind_are_there(written: Written) -> None:
    for (_, modality), files in written.items():
        for _, data in files:
            for name in REQUIRED[modality].split():
                assert data[name].value not in (None, "", []), name
            for name in [*MAY_BE_EMPTY[modality].split(), *PATIENT_AND_STUDY.split()]:
                assert name in data, name
            assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID


@pytest.mark.filterwarnings("error")
def test_pixels_come_back_exactly_in_every_transfer_syntax(written: Written) -> None:
    seen = set()
    for files in written.values():
        for picture, data in files:
            seen.add(data.file_meta.TransferSyntaxUID.keyword)
            assert np.array_equal(data.pixel_array, picture.pixels)
    assert seen == {syntax.value for syntax in TransferSyntax}


def test_kinds_of_image(written: Written) -> None:
    kinds = {
        "MG": ("MG", "1.2.840.10008.5.1.4.1.1.1.2", 2, 12),
        "MRI": ("MR", "1.2.840.10008.5.1.4.1.1.4", 9, 12),
        "US": ("US", "1.2.840.10008.5.1.4.1.1.6.1", 2, 8),
    }
    for (_, modality), files in written.items():
        name, sop_class, count, bits = kinds[modality]
        assert len(files) == count
        assert {data.Modality for _, data in files} == {name}
        assert {data.SOPClassUID for _, data in files} == {sop_class}
        assert {data.BitsStored for _, data in files} == {bits}


def test_mammograms_are_both_views_of_one_side(written: Written) -> None:
    for hospital_index in range(4):
        files = written[hospital_index, "MG"]
        assert [data.ViewPosition for _, data in files] == ["CC", "MLO"]
        assert len({data.ImageLaterality for _, data in files}) == 1
        codes = [data.ViewCodeSequence[0].CodeValue for _, data in files]
        assert codes == ["399162004", "399368009"]
        for picture, data in files:
            wall = picture.pixels[:, 0] if data.ImageLaterality == "L" else picture.pixels[:, -1]
            air = picture.pixels[:, -1] if data.ImageLaterality == "L" else picture.pixels[:, 0]
            darker = data.PhotometricInterpretation == "MONOCHROME1"
            assert (wall.mean() < air.mean()) == darker
            assert data.PatientOrientation[0] == ("A" if data.ImageLaterality == "L" else "P")


def test_one_hospital_writes_monochrome1_with_the_inverse_shape(written: Written) -> None:
    shapes = {h: written[h, "MG"][0][1].PresentationLUTShape for h in range(4)}
    assert shapes == {0: "IDENTITY", 1: "INVERSE", 2: "IDENTITY", 3: "IDENTITY"}
    assert written[1, "MG"][0][1].PhotometricInterpretation == "MONOCHROME1"


def test_slices_have_three_phases_at_the_same_places(written: Written) -> None:
    for hospital_index in range(4):
        data = [item for _, item in written[hospital_index, "MRI"]]
        assert len({item.SeriesInstanceUID for item in data}) == 1
        places = {
            phase: [tuple(d.ImagePositionPatient) for d in data if d.TemporalPositionIdentifier == phase]
            for phase in (1, 2, 3)
        }
        assert places[1] == places[2] == places[3]
        assert len(set(places[1])) == 3
        heights = [place[2] for place in places[1]]
        assert np.diff(heights) == pytest.approx([5.0, 5.0], abs=0.01)
        assert [d.SliceLocation for d in data[:3]] == pytest.approx(heights, abs=0.01)
        assert len({(d.WindowCenter, d.WindowWidth) for d in data}) == 1
        times = [d.AcquisitionTime for d in data]
        assert times == sorted(times)


def test_identifiers_are_valid_distinct_and_from_names_only(written: Written) -> None:
    identifiers = [data.SOPInstanceUID for files in written.values() for _, data in files]
    assert len(set(identifiers)) == len(identifiers)
    assert all(uid.is_valid and uid.startswith("2.25.") and len(uid) <= 64 for uid in identifiers)
    described, drawn = exam(0, "US")
    assert [c for _, c in encode(drawn, described)] == [c for _, c in encode(drawn, described)]
    other = replace(described, root=digest_bytes(b"other"))
    assert other.sop_uid(drawn[0]) != described.sop_uid(drawn[0])


def test_ultrasound_states_its_pixel_size_in_centimetres(written: Written) -> None:
    for hospital_index in range(4):
        for _, data in written[hospital_index, "US"]:
            region = data.SequenceOfUltrasoundRegions[0]
            assert region.PhysicalUnitsXDirection == 3
            scanner = SPEC.hospitals[hospital_index].scanners["US"]
            assert region.PhysicalDeltaX == pytest.approx(scanner.spacing_mm / 10)
