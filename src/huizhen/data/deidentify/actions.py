"""The actions themselves on one element: remove, empty, replace, map a UID, clean a value."""

from __future__ import annotations

from typing import Any

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from huizhen.data.deidentify.context import Context
from huizhen.data.deidentify.dates import shifted
from huizhen.data.deidentify.descriptors import cleaned, is_descriptive
from huizhen.data.deidentify.dummies import dummy_document, dummy_of
from huizhen.data.deidentify.elements import TEXTS, texts_of
from huizhen.data.deidentify.finding import names_somebody
from huizhen.data.deidentify.legal import STRUCTURAL, is_legal, is_zone
from huizhen.data.deidentify.options import Option

__all__ = ["clean_value", "empty", "put_dummy", "put_pseudonym", "replace_uids", "shift_value"]

_NAME, _ID, _ACCESSION = 0x00100010, 0x00100020, 0x00080050
_DOCUMENT, _MIME, _LENGTH = 0x00420011, 0x00420012, 0x00420015
_ZONE = 0x00080201
_MANY = frozenset({"LO", "SH", "UC"})
"""Texts of which an attribute may have several."""


def put(dataset: Dataset, tag: BaseTag, vr: str, value: Any) -> None:
    """Set an element, whatever VR its file gave it."""
    dataset[tag] = DataElement(tag, vr, value)


def empty(dataset: Dataset, tag: BaseTag, vr: str) -> None:
    """Leave an element without a value."""
    put(dataset, tag, vr, Sequence([]) if vr == "SQ" else None)


def put_pseudonym(dataset: Dataset, tag: BaseTag, vr: str, context: Context) -> bool:
    """Put the patient's or the order's pseudonym where one belongs; tell whether it did."""
    if tag in (_NAME, _ID):
        put(dataset, tag, vr, context.who.patient(context.patient))
        return True
    if tag == _ACCESSION and (number := "".join(texts_of(dataset, tag)).strip()):
        put(dataset, tag, vr, context.who.accession(number))
        return True
    return False


def put_dummy(dataset: Dataset, tag: BaseTag, vr: str, context: Context) -> None:
    """Put a dummy where something must stand; in a sequence, into everything in its first item."""
    if vr == "SQ":
        items = list(dataset[tag].value or [])[:1] if dataset[tag].VR == "SQ" else []
        put(dataset, tag, vr, Sequence([_dummies(item, context) for item in items] or [Dataset()]))
    elif tag == _DOCUMENT:
        document = dummy_document("".join(texts_of(dataset, BaseTag(_MIME))))
        put(dataset, tag, vr, document)
        if _LENGTH in dataset:
            put(dataset, BaseTag(_LENGTH), "UL", len(document))
    elif vr == "UI":
        replace_uids(dataset, tag, vr, context)
    else:
        put(dataset, tag, vr, dummy_of(tag, vr))


def _dummies(item: Dataset, context: Context) -> Dataset:
    """Return an item of the same attributes with dummies, without private and unknown ones."""
    made = Dataset()
    for tag in list(item.keys()):
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            continue
        if tag.is_private or tag.element == 0 or " " in vr or vr == "NONE":
            continue
        said = "".join(texts_of(item, tag)) if tag in STRUCTURAL else ""
        if said in STRUCTURAL.get(tag, ()):
            put(made, tag, vr, said)
            continue
        if vr in ("SQ", "UI"):
            made[tag] = item[tag]
        put_dummy(made, tag, vr, context)
    return made


def replace_uids(dataset: Dataset, tag: BaseTag, vr: str, context: Context) -> None:
    """Replace UIDs by their pseudonyms, but those that the standard itself registers."""
    uids = [text.strip("\0 ") for text in texts_of(dataset, tag)]
    mapped = [uid if not uid or uid in UID_dictionary else context.who.uid(uid) for uid in uids]
    put(dataset, tag, vr, mapped[0] if len(mapped) == 1 else mapped or None)


def shift_value(dataset: Dataset, tag: BaseTag, vr: str, context: Context) -> bool:
    """Move dates back by the patient's shift; tell whether each was one (nothing is changed otherwise)."""
    moved = [shifted(text, vr, days=context.days) for text in texts_of(dataset, tag) if text.strip()]
    values = [one for one in moved if one is not None]
    if not values or len(values) < len(moved):
        return False
    put(dataset, tag, vr, values[0] if len(values) == 1 else values)
    return True


def clean_value(dataset: Dataset, tag: BaseTag, vr: str, context: Context) -> bool:
    """Replace a value by what of it is known to be safe; tell whether anything was left.

    Nothing is changed where nothing is left.
    """
    if vr in ("DA", "DT", "TM"):
        return context.policy.has(Option.MODIFIED_DATES) and shift_value(dataset, tag, vr, context)
    texts = texts_of(dataset, tag)
    if tag == _ZONE:
        return len(texts) == 1 and is_zone(texts[0])
    if vr != "SQ" and vr not in TEXTS and names_somebody(dataset, tag, vr, context):
        return False
    if vr == "CS":
        return bool(texts) and all(all(map(is_descriptive, one.lower().split())) for one in texts)
    if vr in ("AS", "DS", "IS"):
        return bool(texts) and all(is_legal(one, vr) for one in texts)
    if vr in TEXTS:
        return _put_cleaned(dataset, tag, vr, context)
    return vr in ("FD", "FL", "SL", "SS", "UL", "US")


def _put_cleaned(dataset: Dataset, tag: BaseTag, vr: str, context: Context) -> bool:
    """Replace texts by their descriptive words; tell whether any is left."""
    names = context.identifiers.names
    texts = texts_of(dataset, tag)
    left = [cleaned(text, but=names) for text in (texts if vr in _MANY else ["\\".join(texts)])]
    if not any(left):
        return False
    put(dataset, tag, vr, left[0] if len(left) == 1 else MultiValue(str, left))
    return True
