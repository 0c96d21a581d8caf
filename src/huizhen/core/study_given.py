"""What a study of a given table says of it against the file that is there: its path and its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from huizhen.core.study_sources import find_path
from huizhen.core.study_wording import Problem, nearest
from huizhen.core.table_text import columns_of
from huizhen.errors import HuizhenError

__all__ = ["given_table_problems"]

COLUMNS = ("patient", "outcome", "score", "site", "reader", "rating", "arm")
"""The keys of [predictions] and [reads] that name a column."""


def given_table_problems(raw: Mapping[str, Any], roots: Sequence[Path]) -> Iterator[Problem]:
    """Yield what is wrong between [predictions] or [reads] of a raw study and the tables under `roots`."""
    for section in ("predictions", "reads"):
        given = raw.get(section)
        if isinstance(given, Mapping):
            for key in ("table", "tune"):
                if isinstance(given.get(key), str):
                    yield from _table_problems(section, key, given, raw, roots)


def _table_problems(
    section: str, key: str, given: Mapping[str, Any], raw: Mapping[str, Any], roots: Sequence[Path]
) -> Iterator[Problem]:
    """Yield the problems of one table: that it isn't there, or lacks a column."""
    path = find_path(given[key], roots)
    if path is None and not _is_relative(given[key]):
        yield Problem(
            field=f"{section}.{key}",
            reason=f"{given[key]} leads out of the data folder",
            remedy="write it relative to the data folder or to this file; name the data folder with --data",
        )
        return
    if path is None or not path.is_file():
        yield Problem(
            field=f"{section}.{key}",
            reason=f"{given[key]} does not exist",
            remedy="correct the path; it is relative to the data folder or to this file",
        )
        return
    try:
        held = columns_of(path, encoding=given.get("encoding"))
    except HuizhenError as error:
        yield Problem(field=f"{section}.{key}", reason=f"{path.name} {error.message}", remedy=error.remedy)
        return
    for field, name in _named(section, given, raw):
        if name not in held:
            close = nearest(name, held)
            remedy = f"did you mean {close}?" if close else f"it has: {', '.join(held[:20])}"
            yield Problem(field=field, reason=f"the table {path.name} has no column {name}", remedy=remedy)


def _is_relative(path: str) -> bool:
    """Whether a path stays below the folder that it is relative to."""
    return not PurePath(path).is_absolute() and ".." not in PurePath(path).parts


def _named(section: str, given: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every column that the study names, with its field."""
    for key in COLUMNS:
        if isinstance(given.get(key), str):
            yield f"{section}.{key}", given[key]
    compared = given.get("compare")
    for index, name in enumerate(compared if isinstance(compared, list) else []):
        yield f"{section}.compare[{index}]", str(name)
    groups = raw.get("subgroup")
    for index, group in enumerate(groups if isinstance(groups, list) else []):
        column = group.get("column") if isinstance(group, Mapping) else None
        if isinstance(column, str) and column != "site":
            yield f"subgroup[{index}].column", column
