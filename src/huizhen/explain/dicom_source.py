"""What a heatmap must know of the DICOM image that it explains: identity, size and where it lies."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement

from huizhen.data.readers.dicom_limits import check_frames, unpacked
from huizhen.errors import DataError, InvalidInputError, UnreadableFileError

DICOM_SUFFIXES: Final = frozenset({".dcm", ".dicom", ".ima"})
"""Files with these names are DICOM even without the preamble (PS3.10, section 7.1) that marks them."""

PATIENT_AND_STUDY: Final = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "AccessionNumber",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "ReferringPhysicianName",
)
"""Attributes of patient and study (PS3.3, C.7.1.1 and C.7.2.1) by which an archive files an object."""

IMAGE: Final = ("BodyPartExamined", "Laterality", "LossyImageCompression", "Modality")
"""Attributes of the image that hold for what is derived from it and identify nobody."""

SHOWN: Final = (
    "ImageLaterality",
    "ImagerPixelSpacing",
    "PatientOrientation",
    "PixelSpacing",
    "PixelSpacingCalibrationDescription",
    "PixelSpacingCalibrationType",
    "ViewCodeSequence",
    "ViewPosition",
)
"""Further ones that hold where the image's own pixels are shown (PS3.3, C.7.6.1, C.8.11.7, 10.7.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where an image lies in the patient: PS3.3, C.7.6.2. Millimetres; spacing between rows, then columns."""

    frame_of_reference: str
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    thickness_mm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """One image of a DICOM file: `frame` counts from 1 and is None for single-frame objects."""

    sop_class: str
    sop_uid: str
    study_uid: str
    series_uid: str
    rows: int
    columns: int
    frame: int | None
    geometry: Geometry | None
    patient_and_study: Mapping[str, DataElement]
    image: Mapping[str, DataElement]
    shown: Mapping[str, DataElement]

    def under(self, remapped: Callable[[str], str]) -> SourceImage:
        """Return the image with every UID that names something of the patient's put through `remapped`."""
        place = self.geometry
        if place is not None:
            place = replace(place, frame_of_reference=remapped(place.frame_of_reference))
        return replace(
            self,
            sop_uid=remapped(self.sop_uid),
            study_uid=remapped(self.study_uid),
            series_uid=remapped(self.series_uid),
            geometry=place,
        )


def read_source(path: Path, *, frame: int | None) -> SourceImage | None:
    """Return the image at `path`, or None if it isn't DICOM. `frame` (from 0) is one of a multi-frame object.

    Pixels are not read. Raises `UnreadableFileError` on a broken file, `DataError` on one without an image or
    its identifiers, and `InvalidInputError` when `frame` and file don't fit.
    """
    try:
        with warnings.catch_warnings(), path.open("rb") as stream:
            warnings.simplefilter("ignore")  # odd values are copied or left out, not judged
            marked = stream.read(132)[128:] == b"DICM"
            if not marked and path.suffix.lower() not in DICOM_SUFFIXES:
                return None
            content, _ = unpacked(stream, file=path.name)
            dataset = dcmread(content, stop_before_pixels=True, force=not marked)
            check_frames(dataset, file=path.name)
            return _describe(dataset, frame, path)
    except (DataError, InvalidInputError):
        raise
    except Exception as error:  # pydicom raises many kinds on broken files
        raise UnreadableFileError(
            f"is not readable as DICOM ({type(error).__name__})", remedy="export it again", file=path.name
        ) from error


def _describe(dataset: Dataset, frame: int | None, path: Path) -> SourceImage:
    wanted = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")
    if lacking := [keyword for keyword in wanted if not dataset.get(keyword)]:
        raise DataError(f"lacks {', '.join(lacking)}", remedy="name an image file", file=path.name)
    number = _frame_number(dataset, frame, path)
    return SourceImage(
        sop_class=str(dataset.SOPClassUID),
        sop_uid=str(dataset.SOPInstanceUID),
        study_uid=str(dataset.StudyInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        frame=number,
        geometry=_geometry(dataset, number),
        patient_and_study={k: dataset[k] for k in PATIENT_AND_STUDY if k in dataset},
        image={k: dataset[k] for k in IMAGE if dataset.get(k)},
        shown={k: dataset[k] for k in SHOWN if dataset.get(k)},
    )


def _frame_number(dataset: Dataset, frame: int | None, path: Path) -> int | None:
    count = int(dataset.get("NumberOfFrames") or 1)
    if frame is None and count > 1:
        raise InvalidInputError(f"has {count} frames", remedy="say which one", field="frame", file=path.name)
    if frame is not None and not 0 <= frame < count:
        raise InvalidInputError(
            f"has {count} frames, none is {frame}",
            remedy="count frames from 0",
            field="frame",
            file=path.name,
        )
    return None if "NumberOfFrames" not in dataset else (frame or 0) + 1


def _geometry(dataset: Dataset, number: int | None) -> Geometry | None:
    """Return the geometry, or None where a value is missing or makes no sense."""
    position, orientation, measures = _planes(dataset, number)
    found = (
        dataset.get("FrameOfReferenceUID"),
        position.get("ImagePositionPatient"),
        orientation.get("ImageOrientationPatient"),
        measures.get("PixelSpacing"),
    )
    if not all(found):
        return None
    values = [np.array([float(v) for v in numbers]) for numbers in found[1:]]
    if not _makes_sense(*values):
        return None
    thickness = measures.get("SliceThickness")
    return Geometry(
        frame_of_reference=str(found[0]),
        position_mm=tuple(values[0].tolist()),
        orientation=tuple(values[1].tolist()),
        spacing_mm=tuple(values[2].tolist()),
        thickness_mm=float(thickness) if thickness and float(thickness) > 0 else None,
    )


def _planes(dataset: Dataset, number: int | None) -> tuple[Dataset, Dataset, Dataset]:
    """Return where position, orientation and measures stand: at the root, or in functional groups."""
    if "PerFrameFunctionalGroupsSequence" not in dataset or number is None:
        return dataset, dataset, dataset
    groups: list[Dataset] = [dataset.PerFrameFunctionalGroupsSequence[number - 1]]
    groups.extend(dataset.get("SharedFunctionalGroupsSequence") or [])

    def macro(keyword: str) -> Dataset:
        items: list[Any] = [group[keyword].value[0] for group in groups if group.get(keyword)]
        return items[0] if items else Dataset()

    return macro("PlanePositionSequence"), macro("PlaneOrientationSequence"), macro("PixelMeasuresSequence")


def _makes_sense(
    position: np.ndarray[Any, Any], cosines: np.ndarray[Any, Any], spacing: np.ndarray[Any, Any]
) -> bool:
    """Tell whether rows and columns are unit vectors at right angles and pixels have a size."""
    if (position.shape, cosines.shape, spacing.shape) != ((3,), (6,), (2,)):
        return False
    axes = cosines.reshape(2, 3)
    upright = np.allclose(axes @ axes.T, np.eye(2), atol=1e-2)
    return bool(np.isfinite(position).all() and upright and np.isfinite(spacing).all() and spacing.min() > 0)
