"""A value that stays, searched for what the file says of its own patient; and ages that few people reach."""

from __future__ import annotations

import re

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from huizhen.data.deidentify.context import Context
from huizhen.data.deidentify.elements import TEXTS, raw_texts_of, reads_as_text, texts_of
from huizhen.data.deidentify.legal import STRUCTURAL

__all__ = ["cap_age", "is_class", "names_somebody"]

_WRITTEN = frozenset({"AS", "DS", "IS"})
_LARGE = frozenset({"FD", "FL", "SL", "SV", "UL", "UV"})
"""Numbers in binary that can be as long as an id or a day of birth."""
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_CLASSES = (
    "ClassUID",
    "ClassesIn",
    "ClassesSupported",
    "TransferSyntaxUID",
    "CodingSchemeUID",
    "MappingResourceUID",
)
_YEARS = re.compile(r"(\d{1,3})Y")
_CONTEXT_UID = 0x00080117


def is_class(tag: int) -> bool:
    """Tell whether a UID attribute names a class, syntax or table, not an instance: by its keyword.

    >>> is_class(0x00081150), is_class(0x00081155)
    (True, False)
    """
    keyword = keyword_for_tag(tag)
    return tag == _CONTEXT_UID or any(part in keyword for part in _CLASSES)


def names_somebody(dataset: Dataset, tag: BaseTag, vr: str, context: Context) -> bool:
    """Tell whether a value of `vr` holds a name, id, day of birth or telephone number of the file's people.

    Bytes that are text all over do, whatever it says. Dates and times aren't searched: a newborn's first scan
    is on the day of birth. In UIDs of instances only what the patient has in every file counts, so that
    references still fit.
    """
    who = context.identifiers
    if vr in ("DA", "DT", "TM", "SQ"):
        return False
    if vr == "UI":
        own = not is_class(tag)
        uids = [text.strip("\0 ") for text in texts_of(dataset, tag)]
        return any(uid not in UID_dictionary and who.found_in_uid(uid, own=own) for uid in uids)
    if vr in _WRITTEN:
        return any(map(who.found_in_number, raw_texts_of(dataset, tag)))
    if vr in _LARGE:
        return any(map(who.found_in_number, texts_of(dataset, tag)))
    if not _BYTES.isdisjoint(vr.split(" or ")):
        value = _bytes_of(dataset, tag)
        return reads_as_text(value.strip(b"\0 ")) or who.found_in_bytes(value)
    if vr not in TEXTS and vr not in ("AE", "CS", "PN", "UR"):
        return False
    built = STRUCTURAL.get(tag, frozenset())
    return any(text.strip() not in built and who.found_in(text) for text in texts_of(dataset, tag))


def _bytes_of(dataset: Dataset, tag: BaseTag) -> bytes:
    """Return the bytes of an element, none where it holds something else."""
    value = getattr(dataset.get_item(tag), "value", None)
    return value if isinstance(value, bytes) else b""


def cap_age(dataset: Dataset, tag: BaseTag, vr: str, context: Context) -> bool:
    """Write an age above the policy's `most_age_years` as one year more; tell whether it was one.

    Source: 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one category of 90 or older.
    """
    most = context.policy.most_age_years
    found = [_YEARS.fullmatch(text.strip()) for text in texts_of(dataset, tag)] if vr == "AS" else []
    if not any(one is not None and int(one[1]) > most for one in found):
        return False
    dataset[tag] = DataElement(tag, vr, f"{most + 1:03d}Y")
    return True
