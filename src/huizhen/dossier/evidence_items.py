"""The 48 evidence items that reporting guidelines ask for: a closed set, with what of a ledger fills each.

>>> item = evidence_items()[Item.EV21]
>>> item.title.en, item.mode.value
('Calibration', 'automatic')
>>> item.fills("calibration_slope/cman/internal/all"), item.fills("auc/cman/internal/all")
(True, False)
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from huizhen.dossier.wording import PACKAGE, Text
from huizhen.errors import InvalidInputError

__all__ = ["EvidenceItem", "Item", "Mode", "evidence_items", "matches"]

DATA = "evidence_items.toml"


class Item(StrEnum):
    """The name of an evidence item; what each is stands in the data file."""

    EV01 = "EV01"
    EV02 = "EV02"
    EV03 = "EV03"
    EV04 = "EV04"
    EV05 = "EV05"
    EV06 = "EV06"
    EV07 = "EV07"
    EV08 = "EV08"
    EV09 = "EV09"
    EV10 = "EV10"
    EV11 = "EV11"
    EV12 = "EV12"
    EV13 = "EV13"
    EV14 = "EV14"
    EV15 = "EV15"
    EV16 = "EV16"
    EV17 = "EV17"
    EV18 = "EV18"
    EV19 = "EV19"
    EV20 = "EV20"
    EV21 = "EV21"
    EV22 = "EV22"
    EV23 = "EV23"
    EV24 = "EV24"
    EV25 = "EV25"
    EV26 = "EV26"
    EV27 = "EV27"
    EV28 = "EV28"
    EV29 = "EV29"
    EV30 = "EV30"
    EV31 = "EV31"
    EV32 = "EV32"
    EV33 = "EV33"
    EV34 = "EV34"
    EV35 = "EV35"
    EV36 = "EV36"
    EV37 = "EV37"
    EV38 = "EV38"
    EV39 = "EV39"
    EV40 = "EV40"
    EV41 = "EV41"
    EV42 = "EV42"
    EV43 = "EV43"
    EV44 = "EV44"
    EV45 = "EV45"
    EV46 = "EV46"
    EV47 = "EV47"
    EV48 = "EV48"


class Mode(StrEnum):
    """Who gives an item."""

    AUTOMATIC = "automatic"
    LOCKED = "locked"
    """Fixed under a signature before results."""
    HUMAN = "human"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceItem:
    """One item: its name, who gives it, what a person is asked, and what of a ledger fills it.

    `evidence` and `entries` fill it; `beside` and `beside_entries` are shown with it but don't. `lacks`: what
    the ledger alone doesn't hold, so that a person is asked for it; `without`: why nothing is there, when no
    entry and none of the `topics` of "not_assessed/<topic>" says so.
    """

    id: Item
    mode: Mode
    title: Text
    prompt: Text
    asked: bool
    section: str = ""
    evidence: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    beside_entries: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    lacks: Text | None = None
    without: Text | None = None

    @property
    def of_ledger(self) -> bool:
        """Whether a ledger can hold it, or a part of it."""
        return self.mode is not Mode.HUMAN

    @property
    def expects_person(self) -> bool:
        """Whether the form asks for it: always a person's part, or what the ledger alone lacks."""
        return self.asked or self.lacks is not None

    def fills(self, key: str) -> bool:
        """Tell whether evidence of this key fills the item, or its part from the ledger."""
        return matches(self.evidence, key)


def matches(patterns: tuple[str, ...], key: str) -> bool:
    """Tell whether a key is one of `patterns`; one with "!" before it takes away.

    >>> matches(("auc/*", "!*/all"), "auc/cman/internal/north"), matches(("auc/*", "!*/all"), "auc/x/all")
    (True, False)
    """
    if not any(fnmatchcase(key, pattern) for pattern in patterns):
        return False
    return not any(pattern.startswith("!") and fnmatchcase(key, pattern[1:]) for pattern in patterns)


@cache
def evidence_items() -> Mapping[Item, EvidenceItem]:
    """Return the 48 items in order. Raises `InvalidInputError` when the data file is not about them all."""
    table = tomllib.loads((files(PACKAGE) / DATA).read_text(encoding="utf-8"))
    if list(table) != list(Item):
        raise InvalidInputError(f"{DATA} does not hold EV01 to EV48 in order", remedy="install huizhen again")
    return {item: _item(item, table[item.value]) for item in Item}


def _item(item: Item, row: Mapping[str, Any]) -> EvidenceItem:
    mode = Mode(row["mode"])
    return EvidenceItem(
        id=item,
        mode=mode,
        title=Text(**row["title"]),
        prompt=Text(**row["prompt"]),
        asked=bool(row.get("asked", mode in (Mode.HUMAN, Mode.MIXED))),
        section=row.get("section", ""),
        evidence=tuple(row.get("evidence", ())),
        entries=tuple(row.get("entries", ())),
        beside=tuple(row.get("beside", ())),
        beside_entries=tuple(row.get("beside_entries", ())),
        topics=tuple(row.get("topics", ())),
        lacks=Text(**row["lacks"]) if "lacks" in row else None,
        without=Text(**row["without"]) if "without" in row else None,
    )
