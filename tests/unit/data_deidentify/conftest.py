"""Objects of several kinds, made here, with identity in them; and the sample files where they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.policy import DeidPolicy, PixelPolicy

MR = "1.2.840.10008.5.1.4.1.1.4"
ALL_RELEASED = PixelPolicy(
    release=("US", "SC", "CR", "XA", "OT", "RG", "XC", "ES"), release_annotated=True, heads="release"
)

MakeDataset = Callable[..., Dataset]
WriteFile = Callable[..., Path]


@pytest.fixture
def who() -> Pseudonymiser:
    """A pseudonymiser whose secret everybody knows."""
    return Pseudonymiser(secret=b"a test's secret, long enough....")


@pytest.fixture
def policy() -> DeidPolicy:
    """A policy that releases pixels of every modality."""
    return DeidPolicy(pixels=ALL_RELEASED)


@pytest.fixture
def make() -> MakeDataset:
    """Return a function that makes an MR image of a named patient."""

    def make(*, patient: str = "4711-0815", study: str = "1.2.3.1", instance: str = "1.2.3.1.1.1") -> Dataset:
        data = Dataset()
        data.SpecificCharacterSet = "ISO_IR 192"
        data.SOPClassUID, data.SOPInstanceUID = MR, instance
        data.StudyInstanceUID, data.SeriesInstanceUID = study, f"{study}.1"
        data.PatientID, data.PatientName = patient, "Weber^Annemarie"
        data.PatientBirthDate, data.PatientSex, data.PatientAge = "19620517", "F", "061Y"
        data.StudyDate, data.StudyTime, data.AccessionNumber = "20240301", "101500.25", "ACC-2024-77"
        data.SeriesDate = "20240302"
        data.Modality, data.Manufacturer = "MR", "Vendor"
        data.StudyDescription = "MRI breast of Mrs Weber, bilateral 3mm"
        data.ReferringPhysicianName, data.InstitutionName = "Doc^Referring", "Hospital of Somewhere"
        data.FrameOfReferenceUID = "1.2.3.9"
        data.ImagePositionPatient = [0, 0, 0]
        data.Rows = data.Columns = 4
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 7, 0, 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.PixelData = bytes(range(16))
        return data

    return make


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Return a function that writes a dataset as a DICOM file and returns its path."""

    def write(data: Dataset, name: str = "in/a.dcm", *, syntax: str = "1.2.840.10008.1.2.1") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, data, enforce_file_format=True)
        return path

    return write


@pytest.fixture(scope="session")
def samples() -> list[Path]:
    """The sample files with fake identities, or a skip where they aren't."""
    root = Path(os.environ.get("HUIZHEN_DATA") or Path(__file__).resolve().parents[3].parent / "shared/data")
    found = sorted((root / "dicom_phi_and_multimodality").rglob("*.dcm"))
    if not found:
        pytest.skip("the sample files are not here (set HUIZHEN_DATA)")
    return found


def code(value: str, scheme: str, meaning: str) -> Sequence:
    """Return a code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])
