"""Tables as text: CSV in the encodings and with the separators that hospitals use, and Parquet.

Cells are kept as text so that "007" stays a patient id; `plain_text` prints what a number means.
"""

from __future__ import annotations

import difflib
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.table_csv import parse_csv
from huizhen.core.table_limits import parquet_batches, table_bytes
from huizhen.errors import DataError, UnreadableFileError

__all__ = ["MISSING", "Table", "TableRow", "matches", "nearest_remedy", "plain_text", "read_table"]

MISSING = frozenset({"", "nan", "na", "n/a", "<na>", "null"})
"""Texts, in lower case, that mean that a cell of a labels table is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row: its `line` in the file (the header is line 1), its `position` from 0, its cells by column."""

    line: int
    position: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as it stands in `file`."""

    file: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]

    def need(self, wanted: Iterable[str], *, field: str) -> None:
        """Check that the table has the `wanted` columns, each once.

        Raises `DataError` that names the first absent one and the nearest that is there.
        """
        for name in wanted:
            if (count := self.columns.count(name)) == 1:
                continue
            if count:
                message, remedy = f"the column {name} stands {count} times", "rename all but one"
            else:
                message, remedy = f"there is no column {name}", nearest_remedy(name, self.columns)
            raise DataError(message, remedy=remedy, field=field, file=self.file)

    def kept(self, where: Mapping[str, Any]) -> tuple[TableRow, ...]:
        """Return the rows whose columns equal `where`'s value or one of its values.

        Raises `DataError` on a column that the table lacks.
        """
        self.need(where, field="site.source.where")
        return tuple(
            row for row in self.rows if all(matches(row.cells[name], value) for name, value in where.items())
        )


def read_table(path: Path, *, field: str = "site.source.labels", encoding: str | None = None) -> Table:
    """Return a CSV (plain or gzipped) or Parquet file as text; see `parse_csv` for `encoding`.

    Raises `UnreadableFileError` when it is neither, in no known encoding, larger than `table_limits` allow,
    or has a line with more cells than columns, and `DataError` when it holds no row.
    """
    try:
        data = table_bytes(path, field=field)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, field, "can't be read") from error
    table = _parquet(path, data, field) if data.startswith(b"PAR1") else _csv(path, data, field, encoding)
    if not table.rows:
        raise DataError(
            "the table holds no row", remedy="check that it is the right one", field=field, file=path.name
        )
    return table


def plain_text(value: Any) -> str:
    """Return a cell's text: stripped, integers without ".0", nothing for None and NaN.

    >>> plain_text(1.0), plain_text(" 2.00 "), plain_text("benign "), plain_text(math.nan), plain_text("007")
    ('1', '2', 'benign', '', '007')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value).strip()
    return text.partition(".")[0] if re.fullmatch(r"[+-]?[0-9]+\.0+", text) else text


def matches(cell: str, wanted: Any) -> bool:
    """Tell whether a cell is `wanted` or one of `wanted`, as text or as the same number.

    >>> matches("3.0", 3), matches("GE", ["GE", "Siemens"]), matches("1.50", 1.5), matches("", 0)
    (True, True, True, False)
    """
    if isinstance(wanted, list | tuple):
        return any(matches(cell, one) for one in wanted)
    if plain_text(cell) == plain_text(wanted):
        return True
    try:
        return isinstance(wanted, int | float) and float(cell) == float(wanted)
    except ValueError:
        return False


def nearest_remedy(name: str, known: Sequence[str]) -> str:
    """Return the remedy for a name that isn't among the `known` ones.

    >>> nearest_remedy("pathology", ["ID", "Pathology"])
    'did you mean Pathology?'
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(known[:20])}"


def _csv(path: Path, data: bytes, field: str, encoding: str | None) -> Table:
    """Return CSV bytes as a table."""
    found = parse_csv(data, path, field=field, encoding=encoding)
    return Table(file=path.name, columns=found.header, rows=_rows(found.header, found.rows))


def _rows(header: Sequence[str], rows: Iterable[tuple[int, Sequence[str]]]) -> tuple[TableRow, ...]:
    """Return rows by column; cells that a short line lacks are empty."""
    return tuple(
        TableRow(
            line=line,
            position=position,
            cells={name: cells[i].strip() if i < len(cells) else "" for i, name in enumerate(header)},
        )
        for position, (line, cells) in enumerate(rows)
    )


def _parquet(path: Path, data: bytes, field: str) -> Table:
    """Return Parquet bytes as a table of text."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        found = parquet.ParquetFile(pa.BufferReader(data))
        header = tuple(str(name) for name in found.schema_arrow.names)
        columns: list[list[str]] = [[] for _ in header]
        for batch in parquet_batches(found, path):
            for texts, column in zip(columns, batch.columns, strict=True):
                texts += [plain_text(value) for value in column.to_pylist()]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, field, "is not a readable Parquet file") from error
    rows = ((line, cells) for line, cells in enumerate(zip(*columns, strict=True), start=2))
    return Table(file=path.name, columns=header, rows=_rows(header, rows))


def _unreadable(path: Path, field: str, message: str) -> UnreadableFileError:
    """Return the error for a table that can't be read."""
    return UnreadableFileError(
        message, remedy="save it as CSV in UTF-8, or as Parquet", field=field, file=path.name
    )
