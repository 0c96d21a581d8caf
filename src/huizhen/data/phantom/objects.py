"""The pictures as DICOM objects: mammography for presentation, MR and ultrasound images, marked as phantoms.

Attributes follow PS3.3 2024: A.26 and C.8.11 (Digital Mammography), A.4 and C.8.3 (MR), A.6 and C.8.5 (US).
QualityControlImage (0028,0300) is the standard's own mark of a phantom. Dates are fixed and identifiers
derived from names, so that equal seeds give equal bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    MRImageStorage,
    UltrasoundImageStorage,
)

from huizhen.core.digests import Digest
from huizhen.data.phantom.mri import GAP_MM, PHASES, SLICES
from huizhen.data.phantom.picture import Picture
from huizhen.data.phantom.spec import Photometric, Scanner, TransferSyntax
from huizhen.errors import DataError

MARK = "PHANTOM, NOT A PATIENT"
_DATE, _TIME = "20240101", "090000"
_STORAGE = {
    "MG": DigitalMammographyXRayImageStorageForPresentation,
    "MRI": MRImageStorage,
    "US": UltrasoundImageStorage,
}
_DICOM_MODALITY = {"MG": "MG", "MRI": "MR", "US": "US"}
_VIEW_CODES = {
    "CC": ("399162004", "cranio-caudal"),
    "MLO": ("399368009", "medio-lateral oblique"),
}
_PHASE_TIME_S = (0, 90, 360)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """One modality of one patient: what its files share. `root` stands for seed and specification."""

    patient_id: str
    modality: str
    hospital: str
    scanner: Scanner
    root: Digest

    def uid(self, *names: str | int) -> str:
        """Return the identifier of `names` within this exam: 2.25 and a UUID as an integer (PS3.5 B.2).

        The UUID's bits come from SHA-256 with version 8 (RFC 9562), which is for vendors' own derivations.
        """
        text = "\x1f".join([self.root, self.patient_id, self.modality, *map(str, names)])
        raw = bytearray(hashlib.sha256(text.encode()).digest()[:16])
        raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(raw, 'big')}"

    def sop_uid(self, picture: Picture) -> str:
        """Return the SOP Instance UID of one of this exam's pictures."""
        return self.uid("instance", picture.stem)


def encode(pictures: Iterable[Picture], exam: Exam) -> Iterator[tuple[Picture, bytes]]:
    """Yield each picture of an exam with its DICOM file. Raises `DataError` if it can't be compressed."""
    data = FileDataset("", Dataset(), file_meta=_meta(exam), preamble=b"\0" * 128)
    _describe(data, exam)
    {"MG": _describe_mammography, "MRI": _describe_mr, "US": _describe_ultrasound}[exam.modality](data, exam)
    show = {"MG": _show_mammogram, "MRI": _show_mr, "US": _show_ultrasound}[exam.modality]
    for (
        picture
    ) in pictures:  # every picture sets the same attributes, so that none is left from the one before
        _show(data, picture, exam)
        show(data, picture, exam)
        _add_pixels(data, picture, exam.scanner.transfer_syntax)
        buffer = BytesIO()
        pydicom.dcmwrite(buffer, data, enforce_file_format=True)
        yield picture, buffer.getvalue()


def _meta(exam: Exam) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = _STORAGE[exam.modality]
    meta.TransferSyntaxUID = getattr(pydicom.uid, exam.scanner.transfer_syntax.value)
    meta.ImplementationClassUID = UID("2.25.186529713203713842034175286417254861305")
    meta.ImplementationVersionName = "HUIZHEN_PHANTOM"
    return meta


def _describe(data: Dataset, exam: Exam) -> None:
    """Patient, study, series and equipment, and what is the same in all images."""
    data.SpecificCharacterSet, data.SOPClassUID = "ISO_IR 192", _STORAGE[exam.modality]
    data.PatientName, data.PatientID = "PHANTOM^NOT A PATIENT", exam.patient_id
    data.PatientBirthDate, data.PatientSex, data.PatientComments = "", "F", MARK
    data.StudyInstanceUID, data.StudyID = exam.uid("study"), "1"
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = _DATE
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = _TIME
    data.ReferringPhysicianName, data.AccessionNumber = "", ""
    data.StudyDescription = data.SeriesDescription = f"huizhen phantom {exam.modality} breast"
    data.Modality, data.BodyPartExamined = _DICOM_MODALITY[exam.modality], "BREAST"
    data.SeriesInstanceUID, data.SeriesNumber, data.AcquisitionNumber = exam.uid("series"), 1, 1
    data.Manufacturer, data.ManufacturerModelName = exam.scanner.manufacturer, exam.scanner.model
    data.InstitutionName = f"huizhen phantom hospital {exam.hospital}"
    data.DeviceSerialNumber, data.SoftwareVersions = "PHANTOM", "1"
    data.ImageType, data.DerivationDescription = ["DERIVED", "PRIMARY", "PHANTOM"], "Simulated by huizhen"
    data.ImageComments, data.QualityControlImage = MARK, "YES"
    data.BurnedInAnnotation, data.LossyImageCompression = "NO", "00"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, exam.scanner.photometric.value
    data.PixelRepresentation = 0


def _show(data: FileDataset, picture: Picture, exam: Exam) -> None:
    """What every image has of its own."""
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = UID(exam.sop_uid(picture))
    data.Rows, data.Columns = picture.pixels.shape
    bits = 12 if picture.pixels.itemsize == 2 else 8
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * picture.pixels.itemsize, bits, bits - 1


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    return code


def _add_window(data: Dataset, low: int, high: int) -> None:
    """Set a linear window that shows `low` as black and `high` as white (PS3.3 C.11.2.1.2.1)."""
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = 0, 1, "US"
    data.WindowCenter, data.WindowWidth = (low + high + 1) / 2, high - low + 1
    data.WindowCenterWidthExplanation = "PHANTOM"


def _white(scanner: Scanner) -> int:
    """Return the grey value that the machine's preset shows as white: it knows its own gain."""
    return min(4095, round(0.9 * 4095 * scanner.gain))


def _describe_mammography(data: Dataset, exam: Exam) -> None:
    inverted = exam.scanner.photometric is Photometric.MONOCHROME1
    data.PresentationIntentType = "FOR PRESENTATION"
    data.AnatomicRegionSequence = Sequence([_code("76752008", "Breast")])
    data.OrganExposed, data.PositionerType = "BREAST", "MAMMOGRAPHIC"
    data.BreastImplantPresent, data.PartialView = "NO", "NO"
    data.DetectorType, data.ImagerPixelSpacing = "DIRECT", [exam.scanner.spacing_mm] * 2
    data.PixelSpacing = [exam.scanner.spacing_mm] * 2
    data.PixelIntensityRelationship = "LOG"
    data.PixelIntensityRelationshipSign = 1 if inverted else -1
    data.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    data.AcquisitionContextSequence = Sequence()
    white = _white(exam.scanner)
    _add_window(data, 4095 - white if inverted else 0, 4095 if inverted else white)


def _show_mammogram(data: Dataset, picture: Picture, exam: Exam) -> None:
    data.InstanceNumber = 1 if picture.view == "CC" else 2
    data.ImageLaterality, data.ViewPosition = picture.side, picture.view
    view = _code(*_VIEW_CODES[picture.view])
    view.ViewModifierCodeSequence = Sequence()
    data.ViewCodeSequence = Sequence([view])
    data.PositionerPrimaryAngle = 0 if picture.view == "CC" else 45
    data.PatientOrientation = _orientation(picture)


def _orientation(picture: Picture) -> list[str]:
    """Return the directions of rows and columns: a left breast points right (PS3.3 C.7.6.1.1.1)."""
    along = "A" if picture.side == "L" else "P"
    if picture.view == "MLO":
        return [along, "F"]
    return [along, "R" if picture.side == "L" else "L"]


def _describe_mr(data: Dataset, exam: Exam) -> None:
    data.ScanningSequence, data.SequenceVariant, data.ScanOptions = "GR", "SP", "FS"
    data.MRAcquisitionType, data.RepetitionTime, data.EchoTime = "3D", 5.0, 2.4
    data.EchoTrainLength, data.FlipAngle, data.MagneticFieldStrength = 1, 12, 1.5
    data.ProtocolName, data.ContrastBolusAgent, data.PatientPosition = "phantom DCE", "SIMULATED", "HFP"
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = exam.uid("frame of reference"), ""
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.PixelSpacing = [exam.scanner.spacing_mm] * 2
    data.SliceThickness, data.SpacingBetweenSlices = 3, GAP_MM
    data.NumberOfTemporalPositions = len(PHASES)
    _add_window(data, 0, _white(exam.scanner))  # one for all phases, or the curve would be lost


def _show_mr(data: Dataset, picture: Picture, exam: Exam) -> None:
    seconds = _PHASE_TIME_S[picture.phase - 1]
    data.Laterality = picture.side
    data.ImagePositionPatient = [round(v, 3) for v in (*picture.origin_mm, picture.z_mm)]
    data.SliceLocation = round(picture.z_mm, 3)
    data.TemporalPositionIdentifier = data.AcquisitionNumber = picture.phase
    data.AcquisitionTime = data.ContentTime = f"09{seconds // 60:02d}{seconds % 60:02d}"
    data.InstanceNumber = (picture.phase - 1) * SLICES + picture.slice


def _describe_ultrasound(data: Dataset, exam: Exam) -> None:
    data.UltrasoundColorDataPresent = 0
    data.AnatomicRegionSequence = Sequence([_code("76752008", "Breast")])


def _show_ultrasound(data: Dataset, picture: Picture, exam: Exam) -> None:
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = data.Columns - 1, data.Rows - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3  # cm
    region.PhysicalDeltaX = region.PhysicalDeltaY = exam.scanner.spacing_mm / 10
    data.SequenceOfUltrasoundRegions = Sequence([region])
    data.Laterality, data.InstanceNumber = picture.side, picture.frame


def _add_pixels(data: FileDataset, picture: Picture, syntax: TransferSyntax) -> None:
    raw = picture.pixels.tobytes()
    data.PixelData = raw
    wide = picture.pixels.itemsize == 2 or syntax is TransferSyntax.IMPLICIT
    data["PixelData"].VR = "OW" if wide else "OB"
    if syntax in (TransferSyntax.EXPLICIT, TransferSyntax.IMPLICIT):
        return
    data.PixelData = encapsulate([_compressed(picture, data, syntax)])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True


def _compressed(picture: Picture, data: Dataset, syntax: TransferSyntax) -> bytes:
    """Return the one frame of `picture` compressed without loss."""
    try:
        encoder = get_encoder(getattr(pydicom.uid, syntax.value))
        frame: bytes = encoder.encode(
            picture.pixels.tobytes(),
            rows=data.Rows,
            columns=data.Columns,
            samples_per_pixel=1,
            number_of_frames=1,
            photometric_interpretation=data.PhotometricInterpretation,
            bits_allocated=data.BitsAllocated,
            bits_stored=data.BitsStored,
            pixel_representation=0,
        )
    except (NotImplementedError, RuntimeError, ValueError) as error:
        raise DataError(
            f"pixels can't be compressed as {syntax.value} ({error})",
            remedy="install pyjpegls and pylibjpeg-openjpeg, or choose an uncompressed transfer syntax",
            field="transfer_syntax",
        ) from error
    return frame
