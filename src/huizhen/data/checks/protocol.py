"""How images were made: the protocol as headers state it, by site and modality, in counts.

Of DICOM files the elements below (PS3.3); of other images the scanner and spacing that their reader knows,
and the matrix. Serial numbers, station names and dates are not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from huizhen.core.cohort import ImageRecord
from huizhen.core.digests import Digest
from huizhen.data.readers.dicom_headers import read_dataset
from huizhen.data.readers.dicom_values import number_of, numbers_of, text_of
from huizhen.data.readers.interface import Reader
from huizhen.errors import UnreadableFileError

__all__ = ["TEXTS", "Protocol", "protocol_of"]

TEXTS = {
    "maker": "Manufacturer",
    "model": "ManufacturerModelName",
    "software": "SoftwareVersions",
    "kernel": "ConvolutionKernel",
    "sequence": "ScanningSequence",
    "sequence_variant": "SequenceVariant",
    "contrast_agent": "ContrastBolusAgent",
    "body_part": "BodyPartExamined",
    "view": "ViewPosition",
}
"""What is taken as text: a name here, and the element's keyword."""

NUMBERS = {
    "kvp": "KVP",
    "field_strength_t": "MagneticFieldStrength",
    "slice_thickness_mm": "SliceThickness",
    "repetition_time_ms": "RepetitionTime",
    "echo_time_ms": "EchoTime",
    "flip_angle": "FlipAngle",
    "exposure_mas": "Exposure",
}
"""The same for numbers; they are rounded to three digits, so that a protocol is told and not a file."""
LONGEST = 64


@dataclass(slots=True)
class Protocol:
    """Values of each item with how many images have them: item -> value -> images."""

    images: int = 0
    items: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, found: Mapping[str, str]) -> None:
        """Count one image."""
        self.images += 1
        for name, value in found.items():
            if value:
                self.items.setdefault(name, Counter())[value[:LONGEST]] += 1


def protocol_of(records: Iterable[ImageRecord], reader: Reader, shapes: Mapping[Digest, str]) -> Protocol:
    """Return the protocol of images of one source; `shapes` gives the matrix by an image's digest.

    A file whose header can't be read again counts without values.
    """
    found = Protocol()
    for record in records:
        stated = {"matrix": shapes.get(record.digest, ""), "scanner": record.scanner}
        path = reader.dataset_path(record)
        if path is not None:
            stated |= _of_header(path)
        spacing = reader.spacing_mm(record)
        if spacing is not None:
            stated["spacing_mm"] = " x ".join(f"{one:.3g}" for one in spacing)
        found.add(stated)
    return found


def _of_header(path: object) -> dict[str, str]:
    """Return what one DICOM header states."""
    from pathlib import Path

    try:
        dataset = read_dataset(Path(str(path)), pixels=False)
    except UnreadableFileError:
        return {}
    found = {name: text_of(dataset, keyword) for name, keyword in TEXTS.items()}
    for name, keyword in NUMBERS.items():
        value = number_of(dataset, keyword)
        found[name] = "" if value is None else f"{value:.3g}"
    pixel = numbers_of(dataset, "PixelSpacing", 2) or numbers_of(dataset, "ImagerPixelSpacing", 2)
    if pixel:
        found["spacing_mm"] = " x ".join(f"{one:.3g}" for one in pixel)
    return found
