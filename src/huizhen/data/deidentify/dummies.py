"""Values that say nothing, one for each value representation (DICOM PS3.5 section 6.2)."""

from __future__ import annotations

from typing import Any

from pydicom.datadict import dictionary_VM

__all__ = ["ABSENT", "PDF", "dummy_document", "dummy_of"]

ABSENT = "REMOVED"
"""What stands where a text must stand."""

_VALUES: dict[str, Any] = {
    "AE": ABSENT,
    "AS": "000D",
    "AT": 0,
    "CS": ABSENT,
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "FD": 0.0,
    "FL": 0.0,
    "IS": "0",
    "PN": ABSENT,
    "SL": 0,
    "SS": 0,
    "SV": 0,
    "TM": "000000",
    "UL": 0,
    "UR": "urn:removed",
    "US": 0,
    "UV": 0,
}
_BYTES = {"OB": 2, "OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8, "UN": 2}

PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\nxref\n0 4\n0000000000 65535 f \n"
    b"0000000009 00000 n \n0000000052 00000 n \n0000000101 00000 n \n"
    b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n162\n%%EOF\n"
)
"""An empty page, in the place of an encapsulated document."""


def dummy_of(tag: int, vr: str) -> Any:
    """Return a value of `vr` for the attribute `tag`, as many of them as it must have.

    >>> dummy_of(0x00181020, "LO"), dummy_of(0x00100010, "PN")
    ('REMOVED', 'REMOVED')
    """
    if vr in _BYTES:
        return b"\0" * _BYTES[vr]
    one = _VALUES.get(vr, ABSENT)
    try:
        least = int(dictionary_VM(tag).split("-")[0])
    except (KeyError, ValueError):
        least = 1
    return one if least == 1 else [one] * least


def dummy_document(mime: str) -> bytes:
    """Return an empty document of a MIME type, of even length.

    >>> dummy_document("application/pdf")[:5], dummy_document("text/xml")
    (b'%PDF-', b'<removed/>')
    """
    if mime.strip().lower() == "application/pdf":
        return PDF + b"\n" * (len(PDF) % 2)
    return b"<removed/>" if "xml" in mime.lower() else b"\0\0"
