"""Reporting guidelines as data: each item's number, topic in huizhen's own words, and the evidence it needs.

>>> claim = shipped_checklists()["claim-2024"]
>>> claim.items[6].number, [item.value for item in claim.items[6].evidence]
('7', ['EV04'])
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from huizhen.core.study_file import Problem
from huizhen.core.study_limits import beyond_limits, is_deep
from huizhen.dossier.evidence_items import Item
from huizhen.dossier.form_values import text_problem
from huizhen.dossier.wording import PACKAGE, Text
from huizhen.errors import DossierError, InvalidInputError

__all__ = [
    "By",
    "Checklist",
    "ChecklistItem",
    "Kind",
    "checklist_from_json",
    "checklist_problems",
    "read_checklist",
    "shipped_checklists",
]

FOLDER = "checklists"
MOST_BYTES = 256 * 1024
MOST_ITEMS = 500
HEAD: Mapping[str, int] = {
    "title": 120,
    "title_zh": 120,
    "edition": 160,
    "date": 40,
    "citation": 600,
    "rights": 400,
    "rights_zh": 400,
}
"""The texts of a checklist and the longest of each, in characters."""
REQUIRED = ("title", "edition", "date", "citation")
TOPIC = 240


class By(StrEnum):
    """Who can answer an item of a guideline."""

    AUTOMATIC = "automatic"
    PARTLY = "partly"
    """Evidence answers a part, a person the rest."""
    PERSON = "person"


class Kind(StrEnum):
    """What a guideline is for; checklists are shown in this order."""

    OWN = "own"
    """A checklist of the study's own."""
    REPORTING = "reporting"
    REGULATION = "regulation"
    LABEL = "label"
    PRIVACY = "privacy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistItem:
    """One item: its number in the guideline, its topic, the evidence that feeds it, and by whom."""

    number: str
    topic: Text
    evidence: tuple[Item, ...]
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """A guideline, with the edition that its items were taken from."""

    id: str
    kind: Kind
    title: Text
    edition: str
    date: str
    citation: str
    rights: Text
    items: tuple[ChecklistItem, ...]


@cache
def shipped_checklists() -> Mapping[str, Checklist]:
    """Return the checklists that huizhen brings, by id in the order of their files' names."""
    found = sorted((files(PACKAGE) / FOLDER).iterdir(), key=lambda item: item.name)
    tables = [tomllib.loads(item.read_text("utf-8")) for item in found if item.name.endswith(".toml")]
    for table in tables:
        if (problem := next(checklist_problems(table), None)) is not None:
            raise InvalidInputError(f"{problem.field} {problem.reason}", remedy="install huizhen again")
    return {table["id"]: _checklist(table) for table in tables}


def read_checklist(text: str) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return the table of a checklist of one's own, as it enters the ledger, or None and every problem."""
    remedy = "see docs/how-to/fill-the-evidence-form.md"
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES or beyond_limits(text):
        return None, [Problem(field="(syntax)", reason="is larger than any checklist", remedy=remedy)]
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError):
        return None, [Problem(field="(syntax)", reason="is not valid TOML", remedy=remedy)]
    if is_deep(raw):
        return None, [Problem(field="(syntax)", reason="is not valid TOML", remedy=remedy)]
    problems = list(checklist_problems(raw))
    if not problems and raw["id"] in shipped_checklists():
        problems = [
            Problem(
                field="id", reason="is that of a checklist which huizhen brings", remedy="choose another id"
            )
        ]
    return (None, problems) if problems else (raw, [])


def checklist_from_json(body: Mapping[str, Any]) -> Checklist:
    """Return the checklist of a ledger entry's body. Raises `DossierError` when it is none."""
    table = body.get("checklist")
    table = table if isinstance(table, Mapping) else {}
    if (problem := next(checklist_problems(table), None)) is not None:
        raise DossierError(
            f"a ledger entry of kind checklist holds none ({problem.field}: {problem.reason})",
            remedy="enter the checklist again with this version: huizhen run with --checklist",
        )
    return _checklist(table)


def _checklist(table: Mapping[str, Any]) -> Checklist:
    return Checklist(
        id=table["id"],
        kind=Kind(table.get("kind", Kind.OWN)),
        title=_both(table, "title"),
        rights=_both(table, "rights"),
        items=tuple(_item(row) for row in table["item"]),
        **{name: table[name] for name in ("edition", "date", "citation")},
    )


def _both(table: Mapping[str, Any], name: str) -> Text:
    return Text(table.get(name, ""), table.get(f"{name}_zh") or table.get(name, ""))


def _item(row: Mapping[str, Any]) -> ChecklistItem:
    evidence = tuple(Item(name) for name in row["evidence"])
    return ChecklistItem(number=row["number"], topic=_both(row, "topic"), evidence=evidence, by=By(row["by"]))


def checklist_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield everything wrong with a checklist's table."""
    for key in raw:
        if key not in (*HEAD, "id", "kind", "item", "schema_version"):
            yield Problem(field=key[:64], reason="is an unknown key", remedy="take it out")
    if not isinstance(raw.get("id"), str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", raw["id"]):
        yield Problem(
            field="id",
            reason="is not a plain name",
            remedy="use small letters, digits and dashes, at most 64",
        )
    if raw.get("kind", Kind.OWN) not in list(Kind):
        yield Problem(
            field="kind",
            reason="is none of the words that it can be",
            remedy=f"choose one of: {', '.join(Kind)}",
        )
    for key, longest in HEAD.items():
        if problem := text_problem(key, raw.get(key, ""), longest):
            yield problem
        elif key in REQUIRED and not raw.get(key, "").strip():
            yield Problem(field=key, reason="is missing", remedy="add it")
    yield from _items_problems(raw.get("item"))


def _items_problems(rows: Any) -> Iterator[Problem]:
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
        yield Problem(field="item", reason="must be a list of tables", remedy="write each as [[item]]")
        return
    if len(rows) > MOST_ITEMS:
        yield Problem(
            field="item", reason=f"has more than {MOST_ITEMS} items", remedy="make it several checklists"
        )
        return
    seen: set[str] = set()
    for place, row in enumerate(rows):
        yield from _row_problems(f"item[{place}]", row, seen)
        seen.add(str(row.get("number")))


def _row_problems(field: str, row: Mapping[str, Any], seen: set[str]) -> Iterator[Problem]:
    for key in row:
        if key not in ("number", "topic", "topic_zh", "evidence", "by"):
            yield Problem(field=f"{field}.{key[:64]}", reason="is an unknown key", remedy="take it out")
    for key, longest in (("number", 64), ("topic", TOPIC), ("topic_zh", TOPIC)):
        if problem := text_problem(f"{field}.{key}", row.get(key, ""), longest):
            yield problem
        elif key != "topic_zh" and not row.get(key, "").strip():
            yield Problem(field=f"{field}.{key}", reason="is missing", remedy="add it")
    if str(row.get("number")) in seen:
        yield Problem(
            field=f"{field}.number", reason="stands there twice", remedy="give each item its own number"
        )
    if row.get("by") not in list(By):
        yield Problem(
            field=f"{field}.by",
            reason="is none of the words that it can be",
            remedy=f"choose one of: {', '.join(By)}",
        )
    yield from _evidence_problems(f"{field}.evidence", row.get("evidence"))


def _evidence_problems(field: str, named: Any) -> Iterator[Problem]:
    if not isinstance(named, list) or not named:
        yield Problem(
            field=field, reason="names no evidence item", remedy='list those that answer it, e.g. ["EV20"]'
        )
        return
    if any(name not in list(Item) for name in named):
        yield Problem(
            field=field, reason="names an item that there is not", remedy="choose from EV01 to EV48"
        )
    elif len(set(named)) < len(named):
        yield Problem(field=field, reason="stands there twice", remedy="name each item once")
