"""Elements of a dataset without decoding more than is asked: VR, texts, numbers of values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

__all__ = [
    "TEXTS",
    "has_its_kind",
    "is_known",
    "raw_texts_of",
    "reads_as_text",
    "strictest_vr",
    "texts_of",
    "vr_of",
]

TEXTS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
"""Value representations in which anybody may write anything."""

_NAME_LIKE = re.compile(rb"[A-Za-z0-9 ^.,_'-]{5,}")
_STRICT = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "PN", "TM", "UI", "UR"})
_SIZES = {"AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def is_known(tag: int) -> bool:
    """Tell whether the standard's dictionary has a tag.

    >>> is_known(0x00100010), is_known(0x00101234)
    (True, False)
    """
    try:
        dictionary_VR(tag)
    except KeyError:
        return False
    return True


def vr_of(dataset: Dataset, tag: int) -> str:
    """Return an element's VR as its file says, or by the dictionary; "UN" if nobody knows."""
    item = dataset.get_item(tag)
    said = getattr(item, "VR", None)
    if said and said != "UN":
        return str(said)
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def strictest_vr(dataset: Dataset, tag: int) -> str:
    """Return an element's VR; the dictionary's, where that allows less than the text that its file says."""
    said = vr_of(dataset, tag)
    try:
        written = dictionary_VR(tag)
    except KeyError:
        return said
    return written if said in TEXTS and written in _STRICT else said


def texts_of(dataset: Dataset, tag: int) -> Sequence[str]:
    """Return an element's values as texts; none where it can't be decoded."""
    try:
        value = dataset[tag].value
    except Exception:  # pydicom raises many kinds on a damaged value
        return ()
    if value is None or value == "":
        return ()
    return [str(one) for one in value] if isinstance(value, MultiValue | list) else [str(value)]


def raw_texts_of(dataset: Dataset, tag: int) -> Sequence[str]:
    """Return the values of a number written in text, as they are written."""
    value = getattr(dataset.get_item(tag), "value", None)
    if isinstance(value, bytes):
        return [part.strip(" \0") for part in value.decode("ascii", "replace").split("\\")]
    return texts_of(dataset, tag)


def has_its_kind(dataset: Dataset, tag: int, vr: str) -> bool:
    """Tell whether an element of a known tag is of a kind that the tag may be: bytes aren't texts.

    `vr` is what its file says. Bytes where the standard has text or a sequence could be anything, and so
    could text where it has numbers. Numbers in binary must be whole, and mustn't read as a name.
    """
    allowed = dictionary_VR(tag).split(" or ")
    if "SQ" in allowed or vr == "SQ":
        return "SQ" in allowed and dataset[tag].VR == "SQ"
    if vr in _SIZES:
        value = getattr(dataset.get_item(tag), "value", None)
        return not isinstance(value, bytes) or (len(value) % _SIZES[vr] == 0 and not reads_as_text(value))
    if vr in TEXTS:
        return not (set(allowed) & (_SIZES.keys() | _BYTES))
    return vr in allowed or vr not in _BYTES


def reads_as_text(value: bytes) -> bool:
    """Tell whether bytes are all letters, digits and what stands between them in names; few numbers are.

    >>> reads_as_text(b"Weber^An"), reads_as_text(b"q=J?}?U?"), reads_as_text(b"AB")
    (True, False, False)
    """
    return _NAME_LIKE.fullmatch(value) is not None
