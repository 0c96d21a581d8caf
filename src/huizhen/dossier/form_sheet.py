"""The form's [sheet]: what only people can say on the one-page instruction sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from unicodedata import east_asian_width

from huizhen.core.study_file import Problem
from huizhen.dossier.form_values import text_problem

__all__ = ["ROLES", "SheetAnswers", "SheetTexts", "sheet_answers", "sheet_problems"]

ROLES = ("inform", "augment", "replace")
"""What an output may do to a decision."""

STATUSES = ("research", "cleared")
ROOM = 200
"""How much room a text may take, a Chinese character as two: with all texts so long the sheet is one page."""
MOST_CONDITIONS = 6
LISTS = ("do_not_use",)
TEXTS = ("purpose", "population", "users", "failures", "stop", "call", "data", "ethics", "funding", "contact")


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetTexts:
    """The sheet's texts in one language; what the form does not give is empty."""

    purpose: str = ""
    population: str = ""
    users: str = ""
    do_not_use: tuple[str, ...] = ()
    failures: str = ""
    stop: str = ""
    call: str = ""
    data: str = ""
    ethics: str = ""
    funding: str = ""
    contact: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what is given as plain values."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v}


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetAnswers:
    """The form's [sheet]: role, status, and the texts in both languages."""

    role: str = ""
    status: str = "research"
    en: SheetTexts = field(default_factory=SheetTexts)
    zh: SheetTexts = field(default_factory=SheetTexts)

    def to_json(self) -> dict[str, Any]:
        """Return what is given as plain values."""
        values = {"role": self.role, "status": self.status, "en": self.en.to_json(), "zh": self.zh.to_json()}
        return {key: value for key, value in values.items() if value}


def sheet_problems(raw: Any) -> Iterator[Problem]:
    """Yield everything wrong with the table [sheet]."""
    if not isinstance(raw, Mapping):
        yield Problem(field="sheet", reason="must be a table", remedy="write it as a [sheet] section")
        return
    for key, value in raw.items():
        if key in ("en", "zh"):
            yield from _texts_problems(f"sheet.{key}", value)
        elif key not in ("role", "status"):
            yield Problem(field=f"sheet.{key[:64]}", reason="is an unknown key", remedy="take it out")
    for key, choices in (("role", ROLES), ("status", STATUSES)):
        if raw.get(key, "") not in ("", *choices):
            yield Problem(
                field=f"sheet.{key}",
                reason="is none of the words that it can be",
                remedy=f"choose one of: {', '.join(choices)}",
            )


def _texts_problems(place: str, part: Any) -> Iterator[Problem]:
    if not isinstance(part, Mapping):
        yield Problem(field=place, reason="must be a table", remedy=f"write it as a [{place}] section")
        return
    for key, value in part.items():
        if key in LISTS:
            yield from _list_problems(f"{place}.{key}", value)
        elif key not in TEXTS:
            yield Problem(field=f"{place}.{key[:64]}", reason="is an unknown key", remedy="take it out")
        elif problem := _short(f"{place}.{key}", value):
            yield problem


def _list_problems(place: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield Problem(field=place, reason="must be a list", remedy="write it in brackets: [...]")
        return
    if len(value) > MOST_CONDITIONS:
        yield Problem(
            field=place, reason=f"has more than {MOST_CONDITIONS} lines", remedy="one page holds no more"
        )
    for text in value:
        if problem := _short(place, text):
            yield problem


def _short(field: str, value: Any) -> Problem | None:
    """Return what is wrong with a text of the sheet, or None."""
    if (problem := text_problem(field, value, ROOM)) is not None:
        return problem
    if room_of(value) <= ROOM:
        return None
    return Problem(
        field=field,
        reason=f"is longer than {ROOM // 2} Chinese characters",
        remedy="say it shorter: the sheet is one page",
    )


def room_of(text: str) -> int:
    """Return the room that a text takes, a wide character as two.

    >>> room_of("AI"), room_of("说明")
    (2, 4)
    """
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def sheet_answers(raw: Mapping[str, Any]) -> SheetAnswers:
    """Return the answers of a table without problems."""
    return SheetAnswers(
        role=raw.get("role", ""),
        status=raw.get("status", "") or "research",
        en=_texts(raw.get("en", {})),
        zh=_texts(raw.get("zh", {})),
    )


def _texts(part: Mapping[str, Any]) -> SheetTexts:
    texts = {name: part.get(name, "").strip() for name in TEXTS}
    return SheetTexts(**texts, do_not_use=tuple(text.strip() for text in part.get("do_not_use", ())))
