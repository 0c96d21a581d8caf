"""Codes in sequences that are to be cleaned: public ones keep their value, local ones become keyed tokens.

The meaning beside a code is put back to the standard's own, or cleaned as text (PS3.15 Table E.1-1, note 7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from huizhen.data.deidentify.actions import put
from huizhen.data.deidentify.context import Context, Rule
from huizhen.data.deidentify.descriptors import cleaned
from huizhen.data.deidentify.dummies import ABSENT
from huizhen.data.deidentify.elements import texts_of
from huizhen.data.deidentify.profile import Action

__all__ = ["CODE_TAGS", "clean_code", "meaning_of"]

_VALUE, _SCHEME, _VERSION, _MEANING = 0x00080100, 0x00080102, 0x00080103, 0x00080104
_LONG, _URN = 0x00080119, 0x00080120
CODE_TAGS = frozenset({_VALUE, _SCHEME, _VERSION, _MEANING, _LONG, _URN})
"""The attributes that are one code together (PS3.3 Table 8.8-1)."""

_SCHEMES: dict[str, re.Pattern[str]] = {
    "DCM": re.compile(r"\d{6}"),
    "FMA": re.compile(r"\d{2,7}"),
    "I10": re.compile(r"[A-Z]\d{2}(\.\w{1,4})?"),
    "LN": re.compile(r"\d{1,7}-\d"),
    "MDC": re.compile(r"\d{1,3}:\d{1,6}"),
    "NCIt": re.compile(r"C\d{3,7}"),
    "RADLEX": re.compile(r"R(ID|PID)\d{1,6}"),
    "SCT": re.compile(r"\d{6,18}"),
    "SCPECG": re.compile(r"\d{1,2}(\.\d{1,2}){0,3}(-\d{1,3}){0,3}"),
    "SNM3": re.compile(r"[A-Z]\d?-[0-9A-Z]{4,6}"),
    "SRT": re.compile(r"[A-Z]\d?-[0-9A-Z]{4,6}"),
    "UMLS": re.compile(r"C\d{7}"),
}
"""Public coding schemes, and what their codes look like; UCUM's units are in the context groups."""

_PLAIN_VERSION = re.compile(r"[0-9][0-9.]{0,9}|20\d{6}")


def meaning_of(scheme: str, code: str) -> str | None:
    """Return the meaning of a code in the context groups of PS3.16, or None for one that they haven't.

    >>> meaning_of("DCM", "121106")
    'Comment'
    """
    return _meanings().get(scheme.strip(), {}).get(code.strip())


@cache
def _meanings() -> Mapping[str, Mapping[str, str]]:
    """Return the meanings by scheme and code, as pydicom carries them."""
    from pydicom.sr._concepts_dict import concepts  # the public lookup goes by keyword, not by code

    found: dict[str, dict[str, str]] = {}
    every: Mapping[str, Any] = concepts
    for scheme, by_keyword in every.items():
        table = found.setdefault(scheme, {})
        for by_code in by_keyword.values():
            table.update({code: meaning for code, (meaning, _) in by_code.items()})
    return found


def clean_code(item: Dataset, context: Context, path: str) -> None:
    """Clean the code that a dataset holds, if it holds one: its value, scheme, version and meaning.

    A code of a public scheme stays. Any other becomes a token under the site's key, the same one wherever the
    code stands, in the scheme 99LOCAL: cases with one code can still be told from others.
    """
    values = {tag: "".join(texts_of(item, BaseTag(tag))).strip() for tag in CODE_TAGS if tag in item}
    scheme = values.get(_SCHEME, "")
    code = values.get(_VALUE, "") or values.get(_LONG, "") or values.get(_URN, "")
    meaning = meaning_of(scheme, code)
    public = meaning is not None or (scheme in _SCHEMES and bool(_SCHEMES[scheme].fullmatch(code)))
    wanted: dict[int, tuple[str, str]] = {}
    if _MEANING in values:
        said = cleaned(values[_MEANING], but=context.identifiers.names)
        kept = meaning is not None and meaning.casefold() == values[_MEANING].casefold()
        wanted[_MEANING] = ("LO", values[_MEANING] if kept else (meaning or said or ABSENT)[:64])
    if not public:
        token = f"L-{context.who.digest('code', f'{scheme} {code}').hex()[:12]}"
        wanted |= {tag: (vr, token) for tag, vr in ((_VALUE, "SH"), (_LONG, "UC")) if tag in values}
        wanted |= {_SCHEME: ("SH", "99LOCAL")} if _SCHEME in values else {}
    for tag in sorted(values):
        _put(item, BaseTag(tag), wanted.get(tag), values[tag], context, path, public=public)


def _put(
    item: Dataset,
    tag: BaseTag,
    wanted: tuple[str, str] | None,
    said: str,
    context: Context,
    path: str,
    *,
    public: bool,
) -> None:
    """Write one attribute of a code, take it out, or leave it as it is; and note which."""
    where = f"{path}{tag:08X}"
    if (tag == _URN and not public) or (tag == _VERSION and not _PLAIN_VERSION.fullmatch(said)):
        del item[tag]
        context.note(where, Action.REMOVE, Rule.CODE)
    elif wanted is not None and wanted[1] != said:
        put(item, tag, *wanted)
        context.note(where, Action.CLEAN, Rule.CODE)
    else:
        context.note(where, Action.KEEP, Rule.CODE)
