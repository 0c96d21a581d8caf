"""What is wrong with a file of settings, in plain words: the first problem that pydantic found in it.

The words are those of a study file's problems (`huizhen.core.study_wording`), for any closed type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from huizhen.core.study_wording import WORDS, Problem, nearest
from huizhen.core.toml_file import place_of
from huizhen.errors import HuizhenError

__all__ = ["problem_in"]


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
    first = error.errors(include_url=False)[0]
    field, kind, context = place_of(error) or "", first["type"], first.get("ctx", {})
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
    if kind == "string_pattern_mismatch":
        return Problem(field=field, reason=f"is not of the form {context['pattern']}", remedy=remedy)
    if kind in WORDS:
        reason, said = (text.format(**context) for text in WORDS[kind])
        return Problem(field=field, reason=reason, remedy=said)
    return Problem(field=field, reason=str(first["msg"]), remedy=remedy)


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
