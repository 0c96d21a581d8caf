"""A table's columns and cells as text, read a row at a time, without pandas: CSV, TSV, gzip, Parquet."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from huizhen.errors import DataError, UnreadableFileError

__all__ = ["cell_equals", "columns_of", "rows_of"]


def columns_of(path: Path) -> list[str]:
    """Return the column names of a table. Raises `UnreadableFileError` if it is broken."""
    if path.suffix.lower() == ".parquet":
        return list(_parquet(path, None).schema_arrow.names)
    return next(_lines(path), [])


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield the named columns of each row as text ("" where a cell is missing).

    Raises `DataError` if a column is absent, `UnreadableFileError` if the table is broken.
    """
    if absent := [name for name in columns if name not in columns_of(path)]:
        raise DataError(
            f"no column {', '.join(absent)}", remedy="name a column that the table has", file=str(path)
        )
    if path.suffix.lower() == ".parquet":
        yield from _parquet_rows(path, columns)
        return
    lines = _lines(path)
    header = next(lines, [])
    places = [(name, header.index(name)) for name in columns]
    for line in lines:
        if any(line):
            yield {name: line[place] if place < len(line) else "" for name, place in places}


def cell_equals(cell: str, value: object) -> bool:
    """Tell whether a cell holds `value`: the same text, or the same number.

    >>> cell_equals("3.0", 3), cell_equals("GE", "GE"), cell_equals("3", "03x")
    (True, True, False)
    """
    text = str(value)
    if cell.strip() == text.strip():
        return True
    try:
        return float(cell) == float(text)
    except ValueError:
        return False


def _lines(path: Path) -> Iterator[list[str]]:
    """Yield the lines of a CSV or TSV file, gzipped or not, as lists of cells."""
    names = path.name.lower().removesuffix(".gz")
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
            yield from csv.reader(stream, delimiter="\t" if names.endswith(".tsv") else ",")
    except (OSError, UnicodeDecodeError, csv.Error, EOFError) as error:
        raise _unreadable(path, error) from error


def _parquet(path: Path, columns: Sequence[str] | None):  # type: ignore[no-untyped-def]  # pyarrow has no types
    """Return an open Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(path, error) from error


def _parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield the named columns of a Parquet file's rows as text."""
    for batch in _parquet(path, columns).iter_batches(columns=list(columns)):
        for row in batch.to_pylist():
            yield {name: "" if row[name] is None else str(row[name]) for name in columns}


def _unreadable(path: Path, error: Exception) -> UnreadableFileError:
    """Return the error for a table that can't be read."""
    return UnreadableFileError(
        f"is not a readable table ({type(error).__name__})",
        remedy="give a CSV in UTF-8, or a Parquet file",
        file=str(path),
    )
