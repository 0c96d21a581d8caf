"""What is wrong with a file of settings, in plain words: the first problem that pydantic found in it.

The words are those of a study file's problems (`huizhen.core.study_wording`), for any closed type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from huizhen.core.study_wording import WORDS, Problem, nearest
from huizhen.errors import HuizhenError

__all__ = ["Form", "listed", "problem_in", "problems_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a text that doesn't fit a pattern isn't, and what to do."""

    reason: str
    remedy: str


LENGTHS: Mapping[str, tuple[str, str]] = {
    "string_too_short": ("is empty, or too short", "fill it in"),
    "string_too_long": ("is longer than {max_length} characters", "write less"),
    "too_long": ("has more than {max_length} parts", "write fewer"),
}
"""Pydantic's types of errors of length."""


def problem_in(error: ValidationError, model: type[BaseModel], *, remedy: str) -> Problem:
    """Return the first problem of what should have been a `model`; `remedy` where there is none better.

    >>> class Box(BaseModel, extra="forbid"):
    ...     width: int = 1
    >>> try:
    ...     Box.model_validate({"widht": 2})
    ... except ValidationError as error:
    ...     print(problem_in(error, Box, remedy="correct it"))
    widht: is an unknown key (did you mean width?)
    """
    return problems_in(error, model, remedy=remedy)[0]


def problems_in(
    error: ValidationError,
    model: type[BaseModel],
    *,
    remedy: str,
    forms: Mapping[str, Form] = MappingProxyType({}),
) -> list[Problem]:
    """Return all problems of what should have been a `model`; `forms` says in words what patterns mean.

    >>> from typing import Annotated
    >>> from pydantic import Field
    >>> class Box(BaseModel, extra="forbid"):
    ...     width: int
    ...     colour: Annotated[str, Field(pattern="^[a-z]+$")]
    >>> try:
    ...     Box.model_validate({"widht": 2, "colour": "3"})
    ... except ValidationError as error:
    ...     for one in problems_in(error, Box, remedy="correct it", forms={"^[a-z]+$": Form(
    ...         reason="is no colour", remedy="write red")}):
    ...         print(one)
    width: is missing (add it)
    colour: is no colour (write red)
    widht: is an unknown key (did you mean width?)
    """
    told = _without_echoes(error.errors(include_url=False))
    found = [_problem(one, model, remedy, forms) for one in told]
    return list({(one.field, one.reason == "is missing"): one for one in reversed(found)}.values())[::-1]


def listed(problems: Sequence[Problem]) -> str:
    """Return several problems as the message of one error, each on its line."""
    lines = "".join(f"\n  {problem}" for problem in problems)
    return f"{len(problems)} problems:{lines}\n"


def _without_echoes(found: list[ErrorDetails]) -> list[ErrorDetails]:
    """Return pydantic's problems but those of a list that is only too short since what is in it is wrong."""
    inside = {one["loc"][:depth] for one in found for depth in range(len(one["loc"]))}
    return [one for one in found if one["type"] != "too_short" or one["loc"] not in inside]


def _problem(first: ErrorDetails, model: type[BaseModel], remedy: str, forms: Mapping[str, Form]) -> Problem:
    """Return one of pydantic's problems in plain words."""
    field, kind, context = _place(first["loc"]), first["type"], first.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, HuizhenError):
        return Problem(field=field or cause.field or "", reason=cause.message, remedy=cause.remedy)
    if kind == "extra_forbidden":
        known = sorted(set(_keys_at(model, first["loc"])))
        said = _choose(str(first["loc"][-1]), known, "known keys here: ") if known else remedy
        return Problem(field=field, reason="is an unknown key", remedy=said)
    if kind in ("enum", "literal_error"):
        choices = re.findall(r"'([^']*)'", str(context["expected"]))
        said = _choose(str(first["input"]), choices, "choose one of: ") if choices else remedy
        return Problem(field=field, reason=f"can't be {str(first['input'])[:64]!r}", remedy=said)
    if kind == "value_error":
        return Problem(field=field, reason=str(cause), remedy=remedy)
    if kind == "string_pattern_mismatch" and context["pattern"] in forms:
        form = forms[context["pattern"]]
        return Problem(field=field, reason=form.reason, remedy=form.remedy)
    if kind in LENGTHS:
        reason, said = (text.format(**context) for text in LENGTHS[kind])
        return Problem(field=field, reason=reason, remedy=said)
    if kind == "string_pattern_mismatch":
        return Problem(field=field, reason=f"is not of the form {context['pattern']}", remedy=remedy)
    if kind in WORDS:
        reason, said = (text.format(**context) for text in WORDS[kind])
        return Problem(field=field, reason=reason, remedy=said)
    return Problem(field=field, reason=str(first["msg"]), remedy=remedy)


def _place(loc: tuple[int | str, ...]) -> str:
    """Return where a problem stands, as "bounds.k", without what pydantic calls the kinds of a union."""
    kinds = ("constrained-", "function-")
    return ".".join(str(one) for one in loc if "[" not in str(one) and not str(one).startswith(kinds))


def _choose(given: str, known: list[str], otherwise: str) -> str:
    close = nearest(given, known)
    return f"did you mean {close}?" if close else otherwise + ", ".join(known)


def _keys_at(model: type[BaseModel], loc: tuple[Any, ...]) -> Iterator[str]:
    """Yield the keys that may stand where the last part of `loc` does."""
    models, free = [model], False
    for part in loc[:-1]:
        if free or not isinstance(part, str):  # a key that anybody may choose, or a place in a list
            free = False
            continue
        found = [one.model_fields[part].annotation for one in models if part in one.model_fields]
        models = [inner for annotation in found for inner in _models_in(annotation)]
        free = any(_is_table(annotation) for annotation in found)
    yield from (name for one in models for name in one.model_fields)


def _is_table(annotation: Any) -> bool:
    """Tell whether an annotation is a table with keys of one's own choice, or may be one."""
    return get_origin(annotation) is dict or any(get_origin(one) is dict for one in get_args(annotation))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
