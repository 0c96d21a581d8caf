"""Of which modality and body part a DICOM object is, and what a folder of them holds, by headers alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID

from huizhen.data.readers.dicom_values import text_of

__all__ = ["HeaderCounts", "body_part_of", "count_headers", "modality_of"]

MOST_HEADERS = 5000
"""How many headers of a folder are counted; of more, evenly chosen ones."""

CLASSES = {
    "DigitalMammography": "MG",
    "BreastTomosynthesis": "MG",
    "Ultrasound": "US",
    "MRImage": "MR",
    "EnhancedMR": "MR",
    "CTImage": "CT",
    "EnhancedCT": "CT",
    "PositronEmission": "PT",
    "EnhancedPET": "PT",
    "NuclearMedicine": "NM",
    "XRayAngiographic": "XA",
    "ComputedRadiography": "CR",
    "DigitalXRay": "DX",
}
"""How the keywords of SOP classes begin, and the Modality of their objects (PS3.4, B.5)."""

_NO_IMAGES = ("Segmentation", "RTImage")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderCounts:
    """What a folder's headers say: images and body parts by Modality, the patients of each, other objects."""

    files: int
    read: int
    modalities: Mapping[str, int] = field(default_factory=dict)
    body_parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    patients: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def all_patients(self) -> frozenset[str]:
        """The patient ids of all modalities."""
        return frozenset().union(*self.patients.values())

    def __str__(self) -> str:
        return counted(self.modalities)


def counted(counts: Mapping[str, int]) -> str:
    """Return counts as text.

    >>> counted({"US": 27, "MG": 26})
    'MG 26, US 27'
    """
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def modality_of(modality: str, sop_class: str) -> str:
    """Return an object's Modality; the one of its SOP class where the header leaves it out.

    >>> modality_of("", "1.2.840.10008.5.1.4.1.1.6.1"), modality_of("MR", "")
    ('US', 'MR')
    """
    if modality:
        return modality
    keyword = UID(sop_class).keyword
    return next((code for start, code in CLASSES.items() if keyword.startswith(start)), "")


def body_part_of(dataset: Dataset) -> str:
    """Return Body Part Examined (0018,0015), "" where it is left out, "?" where it isn't a code."""
    text = text_of(dataset, "BodyPartExamined").upper()
    return text if re.fullmatch(r"[A-Z0-9_ ]{0,16}", text) else "?"


def count_headers(folder: Path, files: Sequence[str]) -> HeaderCounts:
    """Return what the headers of the images among `files` say; files that can't be read are passed over."""
    chosen = files[:: max(1, -(-len(files) // MOST_HEADERS))]
    images: Counter[str] = Counter()
    parts: dict[str, Counter[str]] = {}
    patients: dict[str, set[str]] = {}
    for dataset in _headers(folder, chosen):
        modality = modality_of(text_of(dataset, "Modality"), text_of(dataset, "SOPClassUID")) or "?"
        images[modality] += 1
        parts.setdefault(modality, Counter())[body_part_of(dataset)] += 1
        patients.setdefault(modality, set()).add(text_of(dataset, "PatientID"))
    return HeaderCounts(
        files=len(files),
        read=len(chosen),
        modalities=dict(images),
        body_parts={name: dict(found) for name, found in parts.items()},
        patients={name: frozenset(ids - {""}) for name, ids in patients.items()},
    )


def _headers(folder: Path, files: Iterable[str]) -> Iterable[Dataset]:
    """Yield the headers of images."""
    from huizhen.data.readers.dicom_headers import read_dataset
    from huizhen.errors import UnreadableFileError

    for file in files:
        try:
            dataset = read_dataset(folder / file, pixels=False)
        except UnreadableFileError:
            continue
        if _is_image(dataset):
            yield dataset


def _is_image(dataset: Dataset) -> bool:
    """Tell whether an object is an image of the patient: not a report, a segmentation or a directory."""
    uid = UID(text_of(dataset, "SOPClassUID"))
    if uid.keyword.startswith(_NO_IMAGES):
        return False
    return "Rows" in dataset or uid.keyword.endswith("ImageStorage")
