"""The view of a mammogram: "L-CC", "R-MLO"."""

from __future__ import annotations

from pydicom.dataset import Dataset

__all__ = ["laterality_of", "view_of"]

VIEW_CODES = {
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "ML",
    "R-10224": "ML",
    "399352003": "LM",
    "R-10228": "LM",
    "399099002": "LMO",
    "R-10230": "LMO",
    "399196006": "FB",
    "R-10244": "FB",
    "399188001": "SIO",
    "R-102D0": "SIO",
    "399192008": "XCCL",
    "R-1024A": "XCCL",
    "399101009": "XCCM",
    "R-1024B": "XCCM",
}
"""SNOMED CT and older SNOMED-RT codes to ACR abbreviations. Source: DICOM PS3.16 CID 4014."""


def view_of(dataset: Dataset) -> str:
    """Return laterality and view, "L-CC"; only one of them, or "", where the file says no more."""
    return "-".join(part for part in (laterality_of(dataset), _projection(dataset)) if part)


def laterality_of(dataset: Dataset) -> str:
    """Return "L", "R" or "B" from the image, the series, or the shared frame anatomy; "" if none says it."""
    for keyword in ("ImageLaterality", "Laterality"):
        if (value := str(dataset.get(keyword) or "").strip().upper()[:1]) in ("L", "R", "B"):
            return value
    for shared in dataset.get("SharedFunctionalGroupsSequence") or ():
        for anatomy in shared.get("FrameAnatomySequence") or ():
            value = str(anatomy.get("FrameLaterality") or "").strip().upper()[:1]
            return value if value in ("L", "R", "B") else ""
    return ""


def _projection(dataset: Dataset) -> str:
    """Return the view's abbreviation from its code, or else from View Position."""
    for code in dataset.get("ViewCodeSequence") or ():
        if found := VIEW_CODES.get(str(code.get("CodeValue", ""))):
            return found
    return str(dataset.get("ViewPosition") or "").strip().upper()
