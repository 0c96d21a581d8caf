"""How large a table may be: kilobytes of gzip or Parquet can unpack to all the memory there is."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huizhen.errors import UnreadableFileError

__all__ = ["MOST_BYTES", "MOST_CELLS", "MOST_ROWS", "check_cells", "parquet_batches", "table_bytes"]

MOST_BYTES = 256 << 20
"""Bytes of a table, unpacked."""

MOST_ROWS = 2_000_000
MOST_CELLS = 40_000_000
BATCH = 1024
"""Rows of a Parquet file that are unpacked at a time."""


def table_bytes(path: Path, *, field: str | None = None) -> bytes:
    """Return a file's bytes, unpacked where gzipped, never reading more than `MOST_BYTES` and one.

    Raises `UnreadableFileError` on more, and what the operating system and gzip raise (`OSError`, `EOFError`,
    `zlib.error`).
    """
    with path.open("rb") as stream:
        start = stream.read(2)
        stream.seek(0)
        data = stream.read(MOST_BYTES + 1)
    if start == b"\x1f\x8b" and len(data) <= MOST_BYTES:
        with gzip.open(path) as packed:
            data = packed.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _too_large(path, field)
    return data


def check_cells(rows: int, columns: int, path: Path, *, field: str | None = None) -> None:
    """Check how many rows and cells a table has, or announces. Raises `UnreadableFileError`."""
    if rows > MOST_ROWS or rows * columns > MOST_CELLS:
        raise _too_large(path, field)


def parquet_batches(found: Any, path: Path, *, columns: list[str] | None = None) -> Iterator[Any]:
    """Yield an open Parquet file's rows, some at a time, while they are within the limits.

    What the file says of itself is checked before anything is unpacked, and what is unpacked is counted.
    Raises `UnreadableFileError`, and what pyarrow raises.
    """
    said = found.metadata
    check_cells(said.num_rows, said.num_columns, path)
    if sum(said.row_group(i).total_byte_size for i in range(said.num_row_groups)) > MOST_BYTES:
        raise _too_large(path, None)
    size = rows = 0
    for batch in found.iter_batches(batch_size=BATCH, columns=columns):
        size, rows = size + batch.nbytes, rows + batch.num_rows
        if size > MOST_BYTES:
            raise _too_large(path, None)
        check_cells(rows, said.num_columns, path)
        yield batch


def _too_large(path: Path, field: str | None) -> UnreadableFileError:
    return UnreadableFileError(
        f"is larger, unpacked, than {MOST_BYTES >> 20} MiB, {MOST_ROWS} rows or {MOST_CELLS} cells",
        remedy="keep the rows and columns that the study reads, and save the table again",
        field=field,
        file=path.name,
    )
