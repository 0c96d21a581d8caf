"""A table as codes: each column's distinct values once, and a number a row that says which one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import Digest, digest_file
from huizhen.core.table_text import columns_of, rows_of
from huizhen.errors import DataError, InvalidInputError

__all__ = ["Codes", "Column", "Microdata", "column_of", "microdata_of", "number_of", "read_microdata"]

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """One column: its distinct `values` in order, and `codes` (rows,) that point into them.

    Numbers stand in their own order where all values but the empty one are numbers, else text is sorted. A
    missing cell is the value "": whoever has none shares that with the others who have none.
    """

    name: str
    values: tuple[str, ...]
    codes: Codes

    @property
    def counts(self) -> Codes:
        """How many rows hold each value."""
        return np.bincount(self.codes, minlength=len(self.values))


def column_of(name: str, cells: Iterable[str]) -> Column:
    """Return a column of cells.

    >>> found = column_of("age", ["9", "10", "9"])
    >>> found.values, found.codes.tolist()
    (('9', '10'), [0, 1, 0])
    """
    index: dict[str, int] = {}
    raw = np.fromiter((index.setdefault(cell.strip(), len(index)) for cell in cells), np.int64)
    order = sorted(index, key=_order(index))
    place = np.empty(len(order), np.int64)
    place[[index[value] for value in order]] = np.arange(len(order))
    return Column(name=name, values=tuple(order), codes=place[raw] if len(raw) else raw)


def _order(values: Iterable[str]) -> Callable[[str], tuple[float, str]]:
    """Return the key that sorts values: as numbers where all are, the empty one first."""
    numeric = all(number_of(value) is not None for value in values if value)

    def key(value: str) -> tuple[float, str]:
        found = number_of(value) if numeric else None
        return (float("-inf") if not value else found if found is not None else 0.0, value)

    return key


def number_of(text: str) -> float | None:
    """Return the finite number that a cell holds, or None.

    >>> number_of("63.0"), number_of("NP"), number_of("nan")
    (63.0, None, None)
    """
    try:
        found = float(text)
    except ValueError:
        return None
    return found if np.isfinite(found) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Microdata:
    """The columns of a table that matter, and the patient of each row where the table names them.

    `patients` (rows,) are codes; None where each row is another patient. `missing` tells no more than "".
    """

    columns: Mapping[str, Column]
    patients: Codes | None = None
    digest: Digest | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.columns.values())).codes)

    @property
    def people(self) -> int:
        """How many patients there are."""
        return self.rows if self.patients is None else int(self.patients.max()) + 1

    def of(self, names: Sequence[str]) -> list[Column]:
        """Return the named columns. Raises `InvalidInputError` for one that wasn't read."""
        if absent := [name for name in names if name not in self.columns]:
            raise InvalidInputError(f"no column {', '.join(absent)} was read", remedy="name it when reading")
        return [self.columns[name] for name in names]

    def kept(self, rows: NDArray[np.bool_]) -> Microdata:
        """Return the rows for which `rows` (rows,) is true; values that nobody has any more go."""
        columns = {}
        for name, column in self.columns.items():
            held, codes = np.unique(column.codes[rows], return_inverse=True)
            values = tuple(column.values[int(code)] for code in held)
            columns[name] = Column(name=name, values=values, codes=codes.astype(np.int64))
        patients = None
        if self.patients is not None:
            patients = np.unique(self.patients[rows], return_inverse=True)[1].astype(np.int64)
        return Microdata(columns=columns, patients=patients)


def microdata_of(
    cells: Mapping[str, Sequence[str]], *, patients: Sequence[str] | None = None, digest: Digest | None = None
) -> Microdata:
    """Return columns of text as microdata. Raises `DataError` without a row, or where a patient is unnamed.

    Where every patient has one row, `patients` is dropped.
    """
    columns = {name: column_of(name, values) for name, values in cells.items()}
    if not columns or not len(next(iter(columns.values())).codes):
        raise DataError("has no rows", remedy="give a table with a row a patient")
    codes = None
    if patients is not None:
        who = column_of("patient", patients)
        if "" in who.values:
            raise DataError(
                "a row names no patient",
                remedy="fill the patient column, or leave `patient` out of the policy",
            )
        codes = who.codes if len(who.values) < len(who.codes) else None
    return Microdata(columns=columns, patients=codes, digest=digest)


def read_microdata(path: Path, names: Sequence[str], *, patient: str | None = None) -> Microdata:
    """Return the named columns of a CSV or Parquet table. Raises `DataError`, `UnreadableFileError`."""
    held = columns_of(path)
    wanted = list(dict.fromkeys([*names, *([patient] if patient else [])]))
    if absent := [name for name in wanted if name not in held]:
        raise DataError(
            f"no column {', '.join(absent)}",
            remedy="correct the policy: it names columns of the table",
            file=path.name,
        )
    cells: dict[str, list[str]] = {name: [] for name in wanted}
    into = [(name, found.append) for name, found in cells.items()]
    for row in rows_of(path, wanted):
        for name, add in into:
            add(row[name])
    who = cells[patient] if patient else None
    return microdata_of({name: cells[name] for name in names}, patients=who, digest=digest_file(path))
