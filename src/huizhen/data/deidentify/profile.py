"""Table E.1-1 of DICOM PS3.15 2024e: what each attribute demands, under the options taken.

>>> decide(0x00100010, (), "ct-image", None).value      # Patient's Name: Z
'Z'
>>> decide(0x00080020, (Option.MODIFIED_DATES,), "ct-image", None).value
'C'
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from huizhen.data.deidentify.options import Option

__all__ = ["EDITION", "STANDARD", "Action", "Row", "decide", "object_of", "row_of", "rows"]

EDITION = "2024e"
STANDARD = f"DICOM PS3.15 {EDITION}, Annex E, Table E.1-1"


class Action(StrEnum):
    """What is done to an attribute, in the letters of the standard (PS3.15 E.1.1)."""

    DUMMY = "D"
    ZERO = "Z"
    REMOVE = "X"
    KEEP = "K"
    CLEAN = "C"
    UID = "U"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the table: the letters of the basic profile ("X/Z/D"), and a letter for each option."""

    basic: str
    options: Mapping[Option, str]


@cache
def rows() -> Mapping[str, Row]:
    """Return the table by tag in eight hexadecimal digits ("60xx3000" where groups repeat), and "private"."""
    table = _load("profile_2024e.json")["rows"]
    return {
        key: Row(basic=basic, options={Option(name): letter for name, letter in options.items()})
        for key, (basic, options) in table.items()
    }


@cache
def row_of(tag: int) -> Row | None:
    """Return the row of a tag, or None where the table has none."""
    table = rows()
    group, key = tag >> 16, f"{tag:08x}"
    if group & 1:
        return table["private"]
    if group >> 8 == 0x50:
        return table["50xxxxxx"]
    return table.get(f"60xx{key[4:]}" if group >> 8 == 0x60 else key)


def decide(tag: int, options: Collection[Option], iod: str, parent: int | None) -> Action | None:
    """Return the action on an attribute of the table, or None where the table has no row for it.

    `iod` names the kind of object ("" if unknown) and `parent` is the tag of the sequence that it stands in:
    both decide between X, Z and D where the table leaves it to the attribute's type in PS3.3. Of two options
    taken, the one that cleans wins over the one that keeps: the less revealing.
    """
    row = row_of(tag)
    if row is None:
        return None
    wanted = {row.options[option] for option in options if option in row.options}
    if "C" in wanted:
        return Action.CLEAN
    if "K" in wanted:
        return Action.KEEP
    return basic_action(tag, iod, parent)


def basic_action(tag: int, iod: str, parent: int | None) -> Action:
    """Return the action of the basic profile alone. Raises `KeyError` for a tag without a row."""
    row = row_of(tag)
    if row is None:
        raise KeyError(tag)
    letters = row.basic.rstrip("*").split("/")
    if len(letters) == 1 and letters[0] != "Z":
        return Action(letters[0])
    needed = _type_of(tag, iod, parent)
    if letters == ["Z"]:
        return Action.DUMMY if needed == "1" else Action.ZERO
    if needed == "3" and "X" in letters:
        return Action.REMOVE
    if needed != "1" and "Z" in letters and "U" not in letters:  # with U, a reference that fits is kept
        return Action.ZERO
    return Action(letters[-1])


def object_of(sop_class: str) -> str:
    """Return the kind of object (IOD) of a SOP Class, or "" for one that the standard doesn't define.

    >>> object_of("1.2.840.10008.5.1.4.1.1.2")
    'ct-image'
    """
    return str(_types()["objects"].get(sop_class, ""))


@cache
def _type_of(tag: int, iod: str, parent: int | None) -> str:
    """Return an attribute's type: "1", "2" or "3". Of an unknown object each is taken for type 1."""
    if not iod:
        return "1"
    if parent is not None:
        return str(_types()["nested"].get(f"{parent:08x}/{tag:08x}", "3"))
    needs = _types()["top"].get(f"{tag:08x}", {})
    return next((letter for letter in ("1", "2") if iod in needs.get(letter, ())), "3")


@cache
def _types() -> Mapping[str, Any]:
    return _load("types_2024.json")


def _load(name: str) -> dict[str, Any]:
    """Return one of the data files that ship with this room."""
    text = (files("huizhen.data.deidentify") / "tables" / name).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
