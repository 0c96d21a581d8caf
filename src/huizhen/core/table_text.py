"""A table's columns and cells as text, without pandas: CSV in the forms hospitals write, and Parquet."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from huizhen.core.table_limits import parquet_batches, table_bytes
from huizhen.errors import DataError, UnreadableFileError

__all__ = ["cell_equals", "columns_of", "rows_of"]


def columns_of(path: Path) -> list[str]:
    """Return the column names of a table. Raises `UnreadableFileError` if it is broken."""
    if _is_parquet(path):
        return list(_parquet(path).schema_arrow.names)
    return next(_lines(path), [])


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield the named columns of each row as text ("" where a cell is missing).

    Raises `DataError` if a column is absent, `UnreadableFileError` if the table is broken.
    """
    if absent := [name for name in columns if name not in columns_of(path)]:
        raise DataError(
            f"no column {', '.join(absent)}", remedy="name a column that the table has", file=str(path)
        )
    if _is_parquet(path):
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
    """Yield the lines of a CSV file as lists of cells: the separator is the header's commonest of , ; tab."""
    text = _text(path)
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            yield [cell.strip() for cell in line]
    except csv.Error as error:
        raise _unreadable(path, error) from error


def _text(path: Path) -> str:
    """Return a file's text: gzipped or not, in UTF-16 by its mark, else in UTF-8 or GB 18030."""
    try:
        data = table_bytes(path)
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        if b"\x00" in data:
            raise UnicodeError("a zero byte")
    except (OSError, UnicodeError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _gb18030(path, data)


def _gb18030(path: Path, data: bytes) -> str:
    """Return the text of bytes in the encoding that many Chinese hospital systems write."""
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError as error:
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
