"""Which DICOM Modality (0008,0060) a source takes: the one it names, or that of its modality's name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huizhen.core.study import Source

__all__ = ["code_in_name", "wanted_modality"]

CODES = {
    "CR": ("cr",),
    "CT": ("ct",),
    "DX": ("dx",),
    "MG": ("mg", "mammo", "mammogram", "mammograms", "mammography", "ffdm", "dbt", "tomosynthesis"),
    "MR": ("mr", "mri", "dcemri", "dwi"),
    "NM": ("nm", "scintigraphy"),
    "PT": ("pt", "pet"),
    "US": ("us", "ultrasound", "sonography", "abus"),
    "XA": ("xa",),
}
"""DICOM's codes (PS3.3, C.7.3.1.1.1), and words by which modalities of a study are called."""


def code_in_name(name: str) -> str | None:
    """Return the one DICOM Modality that a name tells, or None.

    >>> code_in_name("MRI"), code_in_name("breast_US"), code_in_name("PET-CT"), code_in_name("images")
    ('MR', 'US', None, None)
    """
    words = set(re.split(r"[^a-z]+", name.lower()))
    found = [code for code, called in CODES.items() if words.intersection(called)]
    return found[0] if len(found) == 1 else None


def wanted_modality(source: Source) -> str | None:
    """Return the DICOM Modality that a source takes: `dicom_modality`, else that of its modality's name."""
    return source.dicom_modality or code_in_name(source.modality)
