"""The two DICOM objects that carry a heatmap, built by highdicom and made reproducible."""

from __future__ import annotations

import copy
import hashlib
import hmac
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import numpy as np
from highdicom import (
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
    VOILUTTransformation,
)
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes

from huizhen import __version__
from huizhen.core.digests import Digest, digest_bytes
from huizhen.errors import InvalidInputError
from huizhen.explain.dicom_source import Geometry, SourceImage
from huizhen.explain.overlay import PHANTOM_MARK

FULL_SCALE: Final = 65535
"""The stored value of heat 1 in a Parametric Map; values are heat x 65535, rounded."""

SERIES_NUMBER: Final = 9700
MAKER: Final = "huizhen"
UTF_8: Final = "ISO_IR 192"

SCALE: Final = "1 = highest of the patient's images of this modality"
"""What heat means, at most 64 characters (a long string)."""

REMOVED: Final = "patient's attributes not copied; UIDs replaced under a secret"
"""What was done to an object that names its patient by pseudonym (PS3.3, C.7.1.1)."""

STAND_IN_CLASS: Final = "1.2.840.10008.5.1.4.1.1.4"
"""MR Image: any class of single-frame images with a geometry would do; references are set afterwards."""


class Identity(StrEnum):
    """Whom the object names as its patient."""

    PSEUDONYM = "pseudonym"
    """The study's pseudonym and nothing else of the patient; UIDs of the source are replaced."""
    SOURCE = "source"
    """The source's patient and study attributes, so that the archive files the object with the image.

    For use inside the hospital that holds the image, and nowhere else.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What is written into an object beside its pixels."""

    study_uid: str
    series_uid: str
    instance_uid: str = ""
    instance_number: int
    pseudonym: str
    identity: Identity
    description: str
    study_digest: Digest
    model_digest: Digest
    made_at: datetime
    phantom: bool

    @property
    def title(self) -> str:
        """The description, marked where the image is a phantom's."""
        return f"PHANTOM {self.description}" if self.phantom else self.description

    def for_pixels(self, pixels: bytes, sources: Sequence[SourceImage]) -> Stamp:
        """Return the stamp with the instance's UID, which follows from all that the object will hold."""
        origin = [f"{source.sop_uid}#{source.frame}" for source in sources]
        values = [str(getattr(self, field.name)) for field in fields(self)]
        return replace(self, instance_uid=derived_uid("instance", digest_bytes(pixels), *values, *origin))


def parametric_map(geometry: Geometry, stored: NDArray[np.uint16], stamp: Stamp) -> Dataset:
    """Return a Parametric Map (PS3.3, A.75) of one frame: `stored` (H, W), heat as 0..65535."""
    one = RealWorldValueMapping(
        lut_label="heat",
        lut_explanation=SCALE,
        unit=codes.UCUM.NoUnits,
        value_range=(0, FULL_SCALE),
        slope=1 / FULL_SCALE,
        intercept=0.0,
    )
    made = ParametricMap(
        source_images=[_stand_in(geometry, stored.shape, stamp)],
        pixel_array=stored,
        series_instance_uid=stamp.series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=stamp.instance_uid,
        instance_number=stamp.instance_number,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=__version__,
        device_serial_number=stamp.model_digest,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[one],
        voi_lut_transformations=[VOILUTTransformation(window_center=32768.0, window_width=65536.0)],
        content_description=stamp.title,
        content_label="HEATMAP",
        series_description=stamp.title,
        specific_character_set=UTF_8,
        content_date=stamp.made_at.date(),
        content_time=stamp.made_at.time(),
        pixel_measures=PixelMeasuresSequence(geometry.spacing_mm, geometry.thickness_mm),
        plane_orientation=PlaneOrientationSequence("PATIENT", geometry.orientation),
        plane_positions=[PlanePositionSequence("PATIENT", geometry.position_mm)],
    )
    del made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices  # of one slice
    return made


def _stand_in(geometry: Geometry, shape: tuple[int, ...], stamp: Stamp) -> Dataset:
    """Return what highdicom needs to know of the source, and nothing that identifies the patient."""
    image = Dataset()
    image.SOPClassUID = STAND_IN_CLASS
    image.SOPInstanceUID = stamp.instance_uid
    image.StudyInstanceUID = stamp.study_uid
    image.SeriesInstanceUID = stamp.series_uid
    image.Rows, image.Columns = shape
    image.FrameOfReferenceUID = geometry.frame_of_reference
    image.ImagePositionPatient = list(geometry.position_mm)
    image.ImageOrientationPatient = list(geometry.orientation)
    image.PixelSpacing = list(geometry.spacing_mm)
    image.SliceThickness = geometry.thickness_mm
    image.PatientID = image.PatientName = stamp.pseudonym
    image.PatientBirthDate = image.PatientSex = ""
    image.AccessionNumber = image.StudyID = image.StudyDate = image.StudyTime = ""
    return image


def secondary_capture(pixels: NDArray[np.uint8], stamp: Stamp) -> Dataset:
    """Return a Secondary Capture (PS3.3, A.8.1) of the overlay `pixels` (H, W, 3)."""
    made = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=stamp.study_uid,
        series_instance_uid=stamp.series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=stamp.instance_uid,
        instance_number=stamp.instance_number,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=__version__,
        device_serial_number=stamp.model_digest,
        patient_id=stamp.pseudonym,
        patient_name=stamp.pseudonym,
        patient_orientation=("L", "P"),  # highdicom wants one; `finish` puts the source's, or none
        series_description=stamp.title,
        specific_character_set=UTF_8,
        content_date=stamp.made_at.date(),
        content_time=stamp.made_at.time(),
    )
    made.ConversionType = "WSD"  # made on a workstation, not digitised from film
    made.BurnedInAnnotation = "YES"  # the strip below the image
    return made


def finish(dataset: Dataset, sources: Sequence[SourceImage], stamp: Stamp) -> bytes:
    """Complete `dataset` with references, identity, marks and fixed times, and return it as a file."""
    _refer(dataset, sources)
    _inherit(dataset, sources[0] if sources else None, stamp)
    dataset.DerivationDescription = f"Heatmap of model {stamp.model_digest} under study {stamp.study_digest}"
    if stamp.identity is Identity.PSEUDONYM:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = REMOVED
    if stamp.phantom:
        dataset.ImageComments = PHANTOM_MARK
        dataset.QualityControlSubject = "YES"
    _fix_times(dataset, stamp)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _refer(dataset: Dataset, sources: Sequence[SourceImage]) -> None:
    """Say what the object was derived from (PS3.3, C.12.4, C.12.2 and, by frame, C.7.6.16.2.6)."""
    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence"):
        if keyword in dataset:
            del dataset[keyword]
    if not sources:
        return
    dataset.SourceImageSequence = [_reference(source) for source in sources]
    by_series: dict[str, dict[str, Dataset]] = {}
    for source in sources:
        by_series.setdefault(source.series_uid, {})[source.sop_uid] = _instance(source)
    dataset.ReferencedSeriesSequence = [
        _item(SeriesInstanceUID=uid, ReferencedInstanceSequence=list(instances.values()))
        for uid, instances in by_series.items()
    ]
    for group in dataset.get("PerFrameFunctionalGroupsSequence", []):
        group.DerivationImageSequence = [
            _item(
                DerivationCodeSequence=[CodedConcept.from_code(codes.DCM.UnspecifiedMethodOfCalculation)],
                SourceImageSequence=[_reference(source) for source in sources],
            )
        ]


def _reference(source: SourceImage) -> Dataset:
    purpose = CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)
    item = _instance(source)
    item.PurposeOfReferenceCodeSequence = [purpose]
    item.SpatialLocationsPreserved = "YES"
    if source.frame is not None:
        item.ReferencedFrameNumber = source.frame
    return item


def _instance(source: SourceImage) -> Dataset:
    return _item(ReferencedSOPClassUID=source.sop_class, ReferencedSOPInstanceUID=source.sop_uid)


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _inherit(dataset: Dataset, source: SourceImage | None, stamp: Stamp) -> None:
    """Copy what holds for the source and for its heatmap, the patient's attributes only by `identity`."""
    captured = "ConversionType" in dataset
    if captured:
        dataset.PatientOrientation = None
    if source is None:
        return
    names = source.patient_and_study if stamp.identity is Identity.SOURCE else {}
    shown = source.shown if captured else {}
    for keyword, element in (*source.image.items(), *shown.items(), *names.items()):
        dataset[keyword] = copy.deepcopy(element)


def _fix_times(dataset: Dataset, stamp: Stamp) -> None:
    """Put the caller's time where highdicom took the clock's, and a derived UID where it drew one."""
    day, time = stamp.made_at.date(), stamp.made_at.time()
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = day, time
    if "DateOfSecondaryCapture" in dataset:
        dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = day, time
    for equipment in dataset.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = stamp.made_at
    for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in dataset.get(keyword, []):
            item.DimensionOrganizationUID = derived_uid("dimensions", stamp.instance_uid)


def derived_uid(*parts: str) -> str:
    """Return the UID that follows from `parts`: 2.25 and a UUID made of their SHA-256.

    Reference: PS3.5, B.2; RFC 9562, section 5.8 (version 8).

    >>> derived_uid("series", "a") == derived_uid("series", "a") != derived_uid("seriesa")
    True
    """
    return _uid_of(hashlib.sha256("\x1f".join(parts).encode()).digest())


def remapped_uid(secret: bytes, uid: str) -> str:
    """Return the UID that stands for `uid` in objects under a pseudonym: the same one for the same secret.

    It is made of HMAC-SHA256(secret, uid): nobody without the secret can go back by trying UIDs. Raises
    `InvalidInputError` on an empty secret.

    >>> remapped_uid(b"a", "1.2.3") == remapped_uid(b"a", "1.2.3") != remapped_uid(b"b", "1.2.3")
    True
    """
    if not secret:
        raise InvalidInputError(
            "the pseudonym secret is empty", remedy="make one with secrets.token_bytes(32)"
        )
    return _uid_of(hmac.new(secret, uid.encode(), hashlib.sha256).digest())


def _uid_of(code: bytes) -> str:
    """Return the UID of a version 8 UUID made of the first 16 bytes of `code`."""
    digest = bytearray(code[:16])
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return f"2.25.{uuid.UUID(bytes=bytes(digest)).int}"
