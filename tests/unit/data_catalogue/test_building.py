"""An index from DICOM headers and tables: built once, gone on with, refused by the line that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from huizhen.data.catalogue import building
from huizhen.data.catalogue.building import Sources, build_index
from huizhen.data.catalogue.index import Index, open_index
from huizhen.errors import DataError, StorageError, UnreadableFileError


def image(patient: str, study: str, series: str, **more: Any) -> Dataset:
    """Return a small image."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", f"{series}.1"
    data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = patient, study, series
    data.Modality, data.Manufacturer, data.PatientSex = "MR", "SIEMENS", "F"
    data.PatientAge, data.StudyDate, data.BodyPartExamined = "061Y", "20190401", "BREAST"
    data.Rows = data.Columns = 2
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 7, 0, 1
    data.PhotometricInterpretation, data.PixelData = "MONOCHROME2", bytes(4)
    for name, value in more.items():
        setattr(data, name, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return data


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of four images of three series of two patients, and what is no image."""
    folder = tmp_path / "images"
    folder.mkdir()
    made = {
        "a.dcm": image("p1", "1.2.1", "1.2.1.1"),
        "b.dcm": image("p1", "1.2.1", "1.2.1.1", SOPInstanceUID="1.2.1.1.2"),
        "c.dcm": image("p1", "1.2.1", "1.2.1.2", Manufacturer="Acme^<b>", PatientAge=""),
        "d.dcm": image("p2", "1.2.2", "1.2.2.1", PatientSex="X" * 16, BodyPartExamined=""),
    }
    for name, data in made.items():
        pydicom.dcmwrite(folder / name, data, enforce_file_format=True)
    (folder / "notes.txt").write_text("not DICOM")
    return folder


def test_headers_become_rows(images: Path, tmp_path: Path) -> None:
    index = build_index(Sources(images=images), tmp_path / "state", secret=b"s")
    assert (index.subjects, index.studies, index.series) == (2, 2, 3)
    assert index.words["manufacturer"] == ("", "SIEMENS")
    assert sorted(index.columns.age.tolist()) == [61, 61]
    assert set(index.columns.year.tolist()) == {2019}
    names = {index.words["body_part"][code] for code in index.columns.body_part}
    assert names == {"", "BREAST"}


def test_nothing_of_a_patient_is_in_the_index(images: Path, tmp_path: Path) -> None:
    build_index(Sources(images=images), tmp_path / "state", secret=b"s")
    (folder,) = (tmp_path / "state").glob("index-*")
    held = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"p1" not in held
    assert b"1.2.1" not in held


def test_a_build_goes_on_where_it_was_killed(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    row_of = building._row_of

    def dies_at_the_third(path: Path) -> Any:
        read.append(path.name)
        if len(read) == 3:
            raise KeyboardInterrupt
        return row_of(path)

    monkeypatch.setattr(building, "BATCH", 1)
    monkeypatch.setattr(building, "_row_of", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        build_index(Sources(images=images), tmp_path / "state", secret=b"s")
    assert build_index(Sources(images=images), tmp_path / "state", secret=b"s").series == 3
    assert sorted(read) == ["a.dcm", "b.dcm", "c.dcm", "c.dcm", "d.dcm", "notes.txt"]


def test_an_unchanged_folder_is_not_read_again(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_index(Sources(images=images), tmp_path / "state", secret=b"s")
    monkeypatch.setattr(building, "_row_of", lambda path: pytest.fail("read again"))
    assert build_index(Sources(images=images), tmp_path / "state", secret=b"s").digest == first.digest


def test_a_table_gives_the_same_index_in_any_order(small: Index, tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(lines)]))
    sources = Sources(series=path, diagnoses=tmp_path / "diagnoses.csv")
    assert build_index(sources, tmp_path / "other", secret=b"s").digest == small.digest


def test_another_key_gives_other_hashes(small: Index, tmp_path: Path) -> None:
    sources = Sources(series=tmp_path / "series.csv", diagnoses=tmp_path / "diagnoses.csv")
    other = build_index(sources, tmp_path / "state", secret=b"t")
    assert not np.intersect1d(other.columns.person, small.columns.person).size


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (",s,e,MR,,,F,50,2019", "patient"),
        ("p,s,e,MR,,,F,fifty,2019", "age"),
        ("p,s,e,MR,,,F,50,19", "year"),
        ("p,s,e,M'R,,,F,50,2019", "modality"),
    ],
)
def test_a_wrong_cell_is_named_and_not_repeated(tmp_path: Path, line: str, field: str) -> None:
    path = tmp_path / "series.csv"
    path.write_text(f"patient,study,series,modality,manufacturer,body_part,sex,age,year\n{line}\n")
    with pytest.raises(DataError) as caught:
        build_index(Sources(series=path), tmp_path / "state", secret=b"s")
    assert (caught.value.field, caught.value.file) == (field, "series.csv")
    assert "line 2" in caught.value.message
    assert "fifty" not in str(caught.value)


def test_nothing_to_index_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for sources in (Sources(), Sources(images=tmp_path / "empty"), Sources(images=tmp_path / "absent")):
        with pytest.raises(DataError):
            build_index(sources, tmp_path / "state", secret=b"s")
    with pytest.raises((DataError, UnreadableFileError)):
        build_index(Sources(series=tmp_path / "absent.csv"), tmp_path / "state", secret=b"s")


def test_a_damaged_index_is_refused(small: Index, tmp_path: Path) -> None:
    (folder,) = (tmp_path / "state").glob("index-*")
    (folder / "modality.bin").write_bytes(b"\0")
    with pytest.raises(StorageError):
        open_index(folder)
    with pytest.raises(StorageError):
        open_index(tmp_path / "absent")
