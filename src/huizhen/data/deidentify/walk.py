"""A dataset and all its sequences, cleaned in place by the profile and the policy.

::

    context = Context(policy=policy, who=Pseudonymiser(secret=secret), patient=..., identifiers=..., iod=...)
    clean_dataset(dataset, context)
    context.done            # what was done, without a value
"""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from huizhen.data.deidentify.actions import (
    clean_value,
    empty,
    put,
    put_dummy,
    put_pseudonym,
    replace_uids,
    shift_value,
)
from huizhen.data.deidentify.codes import CODE_TAGS, clean_code
from huizhen.data.deidentify.context import Context, Rule
from huizhen.data.deidentify.dates import shifted
from huizhen.data.deidentify.descriptors import cleaned
from huizhen.data.deidentify.dummies import ABSENT
from huizhen.data.deidentify.elements import (
    TEXTS,
    has_its_kind,
    is_known,
    raw_texts_of,
    strictest_vr,
    texts_of,
    vr_of,
)
from huizhen.data.deidentify.finding import cap_age, is_class, names_somebody
from huizhen.data.deidentify.legal import is_charset, is_legal, is_zone
from huizhen.data.deidentify.options import Option
from huizhen.data.deidentify.private_elements import sweep_private
from huizhen.data.deidentify.profile import Action, basic_action, decide

__all__ = ["clean_dataset"]

_ITEMS = 0xFFFE
_LABELS = frozenset({0x003A0020, 0x003A0203, 0x003A020C})
"""Of waveforms: labels of groups and channels, and how a channel was derived."""
_CHARSET, _ZONE = 0x00080005, 0x00080201
_URLS = frozenset({0x0008010E, 0x00080120})
"""URLs that name a coding scheme or are a code: the others lead to a hospital's own server."""

_OPAQUE = frozenset(
    {
        0x00080418,  # Encrypted Attributes and the like: whatever was encrypted or packed can't be looked at
        0x0008041B,
        0x0008041C,
        0x0040A074,
        0x0040A089,
        0x00686300,
        0x04000120,
        0x04000500,
        0x04000520,
    }
)


def clean_dataset(
    dataset: Dataset, context: Context, *, path: str = "", parent: int | None = None, inside: bool = False
) -> None:
    """Clean `dataset` in place, and note each action in `context`.

    `path` and `parent` say where an item stands, `inside` that its sequence is to be cleaned (action C), so
    that free text and the meanings of codes in it are. The pixels are no part of this.
    """
    _check_charset(dataset, context, path)
    sweep_private(dataset, context, path)
    if inside:
        clean_code(dataset, context, path)
    for tag in sorted(dataset.keys()):
        if tag not in dataset or tag.is_private or (inside and tag in CODE_TAGS):
            continue
        where = f"{path}{tag:08X}"
        if tag.element == 0 or tag.group <= 6:
            _remove(dataset, tag, context, where, Rule.MISPLACED)
        elif tag.group >> 8 == 0x60:
            _remove(dataset, tag, context, where, Rule.OVERLAY)
        else:
            action = decide(tag, context.policy.options, context.iod, parent)
            if action is None:
                _clean_unlisted(dataset, tag, context, where, inside=inside)
            else:
                _act(dataset, tag, action, context, where, parent)


def _check_charset(dataset: Dataset, context: Context, path: str) -> None:
    """Remove a Specific Character Set that is none."""
    tag = BaseTag(_CHARSET)
    if tag in dataset and not all(is_charset(text) or not text.strip() for text in texts_of(dataset, tag)):
        _remove(dataset, tag, context, f"{path}{tag:08X}", Rule.ILLEGAL)


def _remove(dataset: Dataset, tag: BaseTag, context: Context, where: str, rule: Rule) -> None:
    del dataset[tag]
    context.note(where, Action.REMOVE, rule)


def _empty(dataset: Dataset, tag: BaseTag, vr: str, context: Context, where: str) -> None:
    """Take out a value that names somebody; the attribute stays, since its object may have to have it."""
    empty(dataset, tag, vr.rpartition(" ")[2])  # of "OB or OW" either holds nothing
    context.note(where, Action.ZERO, Rule.IDENTIFIER)


def _act(
    dataset: Dataset, tag: BaseTag, action: Action, context: Context, where: str, parent: int | None
) -> None:
    """Do what the table says; where a value can't be cleaned, what the basic profile says."""
    vr = _table_vr(dataset, tag)
    if vr == "SQ" and action in (Action.CLEAN, Action.KEEP, Action.UID):
        if _clean_items(dataset, tag, context, where, inside=action is not Action.KEEP):
            context.note(where, action, Rule.TABLE)
            return
        action = basic_action(tag, context.iod, parent)
    rule = Rule.TABLE
    undone = action is Action.CLEAN and not clean_value(dataset, tag, vr, context)
    if undone or (action is Action.KEEP and not _may_stay(dataset, tag, vr)):
        action = basic_action(tag, context.iod, parent)
    elif action is Action.KEEP and names_somebody(dataset, tag, vr, context):
        action, rule = basic_action(tag, context.iod, parent), Rule.IDENTIFIER
    elif action is Action.KEEP and cap_age(dataset, tag, vr, context):
        action = Action.CLEAN
    if action is Action.REMOVE:
        del dataset[tag]
    elif action is Action.ZERO and not put_pseudonym(dataset, tag, vr, context):
        empty(dataset, tag, vr)
    elif action is Action.DUMMY and not put_pseudonym(dataset, tag, vr, context):
        put_dummy(dataset, tag, vr, context)
    elif action is Action.UID:
        replace_uids(dataset, tag, vr, context)
    context.note(where, action, rule)


def _may_stay(dataset: Dataset, tag: BaseTag, vr: str) -> bool:
    """Tell whether a value that an option retains is one of its kind: a date that is none may be a name."""
    if vr in ("AS", "CS", "DS", "IS"):
        return all(is_legal(text, vr) for text in raw_texts_of(dataset, tag))
    texts = [text for text in texts_of(dataset, tag) if text.strip("\0 ")]
    if vr in ("DA", "DT", "TM"):
        return all(shifted(text, vr, days=0) is not None for text in texts)
    if tag == _ZONE:
        return all(is_zone(text) for text in texts)
    return vr != "UI" or all(is_legal(text, vr) for text in texts)


def _table_vr(dataset: Dataset, tag: BaseTag) -> str:
    """Return the dictionary's VR of an attribute of the table; what its file says doesn't count."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return vr_of(dataset, tag)


def _clean_items(dataset: Dataset, tag: BaseTag, context: Context, where: str, *, inside: bool) -> bool:
    """Clean the items of a sequence; tell whether it is one, and has any."""
    element = dataset[tag]
    if element.VR != "SQ":
        return False
    items = list(element.value or [])
    for item in items:
        clean_dataset(item, context, path=f"{where}.", parent=int(tag), inside=inside)
    if items:
        dataset[tag].value = Sequence(items)
    return bool(items)


def _clean_unlisted(dataset: Dataset, tag: BaseTag, context: Context, where: str, *, inside: bool) -> None:
    """Clean an attribute that the table doesn't list, by what its kind of value can give away."""
    vr = strictest_vr(dataset, tag)
    if not is_known(tag) or tag in _OPAQUE or vr in ("UN", "NONE") or tag.group == _ITEMS:
        _remove(dataset, tag, context, where, Rule.UNKNOWN)
    elif not has_its_kind(dataset, tag, vr):
        _remove(dataset, tag, context, where, Rule.ILLEGAL)
    elif vr == "SQ":
        _clean_items(dataset, tag, context, where, inside=inside)
    elif vr == "PN":
        put_dummy(dataset, tag, vr, context)
        context.note(where, Action.DUMMY, Rule.UNLISTED)
    elif vr in ("DA", "DT", "TM"):
        _clean_moment(dataset, tag, vr, context, where)
    elif vr == "UI":
        _clean_uid(dataset, tag, context, where)
    elif vr == "UR" and tag not in _URLS:
        _remove(dataset, tag, context, where, Rule.UNLISTED)
    elif vr in TEXTS or vr == "UR":
        _clean_text(dataset, tag, vr, context, where, inside=inside)
    elif vr in ("AE", "AS", "CS", "DS", "IS"):
        _check(dataset, tag, vr, context, where)
    elif names_somebody(dataset, tag, vr, context):
        _empty(dataset, tag, vr, context, where)
    else:
        context.note(where, Action.KEEP, Rule.UNLISTED)


def _clean_moment(dataset: Dataset, tag: BaseTag, vr: str, context: Context, where: str) -> None:
    """Treat a moment outside the table as the table treats most (PS3.15 E.1.1, note 4)."""
    if context.policy.has(Option.FULL_DATES):
        context.note(where, Action.KEEP, Rule.UNLISTED)
    elif context.policy.has(Option.MODIFIED_DATES) and shift_value(dataset, tag, vr, context):
        context.note(where, Action.CLEAN, Rule.UNLISTED)
    else:
        _remove(dataset, tag, context, where, Rule.UNLISTED)


def _clean_uid(dataset: Dataset, tag: BaseTag, context: Context, where: str) -> None:
    """Keep what names a class; map what names an instance, so that references to it still fit."""
    texts = texts_of(dataset, tag)
    if any(not is_legal(text, "UI") for text in texts):
        _remove(dataset, tag, context, where, Rule.ILLEGAL)
    elif names_somebody(dataset, tag, "UI", context):
        replace_uids(dataset, tag, "UI", context)
        context.note(where, Action.UID, Rule.IDENTIFIER)
    elif (
        is_class(tag)
        or context.policy.has(Option.UIDS)
        or all(not text.strip("\0 ") or text.strip("\0 ") in UID_dictionary for text in texts)
    ):
        context.note(where, Action.KEEP, Rule.UNLISTED)
    else:
        replace_uids(dataset, tag, "UI", context)
        context.note(where, Action.UID, Rule.UNLISTED)


def _clean_text(
    dataset: Dataset, tag: BaseTag, vr: str, context: Context, where: str, *, inside: bool
) -> None:
    """Clean free text: long, and in cleaned sequences, by its words; other text if it names somebody."""
    texts = texts_of(dataset, tag)
    if inside or vr in ("ST", "LT", "UT", "UC") or tag in _LABELS:
        if any(text.strip() for text in texts) and not clean_value(dataset, tag, vr, context):
            put(dataset, tag, vr, ABSENT)
        context.note(where, Action.CLEAN, Rule.TEXT)
    elif any(context.identifiers.found_in(text) for text in texts):
        left = " ".join(filter(None, (cleaned(text, but=context.identifiers.names) for text in texts)))
        put(dataset, tag, vr, (left or ABSENT)[:16])
        context.note(where, Action.CLEAN, Rule.IDENTIFIER)
    else:
        context.note(where, Action.KEEP, Rule.UNLISTED)


def _check(dataset: Dataset, tag: BaseTag, vr: str, context: Context, where: str) -> None:
    """Keep a code or number that is one, and names nobody."""
    texts = texts_of(dataset, tag) if vr in ("AE", "CS") else raw_texts_of(dataset, tag)
    if any(not is_legal(text, vr) for text in texts):
        _remove(dataset, tag, context, where, Rule.ILLEGAL)
    elif names_somebody(dataset, tag, vr, context):
        _empty(dataset, tag, vr, context, where)
    else:
        context.note(where, Action.KEEP, Rule.UNLISTED)
