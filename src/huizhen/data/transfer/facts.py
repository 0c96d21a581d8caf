"""Facts: what rules may ask for, each of one type, told by the study or by people."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

from huizhen.core.study_wording import nearest
from huizhen.errors import InvalidInputError

__all__ = ["Fact", "FactType", "Value", "checked_value", "known_facts"]

FactType = Literal["truth", "number", "day", "word", "place"]
Value = bool | int | date | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A fact: its `name`, its type, what it is called and the question to a person, both by language."""

    name: str
    type: FactType
    called: Mapping[str, str]
    ask: Mapping[str, str]
    choices: tuple[str, ...] = ()
    """The words that it may be; empty: any."""
    derived: bool = False
    """Told by the study file and the flow; people don't tell it."""


@cache
def known_facts() -> Mapping[str, Fact]:
    """Return all facts by name.

    >>> known_facts()["sensitive_persons"].type
    'number'
    """
    text = (files("huizhen.data.transfer") / "facts.toml").read_text(encoding="utf-8")
    return {
        name: Fact(name=name, **{**found, "choices": tuple(found.get("choices", ()))})
        for name, found in tomllib.loads(text).items()
    }


def checked_value(name: str, value: object) -> Value:
    """Return the value of a fact as people told it. Raises `InvalidInputError` for another type or fact.

    >>> checked_value("sensitive_persons", 9999), checked_value("counted_on", "2026-11-01")
    (9999, datetime.date(2026, 11, 1))
    """
    fact = known_facts().get(name)
    if fact is None or fact.derived:
        told = [one.name for one in known_facts().values() if not one.derived]
        close = nearest(name, told) if fact is None else None
        raise InvalidInputError(
            f"{name[:60]} is no fact that people tell"
            if fact is None
            else f"{name} is told by the study itself",
            remedy=f"did you mean {close}?"
            if close
            else "huizhen transfer rules --facts lists those that they do",
            field=name[:60],
        )
    if fact.choices and isinstance(value, str) and value not in fact.choices:
        close = nearest(value, list(fact.choices))
        raise InvalidInputError(
            f"can't be {value[:64]!r}",
            remedy=f"did you mean {close}?" if close else f"choose one of: {', '.join(fact.choices)}",
            field=name,
        )
    match fact.type, value:
        case "truth", bool():
            return value
        case "number", int() if not isinstance(value, bool) and value >= 0:
            return value
        case "day", date():
            return value
        case "day", str() if _day(value) is not None:
            return date.fromisoformat(value)
        case (("word" | "place"), str()) if value:
            return value
    wanted = {"truth": "true or false", "number": "a whole number", "day": "a day as 2026-11-23"}
    raise InvalidInputError(
        f"{name} isn't written as {wanted.get(fact.type, 'a word')}",
        remedy="correct it in [transfer]",
        field=name,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
