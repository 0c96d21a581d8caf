"""One validation error of a study file in plain words: the field, why, what to do, the nearest known key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

from huizhen.core.study import Study
from huizhen.core.study_lines import Place, dotted

__all__ = ["Problem", "at", "models_at", "nearest", "place_of", "problems_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a study file: the dotted `field`, why, what to do, and the `line` where known."""

    field: str
    reason: str
    remedy: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.field}: {self.reason} ({self.remedy})"

    def to_json(self) -> dict[str, str | int | None]:
        """Return the problem as plain values, for `--json`."""
        return {"field": self.field, "reason": self.reason, "remedy": self.remedy, "line": self.line}


def at(raw: Any, path: Place) -> Any:
    """Return what stands at `path`."""
    for part in path:
        raw = raw[part]
    return raw


def place_of(error: Mapping[str, Any], raw: Any) -> Place:
    """Return where an error stands in the file: pydantic's location without the names of union members."""
    path: list[str | int] = []
    here = raw
    last = len(error["loc"]) - 1
    for position, part in enumerate(error["loc"]):
        if (isinstance(here, Mapping) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        ):
            here = here[part]
        elif not (error["type"] == "missing" and position == last):
            continue
        path.append(part)
    return tuple(path)


WORDS: Mapping[str, tuple[str, str]] = {
    "missing": ("is missing", "add it"),
    "string_type": ("must be text", "put it in quotes"),
    "int_type": ("must be a whole number", "write it without quotes or decimals"),
    "int_parsing": ("must be a whole number", "write it without quotes or decimals"),
    "float_parsing": ("must be a number", "write it without quotes"),
    "int_from_float": ("must be a whole number", "write it without decimals"),
    "float_type": ("must be a number", "write it without quotes"),
    "bool_type": ("must be true or false", "write true or false, without quotes"),
    "list_type": ("must be a list", "write it in brackets: [...]"),
    "tuple_type": ("must be a list", "write it in brackets: [...]"),
    "dict_type": ("must be a table", "write it as {{ key = value }}"),
    "model_type": ("must be a table", "write it as a [section] or {{ key = value }}"),
    "greater_than": ("must be above {gt}", "choose a number above {gt}"),
    "greater_than_equal": ("must be at least {ge}", "choose a number of at least {ge}"),
    "less_than": ("must be below {lt}", "choose a number below {lt}"),
    "less_than_equal": ("must be at most {le}", "choose a number of at most {le}"),
    "multiple_of": ("must be a multiple of {multiple_of}", "choose a multiple of {multiple_of}"),
    "too_short": ("needs at least {min_length}", "add one"),
    "string_pattern_mismatch": (
        "is not a plain name",
        "use letters, digits, point, dash and underscore only, at most 64, and start with a letter or digit",
    ),
    "date_type": ("is no day", "write year, month and day as 2026-05-04"),
    "date_parsing": ("is no day", "write year, month and day as 2026-05-04"),
    "date_from_datetime_parsing": ("is no day", "write year, month and day as 2026-05-04"),
    "date_from_datetime_inexact": ("is no day", "write year, month and day as 2026-05-04"),
    "union_tag_invalid": ("has an unknown kind", 'write kind = "image" or kind = "table"'),
}
"""Pydantic's error types as reason and remedy."""

PATTERNS: Mapping[str, tuple[str, str]] = {
    "^[A-Z]{2}$": ("is no ISO 3166 code of two capital letters", "write it as CN, DE or US"),
}
"""What a text isn't that doesn't fit a pattern, where that is another than a plain name's."""


def problems_of(error: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield one pydantic error as problems in plain words."""
    path = place_of(error, raw)
    field, kind, context = dotted(path) or "(study)", error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        yield _unknown_key(path, raw)
    elif kind == "value_error":
        for part in str(context["error"]).split("; "):
            yield _broken_rule(field, part)
    elif kind in ("enum", "literal_error"):
        yield _unknown_choice(field, error["input"], str(context["expected"]))
    elif kind == "string_pattern_mismatch" and context["pattern"] in PATTERNS:
        reason, remedy = PATTERNS[context["pattern"]]
        yield Problem(field=field, reason=reason, remedy=remedy)
    elif kind in WORDS:
        reason, remedy = (text.format(**context) for text in WORDS[kind])
        yield Problem(field=field, reason=reason, remedy=remedy)
    else:
        yield Problem(field=field, reason=error["msg"], remedy="see docs/reference/study.md")


def _broken_rule(field: str, rule: str) -> Problem:
    """Return the problem of a rule across fields: "reason", or "field | reason | remedy"."""
    match rule.split(" | "):
        case [named, reason, remedy]:
            return Problem(field=named, reason=reason, remedy=remedy)
    return Problem(field=field, reason=rule, remedy="change one of the fields that it names")


def _unknown_key(path: Place, raw: Mapping[str, Any]) -> Problem:
    """Return the problem of a key that no model has there, naming the nearest that it has."""
    key = str(path[-1])
    known = [name for model in models_at(path[:-1], raw) for name in model.model_fields]
    if close := nearest(key, known):
        remedy = f"did you mean {close}?"
    elif homes := _homes_of(key):
        remedy = f"it belongs in {' or '.join(homes)}"
    else:
        remedy = f"known keys here: {', '.join(sorted(set(known)))}"
    return Problem(field=dotted(path), reason="is an unknown key", remedy=remedy)


def _unknown_choice(field: str, given: object, expected: str) -> Problem:
    """Return the problem of a value outside a closed list, naming the nearest."""
    choices = re.findall(r"'([^']*)'", expected) or re.findall(r"[^\s,]+", expected.replace(" or ", " "))
    close = nearest(str(given), choices)
    remedy = f"did you mean {close}?" if close else f"choose one of: {', '.join(choices)}"
    return Problem(field=field, reason=f"can't be {str(given)[:64]!r}", remedy=remedy)


def nearest(name: str, known: list[str]) -> str | None:
    """Return the known name that is most like `name`, or None when none is.

    >>> nearest("epoch", ["epochs", "seed"]), nearest("xyz", ["epochs", "seed"])
    ('epochs', None)
    """
    lowered = {item.lower(): item for item in known}
    close = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field's annotation holds, through lists and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def models_at(path: Place, raw: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that may stand at `path`; of several, those whose `kind` the file names."""
    models: list[type[BaseModel]] = [Study]
    for end, part in enumerate(path):
        if isinstance(part, str):
            found = [m.model_fields[part] for m in models if part in m.model_fields]
            models = [inner for field in found for inner in _models_in(field.annotation)]
        here = at(raw, path[: end + 1])
        if len(models) > 1 and isinstance(here, Mapping) and "kind" in here:
            kinds = [m for m in models if here["kind"] in get_args(m.model_fields["kind"].annotation)]
            models = kinds or models
    yield from models


def _homes_of(key: str) -> list[str]:
    """Return the sections in which `key` is known, e.g. ["[split]"]."""
    homes = []
    for name, field in Study.model_fields.items():
        repeated = "list" in str(field.annotation)
        if any(key in model.model_fields for model in _models_in(field.annotation)):
            homes.append(f"[[{name}]]" if repeated else f"[{name}]")
    return homes + (["the top of the file"] if key in Study.model_fields else [])
