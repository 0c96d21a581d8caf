"""One DICOM file's header: whose image it is, of what kind, where it lies in a series; is it whole?"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from huizhen.core.digests import Digest
from huizhen.data.readers.dicom_kinds import body_part_of, modality_of
from huizhen.data.readers.dicom_length import check_pixel_data
from huizhen.data.readers.dicom_limits import check_frames, unpacked
from huizhen.data.readers.dicom_planes import Plane, planes_of
from huizhen.data.readers.dicom_values import text_of, whole_number_of
from huizhen.data.readers.dicom_views import view_of
from huizhen.data.readers.labels import is_phantom
from huizhen.data.readers.persons import Person, person_of
from huizhen.errors import UnreadableFileError

__all__ = ["MOST_PIXELS", "Header", "quiet", "read_dataset", "read_header"]

MOST_PIXELS = 150_000_000
"""Pixels of one frame up to which an image is decoded (a digital mammogram has about 30 million)."""

_NO_IMAGES = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
"""Segmentations: they have pixels, but are no images of the patient."""

_RAW = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1.1.1",
        "1.2.840.10008.5.1.4.1.1.1.2.1",
        "1.2.840.10008.5.1.4.1.1.1.3.1",
    }
)
"""Digital X-ray and mammography images "for processing": what the detector gave, before any filter."""

_DIRECTORY = "1.2.840.10008.1.3.10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the scan needs of one file. `file` is its path below the source's folder."""

    file: str
    digest: Digest
    patient: str
    study: str
    series: str
    instance: str
    modality: str
    sop_class: str
    rows: int
    columns: int
    frames: int
    """0 for an object without pixels."""
    view: str
    scanner: str
    phantom: bool
    series_number: int
    planes: tuple[Plane, ...]
    """Empty for what is no slice of a volume."""
    body_part: str = ""
    person: Person = field(default_factory=Person)

    @property
    def is_image(self) -> bool:
        """Whether the object is an image of the patient: not a report, a waveform or a segmentation."""
        return self.frames > 0 and self.sop_class not in _NO_IMAGES

    @property
    def is_raw(self) -> bool:
        """Whether the image is for processing, not for a reader's eyes."""
        return self.sop_class in _RAW

    @property
    def is_directory(self) -> bool:
        """Whether the file is a DICOMDIR: an index of others."""
        return self.sop_class == _DIRECTORY


def read_header(path: Path, file: str) -> Header:
    """Return the header of the file at `path`, named `file` in the scan.

    Raises `UnreadableFileError` when it is not DICOM, is truncated, an image without pixels included, has an
    image of no size or of more than `MOST_PIXELS`, announces or unpacks to more than `dicom_limits` allow, or
    is compressed in a way that nothing installed decodes.
    """
    try:
        return _read(path, file)
    except UnreadableFileError:
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise _unreadable(path, error) from error


def read_dataset(path: Path, *, pixels: bool = True) -> Dataset:
    """Return a file's dataset, with its pixels or without, and its transfer syntax known.

    Raises `UnreadableFileError`.
    """
    try:
        with quiet(), path.open("rb") as stream:
            return _parsed(stream, path.name, pixels=pixels)[0]
    except UnreadableFileError:
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise _unreadable(path, error) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings and log: hospitals' files are full of odd values, and both print them."""
    log = logging.getLogger("pydicom")
    was = log.disabled
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = was


def _read(path: Path, file: str) -> Header:
    """Return a file's header, or raise whatever pydicom does."""
    with quiet(), path.open("rb") as stream:
        digest = Digest(hashlib.file_digest(stream, "sha256").hexdigest())
        dataset, content = _parsed(stream, path.name)
        header = _header(file, digest, dataset)
        if not header.frames and "Image Storage" in UID(header.sop_class).name:
            raise ValueError("an image that ends before its pixels")
        if header.is_image:
            _check_size(header)
            check_pixel_data(content, dataset, header.frames)
        return header


def _parsed(stream: BinaryIO, name: str, *, pixels: bool = False) -> tuple[Dataset, BinaryIO]:
    """Return the dataset of the open file `name`, and what it is read from.

    It ends, and the other stands, before the pixels unless they are wanted. Files without the 128-byte
    preamble are read if they begin with a group 0002 or 0008 element.
    """
    stream.seek(0)
    start = stream.read(132)
    bare = start[128:] != b"DICM"
    if bare and start[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        raise ValueError("not DICOM")
    content, meta = unpacked(stream, file=name)
    dataset = pydicom.dcmread(content, stop_before_pixels=not pixels, force=bare)
    if meta is not None:
        dataset.file_meta = meta
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _guessed_syntax(dataset)
    check_frames(dataset, file=name)
    return dataset, content


def _guessed_syntax(dataset: Dataset) -> UID:
    """Return the uncompressed transfer syntax in which a file without one was found to be written."""
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _header(file: str, digest: Digest, dataset: Dataset) -> Header:
    """Return the header of a parsed dataset. Raises `ValueError` when it lacks what identifies an object."""
    sop_class = text_of(dataset, "SOPClassUID") or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    if not sop_class:
        raise ValueError("no SOP class")
    sized = "Rows" in dataset and "Columns" in dataset
    return Header(
        file=file,
        digest=digest,
        patient=text_of(dataset, "PatientID"),
        study=text_of(dataset, "StudyInstanceUID"),
        series=text_of(dataset, "SeriesInstanceUID"),
        instance=text_of(dataset, "SOPInstanceUID"),
        modality=modality_of(text_of(dataset, "Modality"), sop_class),
        sop_class=sop_class,
        rows=int(dataset.Rows) if sized else 0,
        columns=int(dataset.Columns) if sized else 0,
        frames=max(1, whole_number_of(dataset, "NumberOfFrames", 1)) if sized else 0,
        view=view_of(dataset),
        scanner=" ".join(
            f"{text_of(dataset, 'Manufacturer')} {text_of(dataset, 'ManufacturerModelName')}".split()
        ),
        phantom=_says_phantom(dataset),
        series_number=whole_number_of(dataset, "SeriesNumber"),
        planes=planes_of(dataset),
        body_part=body_part_of(dataset),
        person=person_of(
            name=text_of(dataset, "PatientName"),
            birth_date=text_of(dataset, "PatientBirthDate"),
            sex=text_of(dataset, "PatientSex"),
            issuer=text_of(dataset, "IssuerOfPatientID"),
        ),
    )


def _says_phantom(dataset: Dataset) -> bool:
    """Tell whether a file is marked as a phantom by its patient id, image type or comments."""
    return (
        is_phantom(text_of(dataset, "PatientID"))
        or any("PHANTOM" in value for value in text_of(dataset, "ImageType").upper().split("\\")[2:])
        or text_of(dataset, "ImageComments").upper().startswith("PHANTOM, NOT A PATIENT")
    )


def _check_size(header: Header) -> None:
    """Check that a frame has a size, and one that can be decoded. Raises `ValueError`."""
    if not 0 < header.rows * header.columns <= MOST_PIXELS:
        raise ValueError("no image of this size")


def _unreadable(path: Path, error: Exception) -> UnreadableFileError:
    """Return the error for a file that can't be read; it tells the kind of error, never a value."""
    return UnreadableFileError(
        f"can't be read as DICOM ({type(error).__name__})",
        remedy="send it again from the archive, if possible without compression",
        file=path.name,
    )
