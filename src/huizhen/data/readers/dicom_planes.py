"""Where the planes of an MR, CT or PET object lie in space and time.

A file of one image is one plane; an Enhanced multi-frame object holds one a frame.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from huizhen.data.readers.dicom_values import number_of, numbers_of, text_of, value_of, whole_number_of

__all__ = ["Plane", "frame_item", "planes_of", "seconds_of", "spacing_of"]

VOLUMES = frozenset({"MR", "CT", "PT"})
"""Values of Modality whose single images are slices of a volume."""

_CENTIMETRES = 3
"""Of Physical Units X Direction."""
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2}(?:\.\d*)?)?.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One slice at one time. `frame` (from 0) is None for a file of one image.

    `geometry` is equal for planes that could be phases of one acquisition: same size, spacing, orientation,
    echo, flip angle, fat suppression and image type. `position_mm` lies along the slice normal, None if
    unknown. `time_s` counts from the year 1, NaN if unknown; the other fields are 0 if unknown.
    """

    frame: int | None
    geometry: tuple[Any, ...]
    position_mm: float | None
    temporal: int
    time_s: float
    trigger_ms: float
    acquisition: int
    instance: int


def planes_of(dataset: Dataset) -> tuple[Plane, ...]:
    """Return the planes of an object, none where it is no volume's: a mammogram, a clip, a colour picture."""
    if text_of(dataset, "Modality") not in VOLUMES or whole_number_of(dataset, "SamplesPerPixel", 1) != 1:
        return ()
    frames = whole_number_of(dataset, "NumberOfFrames", 1)
    if "PerFrameFunctionalGroupsSequence" in dataset:
        return tuple(_enhanced(dataset, frame) for frame in range(frames))
    return (_single(dataset),) if frames <= 1 else ()


def frame_item(dataset: Dataset, frame: int, keyword: str) -> Dataset:
    """Return a frame's item of a functional group: its own, else the shared one, else an empty dataset.

    Source: DICOM PS3.3 C.7.6.16.
    """
    own = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    for groups in (own[frame : frame + 1], dataset.get("SharedFunctionalGroupsSequence") or ()):
        for group in groups:
            if items := group.get(keyword):
                found: Dataset = items[0]
                return found
    return Dataset()


def spacing_of(dataset: Dataset, frame: int) -> tuple[float, float] | None:
    """Return the distance between rows and between columns in millimetres, None if unknown.

    From Pixel Spacing (a frame's own, else the file's), Imager Pixel Spacing at the detector, or an
    ultrasound region in centimetres. Source: DICOM PS3.3 10.7 and C.8.5.5.
    """
    holders = (
        (frame_item(dataset, frame, "PixelMeasuresSequence"), "PixelSpacing"),
        (dataset, "PixelSpacing"),
        (dataset, "ImagerPixelSpacing"),
    )
    for holder, keyword in holders:
        if found := numbers_of(holder, keyword, 2):
            return found[0], found[1]
    for region in value_of(dataset, "SequenceOfUltrasoundRegions") or ():
        row, column = number_of(region, "PhysicalDeltaY"), number_of(region, "PhysicalDeltaX")
        if number_of(region, "PhysicalUnitsXDirection") == _CENTIMETRES and row and column:
            return abs(row) * 10, abs(column) * 10
    return None


def seconds_of(day: str, time: str) -> float:
    """Return a DICOM date and time in seconds, NaN when there is no time. Without a date the day is 0.

    >>> seconds_of("", "000130.500"), seconds_of("20240102", "00:00:01") - seconds_of("20240101", "00")
    (90.5, 86401.0)
    """
    found = _TIME.fullmatch(time.strip())
    if found is None:
        return math.nan
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return _days(day) * 86400 + hours * 3600 + minutes * 60 + seconds


def _days(day: str) -> int:
    """Return the days since the year 1 of a DICOM date, 0 when it is none."""
    try:
        return date(int(day[:4]), int(day[4:6]), int(day[6:8])).toordinal()
    except ValueError:
        return 0


def _single(dataset: Dataset) -> Plane:
    """Return the plane of a file of one image."""
    orientation = numbers_of(dataset, "ImageOrientationPatient", 6)
    position = _along_normal(numbers_of(dataset, "ImagePositionPatient", 3), orientation)
    return Plane(
        frame=None,
        geometry=_geometry(dataset, orientation, numbers_of(dataset, "PixelSpacing", 2), dataset),
        position_mm=position if position is not None else number_of(dataset, "SliceLocation"),
        temporal=whole_number_of(dataset, "TemporalPositionIdentifier"),
        time_s=_first_known(
            _moment(dataset, "AcquisitionDateTime"),
            seconds_of(text_of(dataset, "AcquisitionDate"), text_of(dataset, "AcquisitionTime")),
            seconds_of(text_of(dataset, "ContentDate"), text_of(dataset, "ContentTime")),
        ),
        trigger_ms=number_of(dataset, "TriggerTime") or 0.0,
        acquisition=whole_number_of(dataset, "AcquisitionNumber"),
        instance=whole_number_of(dataset, "InstanceNumber"),
    )


def _enhanced(dataset: Dataset, frame: int) -> Plane:
    """Return the plane of one frame of an Enhanced object."""
    content = frame_item(dataset, frame, "FrameContentSequence")
    placed = frame_item(dataset, frame, "PlanePositionSequence")
    turned = frame_item(dataset, frame, "PlaneOrientationSequence")
    measures = frame_item(dataset, frame, "PixelMeasuresSequence")
    orientation = numbers_of(turned, "ImageOrientationPatient", 6)
    spacing = numbers_of(measures, "PixelSpacing", 2)
    return Plane(
        frame=frame,
        geometry=_geometry(dataset, orientation, spacing, frame_item(dataset, frame, "MREchoSequence")),
        position_mm=_along_normal(numbers_of(placed, "ImagePositionPatient", 3), orientation),
        temporal=whole_number_of(content, "TemporalPositionIndex"),
        time_s=_first_known(
            _moment(content, "FrameAcquisitionDateTime"), _moment(content, "FrameReferenceDateTime")
        ),
        trigger_ms=0.0,
        acquisition=whole_number_of(content, "FrameAcquisitionNumber"),
        instance=whole_number_of(content, "InStackPositionNumber", frame + 1),
    )


def _geometry(
    dataset: Dataset, orientation: tuple[float, ...], spacing: tuple[float, ...], timing: Dataset
) -> tuple[Any, ...]:
    """Return what planes of one acquisition share; `timing` holds the echo time."""
    echo = number_of(timing, "EchoTime") or number_of(timing, "EffectiveEchoTime")
    return (
        int(dataset.Rows),
        int(dataset.Columns),
        tuple(round(value, 2) for value in orientation),
        tuple(round(value, 2) for value in spacing),
        None if echo is None else round(echo, 1),
        number_of(dataset, "FlipAngle"),
        text_of(dataset, "ScanOptions"),
        text_of(dataset, "ImageType"),
        "DiffusionBValue" in dataset,
    )


def _along_normal(position: tuple[float, ...], orientation: tuple[float, ...]) -> float | None:
    """Return a position's distance along the slice normal. Source: DICOM PS3.3 C.7.6.2.1.1."""
    if len(position) != 3 or len(orientation) != 6:
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    return float(np.dot(normal, position))


def _first_known(*times: float) -> float:
    """Return the first of several times that is known, NaN if none is."""
    return next((time for time in times if not math.isnan(time)), math.nan)


def _moment(dataset: Dataset, keyword: str) -> float:
    """Return a date-and-time element in seconds, NaN when it is absent."""
    text = text_of(dataset, keyword)
    return seconds_of(text[:8], text[8:])
