"""Elements of a dataset without decoding more than is asked: VR, texts, numbers of values."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

__all__ = ["TEXTS", "has_its_kind", "is_known", "raw_texts_of", "texts_of", "vr_of"]

TEXTS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
"""Value representations in which anybody may write anything."""

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

    `vr` is what its file says. Bytes where the standard has text or a sequence could be anything.
    """
    allowed = dictionary_VR(tag).split(" or ")
    if "SQ" in allowed or vr == "SQ":
        return "SQ" in allowed and dataset[tag].VR == "SQ"
    return vr in allowed or vr not in _BYTES
