"""What headers state of a protocol, and nothing of a person or a device's number."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from huizhen.core.cohort import ImageRecord
from huizhen.core.digests import digest_bytes
from huizhen.data.checks.protocol import LONGEST, Protocol, protocol_of


class Shelf:
    """A reader of files that lie where a record says."""

    def dataset_path(self, record: ImageRecord) -> Path | None:
        return Path(record.key) if record.key.endswith(".dcm") else None

    def spacing_mm(self, record: ImageRecord) -> tuple[float, float] | None:
        return (0.2, 0.25)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    data.Manufacturer, data.ManufacturerModelName, data.SoftwareVersions = "ACME", "X1", "7.1"
    data.KVP, data.ConvolutionKernel, data.SliceThickness = "120", "B30f", "1.2504"
    data.PatientName, data.DeviceSerialNumber, data.StationName = "Weber", "SN4711", "ROOM7"
    pydicom.dcmwrite(tmp_path / "a.dcm", data, enforce_file_format=True)
    return tmp_path / "a.dcm"


def record(key: str) -> ImageRecord:
    return ImageRecord(
        patient_id="p", modality="CT", source=0, key=key, digest=digest_bytes(key.encode()), scanner="ACME X1"
    )


def test_headers_are_counted_without_identities(file: Path) -> None:
    records = [record(str(file)), record("b.png"), record(str(file.parent / "absent.dcm"))]
    found = protocol_of(records, Shelf(), {records[0].digest: "512 x 512"})  # type: ignore[arg-type]  # enough of one
    assert found.images == 3
    assert found.items["maker"] == {"ACME": 1}
    assert found.items["kvp"] == {"120": 1}
    assert found.items["slice_thickness_mm"] == {"1.25": 1}
    assert found.items["spacing_mm"] == {"0.2 x 0.25": 3}
    assert found.items["matrix"] == {"512 x 512": 1}
    told = str(found.items)
    assert not [name for name in ("Weber", "SN4711", "ROOM7") if name in told]


def test_long_values_are_cut() -> None:
    found = Protocol()
    found.add({"software": "x" * 500, "model": ""})
    assert found.items == {"software": {"x" * LONGEST: 1}}
