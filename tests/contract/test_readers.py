"""What every reader promises, checked once for all five of them."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from huizhen.core.cohort import Exclusion, ImageRecord
from huizhen.core.study import ImageModality, ReaderKind, Source, TableModality
from huizhen.data.readers.interface import Reader, Scan, image_order
from huizhen.data.readers.open import open_source
from huizhen.errors import DataError, HuizhenError, UnreadableFileError

PATIENTS = ("ZHANG^WEI", "007", "MUELLER-3")
"""Ids as hospitals have them, with a name: none may stand in an exclusion or a message."""

PIXELS = np.arange(120, dtype=np.uint8).reshape(10, 12) * 2
UNITS = {"patient", "image", "row", "cell"}


def _dicom(path: Path, place: int) -> None:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.Modality = "1.2.840.10008.5.1.4.1.1.1.2", "MG"
    data.PatientID, data.StudyInstanceUID = PATIENTS[place], f"1.2.{place + 1}"
    data.SeriesInstanceUID, data.SOPInstanceUID = f"1.2.{place + 1}.1", f"1.2.{place + 1}.1.1"
    data.Rows, data.Columns = PIXELS.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = (PIXELS + place).tobytes()
    data.save_as(path, enforce_file_format=True)


def _nifti(path: Path, place: int) -> None:
    nib.save(nib.Nifti1Image(np.stack([PIXELS.T + place + i for i in range(5)], axis=2), np.eye(4)), path)


def _image(path: Path, place: int) -> None:
    Image.fromarray(PIXELS + place).save(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of reader and how to write what it reads: `write` one file, or everything at once."""

    reader: ReaderKind
    suffix: str
    write: Callable[[Path, int], None] | None = None


KINDS = [
    Kind(reader=ReaderKind.DICOM, suffix=".dcm", write=_dicom),
    Kind(reader=ReaderKind.NIFTI, suffix=".nii.gz", write=_nifti),
    Kind(reader=ReaderKind.IMAGES, suffix=".png", write=_image),
    Kind(reader=ReaderKind.NPZ, suffix=".npz"),
    Kind(reader=ReaderKind.TABLE, suffix=".csv"),
]
FOLDERS = [kind for kind in KINDS if kind.write is not None]


def by_name(kinds: list[Kind]) -> Any:
    return pytest.mark.parametrize("kind", kinds, ids=[kind.reader.value for kind in kinds])


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """A folder with three patients; the third has no label."""

    root: Path
    kind: Kind

    @property
    def path(self) -> str:
        return "data" if self.kind.write else f"data{self.kind.suffix}"

    @property
    def source(self) -> Source:
        columns = {"patient": "pid", "outcome": "label", **({"image": "file"} if self.kind.write else {})}
        labels = None if self.kind.reader is ReaderKind.TABLE else "labels.csv"
        return Source.model_validate(
            {
                "reader": self.kind.reader,
                "modality": "X",
                "path": self.path,
                "labels": labels,
                "columns": columns,
            }
        )

    def open(self, source: Source | None = None, *, channels: int = 1) -> Reader:
        table = TableModality(name="X", kind="table", numeric=("age",), categorical=("side",))
        modality = (
            table if self.kind.reader is ReaderKind.TABLE else ImageModality(name="X", channels=channels)
        )
        return open_source(source or self.source, roots=[self.root], site="north", index=3, modality=modality)


@pytest.fixture
def hospital(tmp_path: Path, kind: Kind) -> Hospital:
    rows = [(f"f{i}", patient, ("1.0", "0", "")[i]) for i, patient in enumerate(PATIENTS)]
    lines = [f"{file},{patient},{label},4{i},left" for i, (file, patient, label) in enumerate(rows)]
    table = "file,pid,label,age,side\n" + "\n".join(lines) + "\n"
    (tmp_path / "labels.csv").write_text(table)
    if kind.write:
        (tmp_path / "data").mkdir()
        for place in (2, 0, 1):
            kind.write(tmp_path / f"data/f{place}{kind.suffix}", place)
    elif kind.reader is ReaderKind.NPZ:
        np.savez_compressed(tmp_path / "data.npz", images=np.stack([PIXELS + i for i in range(3)]))
    else:
        (tmp_path / "data.csv").write_text(table)
    return Hospital(root=tmp_path, kind=kind)


def found_patients(scan: Scan) -> set[str]:
    return {record.patient_id for record in scan.images} | set(scan.rows)


@by_name(KINDS)
def test_all_patients_and_their_outcomes_are_found(hospital):
    scan = hospital.open().scan()
    assert found_patients(scan) == set(PATIENTS)
    assert scan.outcomes == {PATIENTS[0]: ("1",), PATIENTS[1]: ("0",)}
    assert [(one.unit, one.reason) for one in scan.exclusions] == [("patient", "missing_label")]
    assert {(record.modality, record.source) for record in scan.images} <= {("X", 3)}


@by_name(KINDS)
def test_a_scan_is_the_same_each_time_and_sorted(hospital):
    scan = hospital.open().scan()
    assert hospital.open().scan() == scan
    assert list(scan.images) == sorted(scan.images, key=image_order)
    assert list(scan.rows) == sorted(scan.rows)


@by_name(KINDS)
def test_digests_follow_the_content_wherever_it_lies(hospital, tmp_path):
    scan = hospital.open().scan()
    moved = replace(hospital, root=tmp_path / "elsewhere")
    moved.root.mkdir()
    for item in (hospital.path, "labels.csv"):
        copy = shutil.copytree if (tmp_path / item).is_dir() else shutil.copy
        copy(tmp_path / item, moved.root / item)
    assert moved.open().scan() == scan
    assert len({record.digest for record in scan.images}) == len(scan.images)


@by_name(KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_channels_first_float32_in_0_1(hospital, channels):
    reader = hospital.open(channels=channels)
    for record in reader.scan().images:
        pixels = reader.pixels(record)
        assert pixels.shape == (channels, 10, 12)
        assert pixels.dtype == np.float32
        assert pixels.flags.c_contiguous
        assert 0 <= pixels.min() < pixels.max() <= 1
        np.testing.assert_array_equal(reader.pixels(record), pixels)
        assert reader.mask(record) is None
        assert not record.has_mask
        path = reader.dataset_path(record)
        assert (path is not None) == (hospital.kind.reader is ReaderKind.DICOM)


@by_name(KINDS)
def test_a_reader_and_its_records_go_to_other_processes(hospital):
    reader = hospital.open()
    scan = reader.scan()
    copy, records = pickle.loads(pickle.dumps((reader, scan.images)))
    assert copy.scan() == scan
    for record in records:
        np.testing.assert_array_equal(copy.pixels(record), reader.pixels(record))


@by_name(KINDS)
def test_an_absent_path_names_field_file_and_remedy(hospital):
    with pytest.raises(DataError) as caught:
        hospital.open(hospital.source.model_copy(update={"path": "absent"}))
    assert (caught.value.field, caught.value.file) == ("site.source.path", "absent")
    assert caught.value.remedy


@by_name([kind for kind in KINDS if kind.reader is not ReaderKind.TABLE])
def test_absent_labels_name_their_field(hospital):
    with pytest.raises(DataError) as caught:
        hospital.open(hospital.source.model_copy(update={"labels": "absent.csv"}))
    assert (caught.value.field, caught.value.file) == ("site.source.labels", "absent.csv")


@by_name(KINDS)
def test_paths_outside_the_root_are_refused(hospital, tmp_path):
    inner = replace(hospital, root=tmp_path / "inner")
    inner.root.mkdir()
    for path in (f"../{hospital.path}", str(tmp_path / hospital.path)):
        with pytest.raises(DataError, match="outside the data root"):
            inner.open(hospital.source.model_copy(update={"path": path}))


@by_name(FOLDERS)
def test_an_empty_folder_is_refused(hospital, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file") as caught:
        hospital.open(hospital.source.model_copy(update={"path": "empty"})).scan()
    assert caught.value.field == "site.source.path"


@by_name([kind for kind in KINDS if kind.write is None])
@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"PK\x03\x04 and no more"])
def test_a_broken_file_is_refused(hospital, tmp_path, content):
    (tmp_path / hospital.path).write_bytes(content)
    with pytest.raises(DataError) as caught:
        hospital.open().scan()
    assert caught.value.file == hospital.path


@by_name(FOLDERS)
def test_a_bad_file_among_good_ones_is_counted(hospital, tmp_path, kind):
    first = tmp_path / f"data/f0{kind.suffix}"
    first.write_bytes(first.read_bytes()[:-40])
    (tmp_path / f"data/text{kind.suffix}").write_text("nothing that a reader knows")
    rows = (tmp_path / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(rows + "text,PATIENT-X,1,50,left\n")
    scan = hospital.open().scan()
    assert found_patients(scan) == set(PATIENTS[1:])
    unreadable = [one.subject for one in scan.exclusions if one.reason == "unreadable"]
    assert sorted(unreadable) == [f"f0{kind.suffix}", f"text{kind.suffix}"]


@by_name(FOLDERS)
def test_a_file_that_breaks_after_the_scan_is_unreadable(hospital, tmp_path, kind):
    reader = hospital.open()
    [record, *_] = (one for one in reader.scan().images if one.patient_id == PATIENTS[0])
    (tmp_path / f"data/f0{kind.suffix}").write_bytes(b"overwritten")
    with pytest.raises(UnreadableFileError) as caught:
        reader.pixels(record)
    assert caught.value.file == f"f0{kind.suffix}"
    assert not names_a_patient(str(caught.value))


def names_a_patient(text: str) -> bool:
    return any(patient in text for patient in PATIENTS)


def tells_nothing(one: Exclusion) -> bool:
    return one.unit in UNITS and one.site == "north" and not names_a_patient(f"{one.reason}{one.subject}")


@by_name(KINDS)
def test_no_exclusion_names_a_patient(hospital, tmp_path, kind):
    table = tmp_path / ("data.csv" if kind.reader is ReaderKind.TABLE else "labels.csv")
    text = table.read_text()
    table.write_text(text.replace("1.0,40", ",forty").replace(",0,41", ",,inf"))
    if kind.write:
        (tmp_path / f"data/more{kind.suffix}").write_text("broken")
    scan = hospital.open().scan()
    assert scan.exclusions
    assert all(map(tells_nothing, scan.exclusions))
    assert scan.outcomes == {}


@by_name(KINDS)
def test_an_absent_column_names_the_nearest(hospital):
    columns = hospital.source.columns.model_copy(update={"outcome": "lable"})
    with pytest.raises(DataError, match=r"no column lable.*did you mean label\?") as caught:
        hospital.open(hospital.source.model_copy(update={"columns": columns})).scan()
    assert caught.value.field == "site.source.columns"


@by_name(KINDS)
def test_where_keeps_patients(hospital):
    source = hospital.source.model_copy(update={"where": {"age": 41}})
    scan = hospital.open(source).scan()
    assert found_patients(scan) == {PATIENTS[1]}
    assert scan.outcomes == {PATIENTS[1]: ("0",)}
    assert scan.exclusions == ()


@by_name(KINDS)
def test_where_that_keeps_nobody_is_refused(hospital):
    source = hospital.source.model_copy(update={"where": {"age": 99}})
    with pytest.raises(DataError) as caught:
        hospital.open(source).scan()
    assert caught.value.field == "site.source.where"


class Watched:
    """Progress that counts."""

    def __init__(self) -> None:
        self.total, self.done = 0, 0

    def track(self, task: str, total: int, *, about: str = "") -> Watched:
        assert (task, about) == ("ingest", "north X")
        self.total = total
        return self

    def __enter__(self) -> Callable[[int], None]:
        return self.advance

    def __exit__(self, *_: object) -> None:
        return None

    def advance(self, steps: int) -> None:
        self.done += steps

    def note(self, text: str) -> None:
        raise AssertionError(text)


@by_name(KINDS)
def test_progress_reaches_its_end(hospital):
    watched = Watched()
    hospital.open().scan(watched)
    assert watched.done == watched.total == 3


def scanned(reader: Reader) -> Sequence[ImageRecord]:
    """Return what a scan finds, nothing if it raises one of our errors."""
    try:
        return reader.scan().images
    except HuizhenError:
        return ()


@by_name(KINDS)
def test_every_error_is_one_of_ours(hospital, tmp_path, kind):
    """Whatever bytes stand in the first file, a scan ends or raises one of our errors."""
    draw = np.random.Generator(np.random.Philox(11))
    path = tmp_path / (f"data/f0{kind.suffix}" if kind.write else hospital.path)
    whole = path.read_bytes()
    for _ in range(60):
        damaged = bytearray(whole)
        for place in draw.integers(0, len(whole), 6):
            damaged[place] = draw.integers(0, 256)
        path.write_bytes(bytes(damaged[: int(draw.integers(1, len(whole) + 1))]))
        reader = hospital.open()
        images = scanned(reader)
        for record in images:
            try:
                pixels = reader.pixels(record)
            except UnreadableFileError:
                continue
            known = pixels[np.isfinite(pixels)]
            assert ((known >= 0) & (known <= 1)).all()
