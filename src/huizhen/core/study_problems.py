"""Everything wrong with a study file's text at once: syntax, keys, types, ranges, rules across fields."""

from __future__ import annotations

import copy
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from huizhen.core.study import Endpoint, Study
from huizhen.core.study_limits import LARGEST_NUMBER, MOST_PROBLEMS, TOO_MUCH, beyond_limits, is_deep
from huizhen.core.study_lines import Place, dotted, key_lines, line_of
from huizhen.core.study_wording import Problem, at, models_at, place_of, problems_of

__all__ = ["parse_study", "with_lines"]

STAND_INS: Mapping[str, Any] = {
    "name": "stand-in",
    "title": "stand-in",
    "question": "stand-in",
    "seed": 0,
    "task": {"outcome": "stand-in", "positive": ["1"], "negative": ["0"]},
}
"""What replaces a broken required key, so that the rules across the other fields are still checked."""

GIVEN: Mapping[str, Mapping[str, Any]] = {
    "predictions": {"table": "stand-in", "outcome": "stand-in 1", "score": "stand-in 2", "threshold": 0.5},
    "reads": {key: f"stand-in {key}" for key in ("table", "patient", "outcome", "reader", "rating")},
}
"""The same for tables that were made elsewhere: without them a study would need sites and modalities."""

LISTS = ("site", "source", "modality", "endpoint", "subgroup")
"""The lists of tables."""


def parse_study(
    text: str, *, prepare: Callable[[dict[str, Any]], None] | None = None
) -> tuple[Study | None, dict[str, Any], list[Problem]]:
    """Return the study of a TOML text (None if it has problems), the raw table, and every problem.

    `prepare` may fill in the raw table before it is checked.
    """
    if problem := beyond_limits(text):
        return None, {}, [problem]
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, {}, [_syntax_problem(str(error))]
    except (ValueError, RecursionError):  # a number of thousands of digits; brackets within brackets
        return None, {}, [TOO_MUCH]
    if is_deep(raw):
        return None, {}, [TOO_MUCH]
    if prepare is not None:
        prepare(raw)
    problems = list(_not_plain(raw, ()))
    study = None
    if not problems:
        study, problems = _validate_in_passes(raw)
        problems += [*_endpoint_problems(raw, study), *_unused_modalities(study)]
    return (None if problems else study), raw, with_lines(problems, text)


def with_lines(problems: Iterable[Problem], text: str) -> list[Problem]:
    """Return the problems with the lines of their fields in a study's text, in that order."""
    problems = list(problems)
    lines = key_lines(text) if problems else {}  # a text beyond limits has none here, and is not gone through
    placed = [replace(problem, line=line_of(problem.field, lines)) for problem in problems]
    return sorted(placed, key=lambda p: p.line or 0)


def _syntax_problem(message: str) -> Problem:
    """Return the problem of a TOML syntax error, its line taken from the parser's message."""
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line = int(found.group(1)) if found else None
    reason = re.sub(r"\s*\(at .*\)$", "", message)
    column = f", column {found.group(2)}" if found else ""
    return Problem(
        field="(syntax)",
        reason=f"not valid TOML: {reason[:1].lower()}{reason[1:]}{column}",
        remedy='write key = value, with text in "quotes"',
        line=line,
    )


def _not_plain(value: Any, path: Place) -> Iterator[Problem]:
    """Yield a problem for each value that no study has: dates, times, infinity and NaN."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _not_plain(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_plain(item, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(field=dotted(path), reason="is not a finite number", remedy="give a finite number")
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        yield Problem(field=dotted(path), reason="is too large a number", remedy="give a smaller number")
    elif not isinstance(value, str | int | float):
        yield Problem(field=dotted(path), reason="is a date or time", remedy="write it as text, in quotes")


# --- validation ----------------------------------------------------------------------------------------


def _validate(raw: Mapping[str, Any]) -> tuple[Study | None, list[Any]]:
    """Return the study, or pydantic's errors. Strict: text is no number and 1 is no true."""
    try:
        return Study.model_validate_json(json.dumps(raw), strict=True), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _validate_in_passes(raw: dict[str, Any]) -> tuple[Study | None, list[Problem]]:
    """Validate, then again without what was wrong, so that no rule waits behind another problem."""
    study, errors = _validate(raw)
    if study is not None:
        return study, []
    problems = [p for e in errors[:MOST_PROBLEMS] for p in problems_of(e, raw)]
    pruned = copy.deepcopy(raw)
    for error in errors:
        _drop_key(pruned, place_of(error, raw))
    study, errors = _validate(pruned)
    if study is None:
        problems += [p for e in errors[:MOST_PROBLEMS] for p in problems_of(e, pruned)]
        lost = _drop_items(pruned, [place_of(e, pruned) for e in errors])
        _, errors = _validate(pruned)
        study_wide = [p for e in errors if not e["loc"] for p in problems_of(e, pruned)]
        problems += [p for p in study_wide if not any(name in p.reason for name in lost)]
    return None, _without_repeats(problems)


def _without_repeats(problems: list[Problem]) -> list[Problem]:
    """Return the problems, one a field and reason."""
    return list({(p.field, p.reason): p for p in problems}.values())


def _drop_key(raw: Any, path: Place) -> None:
    """Take the key at `path` out of `raw` unless it must be there, stands in for others or is in a list."""
    if not path or isinstance(path[-1], int):
        return
    if len(path) == 1 and path[0] in GIVEN:
        section = str(path[0])
        found = raw[section] if isinstance(raw[section], Mapping) else {}
        kept = found.keys() & {"compare", "cohort"} if section == "predictions" else set()
        raw[section] = {**GIVEN[section], **{key: found[key] for key in kept}}
        return
    owners = list(models_at(path[:-1], raw))
    fields = [model.model_fields[path[-1]] for model in owners if path[-1] in model.model_fields]
    if all(not item.is_required() for item in fields):
        parent = at(raw, path[:-1])
        if isinstance(parent, dict):
            parent.pop(path[-1], None)


def _drop_items(raw: dict[str, Any], paths: list[Place]) -> set[str]:
    """Drop the list items that `paths` stand in, give top keys a stand-in, and return the names lost."""
    lost: set[str] = set()
    for key in {path[0] for path in paths if path} & set(STAND_INS):
        raw[str(key)] = STAND_INS[str(key)]
    holders = {_holder(path) for path in paths} - {()}
    for path in sorted(holders, key=str, reverse=True):
        lost |= _names_along(raw, path)
    for path in sorted(holders, key=lambda p: [part for part in p if isinstance(part, int)], reverse=True):
        del at(raw, path[:-1])[path[-1]]
    if any(path[0] == "site" for path in holders):
        lost |= {"no site has role", "stand-in"}
    if any(path[0] == "modality" for path in holders):
        lost.add("table_lr")
    return lost


def _holder(path: Place) -> Place:
    """Return the way to the innermost list item that `path` stands in, or () outside lists of tables.

    >>> _holder(("site", 0, "source", 1, "columns", "patient"))
    ('site', 0, 'source', 1)
    """
    ends = [end for end, part in enumerate(path) if isinstance(part, int) and path[end - 1] in LISTS]
    return path[: ends[-1] + 1] if ends else ()


def _names_along(raw: Any, path: Place) -> set[str]:
    """Return the names of the named things from the top down to `path`."""
    along = [at(raw, path[: end + 1]) for end in range(len(path))]
    return {str(item["name"]) for item in along if isinstance(item, Mapping) and "name" in item}


# --- rules that need no files --------------------------------------------------------------------------


def _endpoint_problems(raw: Mapping[str, Any], study: Study | None) -> Iterator[Problem]:
    """Yield the endpoints that nothing in the study can answer."""
    if {"predictions", "reads"} & raw.keys():  # a table that was made elsewhere has no sites and variants
        return
    has_external = any(site.get("role") == "external" for site in _tables(raw, "site"))
    for index, given in enumerate(_tables(raw, "endpoint")):
        try:
            endpoint = Endpoint.model_validate(given)
        except ValidationError:
            continue
        field = f"endpoint[{index}]"
        if endpoint.cohort == "external" and not has_external:
            yield Problem(
                field=f"{field}.cohort",
                reason="is external, but no site has role external",
                remedy='add a [[site]] with role = "external", or ask for the internal cohort',
            )
        if study is None:
            continue
        for key, variant in (("model", endpoint.model), ("against", endpoint.against)):
            if variant is not None and variant not in study.network.variants:
                yield Problem(
                    field=f"{field}.{key}",
                    reason=f"names {variant.value}, which the study doesn't train",
                    remedy=f"add {variant.value} to network.variants",
                )


def _tables(raw: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the list of tables under `key`; what is no table counts as an empty one."""
    items = raw.get(key, [])
    return [item if isinstance(item, Mapping) else {} for item in items] if isinstance(items, list) else []


def _unused_modalities(study: Study | None) -> Iterator[Problem]:
    """Yield the modalities that no source is read for."""
    if study is None:
        return
    read = {source.modality for site in study.site for source in site.source}
    for index, modality in enumerate(study.modality):
        if modality.name not in read:
            yield Problem(
                field=f"modality[{index}]",
                reason=f"no site has a source for {modality.name}",
                remedy="add a [[site.source]] for it, or take the modality out",
            )
