"""A table's columns and cells as text, without pandas: CSV in the forms hospitals write, and Parquet."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from huizhen.core.table_csv import CsvTable, parse_csv
from huizhen.core.table_limits import parquet_batches, table_bytes
from huizhen.errors import DataError, UnreadableFileError

__all__ = ["cell_equals", "columns_of", "encoding_of", "numbered_rows", "rows_of"]


def columns_of(path: Path, *, encoding: str | None = None) -> list[str]:
    """Return the column names of a table. Raises `UnreadableFileError` if it is broken."""
    if _is_parquet(path):
        return list(_parquet(path).schema_arrow.names)
    return list(_csv(path, encoding).header)


def encoding_of(path: Path, *, encoding: str | None = None) -> str:
    """Return what a table's encoding is called; Parquet is UTF-8. Raises `UnreadableFileError`."""
    return "UTF-8" if _is_parquet(path) else _csv(path, encoding).encoding


def rows_of(
    path: Path, columns: Sequence[str], *, encoding: str | None = None
) -> Iterator[Mapping[str, str]]:
    """Yield the named columns of each row as text ("" where a cell is missing).

    `encoding` is one of `table_csv.ENCODINGS`, None to find it out. Raises `DataError` if a column is absent
    or stands twice, `UnreadableFileError` if the table is broken.
    """
    return (row for _, row in numbered_rows(path, columns, encoding=encoding))


def numbered_rows(
    path: Path, columns: Sequence[str], *, encoding: str | None = None
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield what `rows_of` does, each row with its line; the header is line 1."""
    if _is_parquet(path):
        _refuse_absent(columns, columns_of(path), path)
        yield from enumerate(_parquet_rows(path, columns), start=2)
        return
    table = _csv(path, encoding)
    _refuse_absent(columns, table.header, path)
    places = [(name, table.header.index(name)) for name in columns]
    for line, cells in table.rows:
        yield line, {name: cells[place] for name, place in places}


def _refuse_absent(columns: Sequence[str], held: Sequence[str], path: Path) -> None:
    """Raise `DataError` if a column is absent, or stands twice: which of the two is meant can't be told."""
    if absent := [name for name in columns if name not in held]:
        raise DataError(
            f"no column {', '.join(absent)}", remedy="name a column that the table has", file=str(path)
        )
    if twice := sorted({name for name in columns if held.count(name) > 1}):
        raise DataError(
            f"two columns are called {twice[0]}",
            remedy="rename or remove all but the one that is meant",
            file=str(path),
        )


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


def _csv(path: Path, encoding: str | None) -> CsvTable:
    """Return a CSV file, gzipped or not."""
    try:
        return parse_csv(table_bytes(path), path, encoding=encoding)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _is_parquet(path: Path) -> bool:
    """Tell whether a file begins as Parquet files do."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError as error:
        raise _unreadable(path, error) from error


def _parquet(path: Path) -> Any:
    """Return an open Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield the named columns of a Parquet file's rows as text."""
    import pyarrow as pa

    try:
        for batch in parquet_batches(_parquet(path), path, columns=list(columns)):
            for row in batch.to_pylist():
                yield {name: "" if row[name] is None else str(row[name]) for name in columns}
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UnreadableFileError:
    """Return the error for a table that can't be read."""
    if isinstance(error, OSError) and error.strerror:
        return UnreadableFileError(
            f"can't be read ({error.strerror})",
            remedy="check that it exists and may be read",
            file=str(path),
        )
    return UnreadableFileError(
        f"is not a readable table ({type(error).__name__})",
        remedy="give a CSV in UTF-8, or a Parquet file",
        file=str(path),
    )
