"""Columns of a table that somebody else made: cells as text, then as scores and classes, or a clear refusal.

Messages name columns and lines, never a patient's value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study import Task
from huizhen.core.study_wording import nearest
from huizhen.core.table_csv import parse_csv
from huizhen.core.table_text import cell_equals, columns_of, numbered_rows
from huizhen.errors import DataError, UnreadableFileError

__all__ = ["MISSING", "Columns", "classes_of", "header_of", "numbers_of", "read_columns", "refuse_formulas"]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "#n/a"})
"""What an empty cell is written as, in small letters."""

BEGINNING = 1 << 20
"""How many bytes of a CSV are read to find its columns."""

MOST_SHOWN = 6
"""How many values of an outcome column an error shows."""

_FORMULA = re.compile("[=\uff1d@]")
_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The named columns of a table, as text, with each row's line; the header is line 1."""

    file: str
    line: Sequence[int]
    cells: Mapping[str, Sequence[str]]

    def refused(self, column: str, message: str, *, remedy: str) -> DataError:
        """Return the error for a column."""
        return DataError(message, remedy=remedy, field=column, file=self.file)

    def first(self, column: str, wrong: Callable[[str], bool]) -> tuple[int, int]:
        """Return how many cells are wrong, and the line of the first."""
        lines = [line for line, cell in zip(self.line, self.cells[column], strict=True) if wrong(cell)]
        return len(lines), lines[0] if lines else 0


def header_of(path: Path, *, encoding: str | None) -> list[str]:
    """Return the column names of a table; of a large CSV no more than its beginning is read for it.

    Raises `UnreadableFileError` if that is broken.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(BEGINNING + 1)
    except OSError:
        start = b""  # the whole tells why
    whole = len(start) <= BEGINNING or start.startswith((b"PAR1", b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff"))
    if not whole:
        try:
            return list(parse_csv(start[: start.rfind(b"\n") + 1], path, encoding=encoding).header)
        except UnreadableFileError:  # cut within a quoted cell, or broken: the whole tells
            pass
    return columns_of(path, encoding=encoding)


def read_columns(path: Path, wanted: Iterable[str], *, encoding: str | None) -> Columns:
    """Return the `wanted` columns of a CSV or Parquet table.

    Raises `DataError` on an absent column, naming the nearest, one named twice, or no row;
    `UnreadableFileError` on a broken table.
    """
    names = list(dict.fromkeys(wanted))
    held = header_of(path, encoding=encoding)
    for name in names:
        if held.count(name) != 1:
            raise _absent(name, held, path.name)
    lines: list[int] = []
    cells: dict[str, list[str]] = {name: [] for name in names}
    for line, row in numbered_rows(path, names, encoding=encoding):
        lines.append(line)
        for name in names:
            cells[name].append(row[name].strip())
    if not lines:
        raise DataError("the table has no rows", remedy="give one row a patient", file=path.name)
    return Columns(file=path.name, line=lines, cells=cells)


def _absent(name: str, held: Sequence[str], file: str) -> DataError:
    """Return the error for a column that the table lacks, or has twice."""
    if name in held:
        return DataError(
            f"the table has several columns {name}", remedy="rename all but one of them", file=file
        )
    if not held:
        return DataError("the table is empty", remedy="check that it is the right one", file=file)
    close = nearest(name, list(held))
    remedy = f"did you mean {close}?" if close else f"it has: {', '.join(held[:20])}"
    return DataError(f"the table has no column {name}", remedy=remedy, file=file)


def refuse_formulas(columns: Columns, names: Iterable[str]) -> None:
    """Raise `DataError` if a cell of a column that must hold values holds a spreadsheet's formula."""
    for name in names:
        count, line = columns.first(name, lambda cell: bool(_FORMULA.match(cell)))
        if count:
            raise columns.refused(
                name,
                f"{count} cells hold formulas, the first on line {line}",
                remedy="save the table with values instead of formulas",
            )


# --- scores --------------------------------------------------------------------------------------------


def numbers_of(columns: Columns, name: str) -> NDArray[np.float64]:
    """Return a column's numbers (n,), NaN where a cell is missing. Decimal commas are read as such.

    Raises `DataError` on a cell that is no finite number.
    """
    refuse_formulas(columns, [name])
    cells = columns.cells[name]
    try:
        found = np.array([float(cell) if cell else np.nan for cell in cells], dtype=np.float64)
    except ValueError:
        found = np.array([_number(cell, columns, name) for cell in cells], dtype=np.float64)
    if np.isinf(found).any():
        line = columns.line[int(np.flatnonzero(np.isinf(found))[0])]
        raise columns.refused(
            name,
            f"{int(np.isinf(found).sum())} scores are infinite, the first on line {line}",
            remedy="give finite numbers; leave the cell empty where the model gave no answer",
        )
    if np.isnan(found).all():
        raise columns.refused(name, "no row has a score", remedy="name the column that holds the scores")
    return found


def _number(cell: str, columns: Columns, name: str) -> float:
    """Return one cell as a number."""
    if cell.lower() in MISSING:
        return float("nan")
    text = cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell
    try:
        return float(text)
    except ValueError as error:
        count, line = columns.first(name, _is_no_number)
        percent = cell.endswith(("%", "\uff05"))
        raise columns.refused(
            name,
            f"{count} cells are no numbers, the first on line {line}",
            remedy="write percentages as shares of 1, without the sign"
            if percent
            else "name another column, or leave the cell empty where the model gave no answer",
        ) from error


def _is_no_number(cell: str) -> bool:
    """Tell whether a cell is neither missing nor a number.

    >>> _is_no_number("0,5"), _is_no_number("n/a"), _is_no_number("high")
    (False, False, True)
    """
    if cell.lower() in MISSING or _COMMA.fullmatch(cell):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False


# --- classes -------------------------------------------------------------------------------------------


def classes_of(columns: Columns, name: str, task: Task, *, refuse_others: bool) -> NDArray[np.int8]:
    """Return each row's class (n,): 1 positive, 0 negative, -1 no outcome, -2 an outcome of neither class.

    Letters' case doesn't count. With `refuse_others`, or where no row is of a class, raises `DataError`.
    """
    refuse_formulas(columns, [name])
    cells = columns.cells[name]
    known = {cell: _class(cell, task) for cell in set(cells)}
    found = np.array([known[cell] for cell in cells], dtype=np.int8)
    others = [cell for cell in cells if known[cell] == -2]
    if (others and refuse_others) or not np.any(found >= 0):
        raise columns.refused(
            name,
            f"{len(others)} rows are of neither class; the column holds {_held(cells)}",
            remedy=_remedy(task, refuse_others=refuse_others),
        )
    return found


def _class(cell: str, task: Task) -> int:
    """Return the class of one cell.

    >>> task = Task(outcome="x", positive=("malignant", "1"), negative=("benign", "0"))
    >>> [_class(cell, task) for cell in ("Malignant", "0.0", "", "unclear")]
    [1, 0, -1, -2]
    """
    if cell.lower() in MISSING:
        return -1
    folded = cell.casefold()
    if any(folded == name.casefold() or cell_equals(cell, name) for name in task.positive):
        return 1
    return 0 if any(folded == n.casefold() or cell_equals(cell, n) for n in task.negative) else -2


def _remedy(task: Task, *, refuse_others: bool) -> str:
    classes = f"positive are {', '.join(task.positive)}; negative are {', '.join(task.negative)}"
    if refuse_others:
        return f"say with --positive and --negative which values are which, others are left out ({classes})"
    return f"correct --positive and --negative ({classes})"


def _held(cells: Sequence[str]) -> str:
    """Return a column's commonest values, without their counts; what stands once may be a patient's.

    >>> _held(["M", "B", "M", "B", "x"])
    'B, M, 1 other values'
    """
    counts = Counter(cell for cell in cells if cell)
    shown = sorted(value[:40] for value, count in counts.most_common(MOST_SHOWN) if count > 1)
    rest = len(counts) - len(shown)
    return ", ".join([*shown, *([f"{rest} other values"] if rest else [])])
