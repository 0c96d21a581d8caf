"""What a value representation allows: a code or a number that is none may be anything, a name too.

Source: DICOM PS3.5 section 6.2; codes in small letters and ages without leading zeros are let through,
since many devices write them.
"""

from __future__ import annotations

import re

from pydicom.charset import python_encoding

__all__ = ["STRUCTURAL", "is_charset", "is_legal", "is_zone"]

STRUCTURAL: dict[int, frozenset[str]] = {
    0x00280004: frozenset(
        {
            "MONOCHROME1",
            "MONOCHROME2",
            "PALETTE COLOR",
            "RGB",
            "YBR_FULL",
            "YBR_FULL_422",
            "YBR_ICT",
            "YBR_RCT",
        }
    ),
    0x0040A010: frozenset(
        {"CONTAINS", "HAS OBS CONTEXT", "HAS CONCEPT MOD", "HAS PROPERTIES", "INFERRED FROM"}
    ),
    0x0040A040: frozenset(
        {"TEXT", "CODE", "NUM", "CONTAINER", "PNAME", "DATE", "TIME", "DATETIME", "UIDREF"}
    ),
    0x00700003: frozenset({"PIXEL", "DISPLAY"}),
    0x00700004: frozenset({"PIXEL", "DISPLAY"}),
    0x00700005: frozenset({"PIXEL", "DISPLAY", "MATRIX"}),
    0x00700023: frozenset({"POINT", "POLYLINE", "INTERPOLATED", "CIRCLE", "ELLIPSE"}),
}
"""Codes that say only how an object is built: they stay, among dummies and of a patient called Text."""

_FORMS = {
    "AS": re.compile(r"\d{1,3}[DWMY]"),
    "CS": re.compile(r"[A-Za-z0-9 _./+-]{0,24}"),
    "DS": re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"),
    "IS": re.compile(r"[+-]?\d{1,12}(\.0*)?"),
    "UI": re.compile(r"[0-9]+(\.[0-9]+)*"),
}
_ZONE = re.compile(r"[+-][01]\d[0-5]\d")
_LONGEST = {"DS": 32, "UI": 64}


def is_legal(text: str, vr: str) -> bool:
    """Tell whether `text` may be one value of `vr`. An empty one may; so may any of a VR without a form.

    >>> is_legal("1.5", "DS"), is_legal("Smith", "DS"), is_legal("045Y", "AS"), is_legal("", "IS")
    (True, False, True, True)
    """
    text = text.strip(" \0")
    form = _FORMS.get(vr)
    return (
        not text or form is None or (len(text) <= _LONGEST.get(vr, 64) and form.fullmatch(text) is not None)
    )


def is_charset(text: str) -> bool:
    """Tell whether `text` is a value of Specific Character Set.

    >>> is_charset("GB18030"), is_charset("ISO_IR 100"), is_charset("Smith")
    (True, True, False)
    """
    return text.strip() in python_encoding


def is_zone(text: str) -> bool:
    """Tell whether `text` is an offset from UTC (PS3.3 C.12.1.1.8).

    >>> is_zone("+0800"), is_zone("Smith")
    (True, False)
    """
    return _ZONE.fullmatch(text.strip()) is not None
