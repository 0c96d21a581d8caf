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
    if str(dataset.get("Modality", "")) not in VOLUMES or int(dataset.get("SamplesPerPixel", 1)) != 1:
        return ()
    frames = int(dataset.get("NumberOfFrames") or 1)
    if "PerFrameFunctionalGroupsSequence" in dataset:
        return tuple(_enhanced(dataset, frame) for frame in range(frames))
    return (_single(dataset),) if frames == 1 else ()


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
    measures = frame_item(dataset, frame, "PixelMeasuresSequence")
    for value in (
        measures.get("PixelSpacing"),
        dataset.get("PixelSpacing"),
        dataset.get("ImagerPixelSpacing"),
    ):
        if found := _numbers(value, 2):
            return found[0], found[1]
    for region in dataset.get("SequenceOfUltrasoundRegions") or ():
        found = _numbers((region.get("PhysicalDeltaY", 0), region.get("PhysicalDeltaX", 0)), 2)
        if region.get("PhysicalUnitsXDirection") == _CENTIMETRES and all(found):
            return abs(found[0]) * 10, abs(found[1]) * 10
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
    orientation = _numbers(dataset.get("ImageOrientationPatient"), 6)
    position = _along_normal(_numbers(dataset.get("ImagePositionPatient"), 3), orientation)
    times = (
        _moment(dataset, "AcquisitionDateTime"),
        seconds_of(_text(dataset, "AcquisitionDate"), _text(dataset, "AcquisitionTime")),
        seconds_of(_text(dataset, "ContentDate"), _text(dataset, "ContentTime")),
    )
    return Plane(
        frame=None,
        geometry=_geometry(dataset, orientation, _numbers(dataset.get("PixelSpacing"), 2), dataset),
        position_mm=position if position is not None else _number(dataset.get("SliceLocation")),
        temporal=int(_number(dataset.get("TemporalPositionIdentifier")) or 0),
        time_s=next((time for time in times if not math.isnan(time)), math.nan),
        trigger_ms=_number(dataset.get("TriggerTime")) or 0.0,
        acquisition=int(_number(dataset.get("AcquisitionNumber")) or 0),
        instance=int(_number(dataset.get("InstanceNumber")) or 0),
    )


def _enhanced(dataset: Dataset, frame: int) -> Plane:
    """Return the plane of one frame of an Enhanced object."""
    content = frame_item(dataset, frame, "FrameContentSequence")
    timing = frame_item(dataset, frame, "MREchoSequence")
    orientation = _numbers(
        frame_item(dataset, frame, "PlaneOrientationSequence").get("ImageOrientationPatient"), 6
    )
    position = _numbers(frame_item(dataset, frame, "PlanePositionSequence").get("ImagePositionPatient"), 3)
    spacing = _numbers(frame_item(dataset, frame, "PixelMeasuresSequence").get("PixelSpacing"), 2)
    times = (_moment(content, "FrameAcquisitionDateTime"), _moment(content, "FrameReferenceDateTime"))
    return Plane(
        frame=frame,
        geometry=_geometry(dataset, orientation, spacing, timing),
        position_mm=_along_normal(position, orientation),
        temporal=int(_number(content.get("TemporalPositionIndex")) or 0),
        time_s=next((time for time in times if not math.isnan(time)), math.nan),
        trigger_ms=0.0,
        acquisition=int(_number(content.get("FrameAcquisitionNumber")) or 0),
        instance=int(_number(content.get("InStackPositionNumber")) or frame + 1),
    )


def _geometry(
    dataset: Dataset, orientation: tuple[float, ...], spacing: tuple[float, ...], timing: Dataset
) -> tuple[Any, ...]:
    """Return what planes of one acquisition share; `timing` holds the echo time."""
    echo = _number(timing.get("EchoTime") or timing.get("EffectiveEchoTime"))
    return (
        int(dataset.Rows),
        int(dataset.Columns),
        tuple(round(value, 2) for value in orientation),
        tuple(round(value, 2) for value in spacing),
        None if echo is None else round(echo, 1),
        _number(dataset.get("FlipAngle")),
        _text(dataset, "ScanOptions"),
        _text(dataset, "ImageType"),
        "DiffusionBValue" in dataset,
    )


def _along_normal(position: tuple[float, ...], orientation: tuple[float, ...]) -> float | None:
    """Return a position's distance along the slice normal. Source: DICOM PS3.3 C.7.6.2.1.1."""
    if len(position) != 3 or len(orientation) != 6:
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    return float(np.dot(normal, position))


def _numbers(value: Any, count: int) -> tuple[float, ...]:
    """Return `count` finite numbers, or none at all."""
    try:
        found = tuple(float(one) for one in value or ())
    except (TypeError, ValueError):
        return ()
    return found if len(found) == count and all(map(math.isfinite, found)) else ()


def _number(value: Any) -> float | None:
    """Return one finite number, or None."""
    if value is None or value == "":
        return None
    found = _numbers([value], 1)
    return found[0] if found else None


def _text(dataset: Dataset, keyword: str) -> str:
    """Return an element as text; several values by backslash."""
    value = dataset.get(keyword)
    if value is None or isinstance(value, str):
        return value or ""
    return "\\".join(map(str, value)) if hasattr(value, "__iter__") else str(value)


def _moment(dataset: Dataset, keyword: str) -> float:
    """Return a date-and-time element in seconds, NaN when it is absent."""
    text = _text(dataset, keyword)
    return seconds_of(text[:8], text[8:])
