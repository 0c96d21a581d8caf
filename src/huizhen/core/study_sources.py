"""What a study file says of its sources against the files that are there: paths, arrays, columns, classes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from huizhen.core.dicom_modality import wanted_modality
from huizhen.core.study import ReaderKind, Source, Split, TableModality, Task
from huizhen.core.study_evaluation import Subgroup
from huizhen.core.study_wording import Problem, nearest
from huizhen.core.table_text import cell_equals, columns_of, rows_of
from huizhen.errors import HuizhenError

__all__ = ["SMALLEST_CLASS", "class_of", "find_path", "source_problems"]

SMALLEST_CLASS = 5
"""Fewest patients of either class that the tuning and the test part must be expected to hold."""


def find_path(relative: str, roots: Sequence[Path]) -> Path | None:
    """Return the first of `roots` / `relative` that exists and doesn't lead outside that root, or None.

    >>> find_path("no such file", [Path(".")]) is None
    True
    """
    for root in roots:
        try:
            found = (root.resolve() / relative).resolve()
            if found.is_relative_to(root.resolve()) and found.exists():
                return found
        except (OSError, ValueError):  # a name too long, or one that no file can have
            continue
    return None


PlacedTable = tuple[str, TableModality]
"""A table modality and where it stands in the file: ("modality[1]", ...)."""


def source_problems(raw: Mapping[str, Any], roots: Sequence[Path]) -> Iterator[Problem]:
    """Yield what is wrong between the sources of a raw study table and the files under `roots`.

    Parts of the file that are themselves invalid are passed over: `parse_study` reports those.
    """
    task = _valid(Task, raw.get("task"))
    tables = {
        m.name: (f"modality[{k}]", m)
        for k, item in enumerate(_items(raw, "modality"))
        if (m := _valid(TableModality, item))
    }
    counts: dict[str, bool] = {}
    for i, site in enumerate(_items(raw, "site")):
        for name in ("consent", "disclosure"):
            if isinstance(kept := site.get(name), str) and find_path(kept, roots) is None:
                yield _absent(f"site[{i}].{name}", kept, roots)
        for j, item in enumerate(_items(site, "source")):
            if source := _valid(Source, item):
                field = f"site[{i}].source[{j}]"
                yield from _source_problems(field, source, tables.get(source.modality), task, roots)
                if site.get("role", "development") == "development" and task:
                    counts |= _outcomes(f"{site.get('name', i)}", source, task, roots)
    yield from _split_problems(_valid(Split, raw.get("split", {})), list(counts.values()))
    yield from _group_problems(raw, roots)


def _items(raw: Any, key: str) -> list[Any]:
    """Return the list of tables under `key`, or nothing if it isn't one."""
    items = raw.get(key, []) if isinstance(raw, Mapping) else []
    return [item if isinstance(item, Mapping) else {} for item in items] if isinstance(items, list) else []


def _valid(model: Any, item: Any) -> Any:
    """Return `item` as `model` without the keys it doesn't know, or None if it isn't valid."""
    if not isinstance(item, Mapping):
        return None
    try:
        return model.model_validate({key: value for key, value in item.items() if key in model.model_fields})
    except ValidationError:
        return None


# --- one source ----------------------------------------------------------------------------------------


def _source_problems(
    field: str, source: Source, table: PlacedTable | None, task: Task | None, roots: Sequence[Path]
) -> Iterator[Problem]:
    """Yield the problems of one source: its path first, then what is inside."""
    path = find_path(source.path, roots)
    if path is None:
        yield _absent(f"{field}.path", source.path, roots)
    else:
        yield from _kind_problems(f"{field}.path", source, path)
        if source.reader is ReaderKind.NPZ and path.is_file():
            yield from _array_problems(field, source, path)
    if source.reader is ReaderKind.DICOM and wanted_modality(source) is None:
        yield Problem(
            field=f"{field}.dicom_modality",
            reason=f"is missing, and the name {source.modality} doesn't tell it: any image would be taken",
            remedy='add it: "US", "MG", "MR" ...; or call the modality so',
        )
    labels = _labels_of(source, roots)
    if source.labels is not None and labels is None:
        yield _absent(f"{field}.labels", source.labels, roots)
    if source.masks and source.reader is not ReaderKind.NPZ and find_path(source.masks, roots) is None:
        yield _absent(f"{field}.masks", source.masks, roots)
    if source.where and labels is None and source.labels is None:
        yield Problem(
            field=f"{field}.where", reason="chooses rows of no table", remedy="name the table in labels"
        )
    if labels is not None and labels.is_file():
        yield from _label_problems(field, source, labels, table, task)


def _labels_of(source: Source, roots: Sequence[Path]) -> Path | None:
    """Return the table that holds the source's columns: `labels`, or a table source itself."""
    name = source.labels or (source.path if source.reader is ReaderKind.TABLE else None)
    return find_path(name, roots) if name else None


def _absent(field: str, relative: str, roots: Sequence[Path]) -> Problem:
    """Return the problem of a path that is under no root, naming the nearest that is."""
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        remedy = "give a path below the data folder or the study file's folder, without .."
        return Problem(field=field, reason="leads outside the data folder", remedy=remedy)
    for root in roots:
        names = _names_in((root / relative).parent)
        if close := nearest(Path(relative).name, names):
            found = (Path(relative).parent / close).as_posix()
            return Problem(field=field, reason=f"{relative} does not exist", remedy=f"did you mean {found}?")
    places = " or ".join(str(root) for root in roots)
    return Problem(
        field=field,
        reason=f"{relative} does not exist under {places}",
        remedy="correct the path, or name the data folder with --data or $HUIZHEN_DATA",
    )


def _names_in(folder: Path) -> list[str]:
    """Return the names in a folder, or none if it can't be listed."""
    try:
        return sorted(item.name for item in folder.iterdir())
    except (OSError, ValueError):
        return []


def _kind_problems(field: str, source: Source, path: Path) -> Iterator[Problem]:
    """Yield a problem if a file stands where the reader wants a folder, or the other way round."""
    wants_file = source.reader in (ReaderKind.NPZ, ReaderKind.TABLE)
    if wants_file and path.is_dir():
        yield Problem(
            field=field,
            reason=f"is a folder, reader {source.reader.value} reads one file",
            remedy="name the file inside it, or choose another reader",
        )
    if not wants_file and path.is_dir() and not any(path.iterdir()):
        yield Problem(field=field, reason="is an empty folder", remedy="put the site's files into it")


def _array_problems(field: str, source: Source, path: Path) -> Iterator[Problem]:
    """Yield the arrays that the npz file doesn't hold."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        yield Problem(field=f"{field}.path", reason="is not a readable npz file", remedy="write it anew")
        return
    for key, wanted in (("array", source.array), ("ids", source.ids), ("masks", source.masks)):
        if wanted is not None and wanted not in names:
            yield Problem(
                field=f"{field}.{key}",
                reason=f"the file holds no array {wanted}",
                remedy=_meant(wanted, names, "it holds"),
            )


def _meant(wanted: str, names: list[str], frame: str) -> str:
    """Return the remedy for a name that isn't there."""
    close = nearest(wanted, names)
    return f"did you mean {close}?" if close else f"{frame}: {', '.join(names[:20])}"


# --- the labels table ----------------------------------------------------------------------------------


def _label_problems(
    field: str, source: Source, labels: Path, table: PlacedTable | None, task: Task | None
) -> Iterator[Problem]:
    """Yield the problems between a source and its table: columns, `where`, classes."""
    try:
        names = columns_of(labels, encoding=source.encoding)
        absent = [(key, name) for key, name in _wanted(source, table) if name not in names]
        for key, name in absent:
            yield Problem(
                field=f"{field}.{key}" if not key.startswith("modality") else key,
                reason=f"the table {labels.name} has no column {name}",
                remedy=_meant(name, names, "it has"),
            )
        if not absent:
            yield from _row_problems(field, source, labels, task)
    except HuizhenError as error:
        yield Problem(field=f"{field}.labels", reason=f"{labels.name} {error.message}", remedy=error.remedy)


def _wanted(source: Source, table: PlacedTable | None) -> list[tuple[str, str]]:
    """Return the columns that a source needs, each with the field that names it."""
    columns = source.columns.model_dump() if source.columns else {}
    wanted = [(f"columns.{key}", str(name)) for key, name in columns.items() if name is not None]
    wanted += [(f"where.{name}", name) for name in source.where]
    if table is not None:
        place, modality = table
        wanted += [(f"{place}.numeric", name) for name in modality.numeric]
        wanted += [(f"{place}.categorical", name) for name in modality.categorical]
    return wanted


def _row_problems(field: str, source: Source, labels: Path, task: Task | None) -> Iterator[Problem]:
    """Yield the problems of the rows: none match, or none is of either class."""
    outcome = source.columns.outcome if source.columns else None
    rows = list(_rows(source, labels))
    if not rows:
        what = "where" if source.where else "labels"
        reason = "matches no row" if source.where else "has no rows"
        yield Problem(
            field=f"{field}.{what}", reason=f"{reason} of {labels.name}", remedy="check it against the table"
        )
    elif outcome and task and all(class_of(row[outcome], task) is None for row in rows):
        yield Problem(
            field=f"{field}.columns.outcome",
            reason=f"no row of column {outcome} is of a class that task.positive or task.negative names",
            remedy="name another column, or correct the classes in [task]",
        )


def _rows(source: Source, labels: Path) -> Iterator[Mapping[str, str]]:
    """Yield the rows that `where` keeps, with the patient, the outcome and the columns of `where`."""
    columns = source.columns
    named = [columns.patient, columns.outcome] if columns else []
    wanted = list(dict.fromkeys([name for name in named if name] + list(source.where)))
    for row in rows_of(labels, wanted, encoding=source.encoding):
        if all(_among(row[name], value) for name, value in source.where.items()):
            yield row


def _among(cell: str, value: object) -> bool:
    """Tell whether a cell equals a value, or one of a list of values."""
    return any(cell_equals(cell, item) for item in (value if isinstance(value, list) else [value]))


def class_of(cell: str, task: Task) -> bool | None:
    """Return True for a positive, False for a negative outcome, None for any other."""
    if _among(cell, list(task.positive)):
        return True
    return False if _among(cell, list(task.negative)) else None


# --- the columns of subgroups --------------------------------------------------------------------------


def _group_problems(raw: Mapping[str, Any], roots: Sequence[Path]) -> Iterator[Problem]:
    """Yield the subgroups whose column is in no labels table; nothing where no table can be read."""
    asked = [(k, _valid(Subgroup, item)) for k, item in enumerate(_items(raw, "subgroup"))]
    wanted = {k: found.column for k, found in asked if found and found.source == "table"}
    held = _held_columns(raw, roots) if wanted else []
    for index, column in wanted.items():
        if held and column not in held:
            yield Problem(
                field=f"subgroup[{index}].column",
                reason=f"no labels table has a column {column}",
                remedy=_meant(column, held, "they have"),
            )


def _held_columns(raw: Mapping[str, Any], roots: Sequence[Path]) -> list[str]:
    """Return the columns of all labels tables that can be read."""
    held: dict[str, None] = {}
    for source in (_valid(Source, item) for site in _items(raw, "site") for item in _items(site, "source")):
        labels = _labels_of(source, roots) if source else None
        try:
            held |= dict.fromkeys(columns_of(labels, encoding=source.encoding) if labels else [])
        except HuizhenError:
            continue
    return list(held)


# --- is there enough to hold out -----------------------------------------------------------------------


def _outcomes(site: str, source: Source, task: Task, roots: Sequence[Path]) -> dict[str, bool]:
    """Return each patient's outcome at a site, where the table can be read and says it."""
    labels = _labels_of(source, roots)
    if labels is None or not labels.is_file() or source.columns is None or source.columns.outcome is None:
        return {}
    outcome, patient = source.columns.outcome, source.columns.patient
    try:
        rows = [(f"{site}/{row[patient]}", class_of(row[outcome], task)) for row in _rows(source, labels)]
    except HuizhenError:
        return {}
    return {name: value for name, value in rows if value is not None}


def _split_problems(split: Split | None, outcomes: list[bool]) -> Iterator[Problem]:
    """Yield a problem for each part of the split that would hold too few patients of a class."""
    if split is None or not outcomes:
        return
    smaller = min(sum(outcomes), len(outcomes) - sum(outcomes))
    if split.method == "folds":
        parts = [("folds", smaller / split.folds), ("tune", smaller * (1 - 1 / split.folds) * split.tune)]
    else:
        parts = [("test", smaller * split.test), ("tune", smaller * split.tune)]
    for key, expected in parts:
        if expected < SMALLEST_CLASS:
            yield Problem(
                field=f"split.{key}",
                reason=f"that part would hold about {expected:.1f} patients of the rarer class "
                f"({smaller} in all), at least {SMALLEST_CLASS} are needed",
                remedy='take a larger share, use method = "folds", or add patients',
            )
