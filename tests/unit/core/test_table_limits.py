"""Tables that unpack to more than the memory holds are refused by both readers, soon."""

from __future__ import annotations

import gzip
import tracemalloc

import pyarrow as pa
import pytest
from pyarrow import parquet

from huizhen.core import table_limits
from huizhen.core.table_text import rows_of
from huizhen.data.readers.tables import read_table
from huizhen.errors import UnreadableFileError


def refused(path, column="a"):
    """Return why each reader refuses a table."""
    with pytest.raises(UnreadableFileError) as one:
        read_table(path)
    with pytest.raises(UnreadableFileError) as other:
        list(rows_of(path, [column]))
    return one.value.message, other.value.message


def test_a_gzipped_bomb_is_not_unpacked_beyond_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(table_limits, "MOST_BYTES", 1 << 20)
    path = tmp_path / "l.csv"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n" + b"\n" * (64 << 20), 1))
    tracemalloc.start()
    assert all("larger" in message for message in refused(path))
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    path.write_bytes(b"a\n" + b"x\n" * (1 << 20))
    assert all("larger" in message for message in refused(path))


def test_broken_gzip_is_an_unreadable_table(tmp_path):
    whole = gzip.compress(b"a,b\n1,2\n")
    for number, data in enumerate((whole[:-8] + bytes(8), whole[:10] + b"\xff" * 20, whole[:12])):
        (tmp_path / f"{number}.csv").write_bytes(data)
        refused(tmp_path / f"{number}.csv")


@pytest.mark.parametrize("limit", ["MOST_ROWS", "MOST_CELLS"])
def test_too_many_rows_or_cells_are_refused(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(table_limits, limit, 50)
    (tmp_path / "l.csv").write_text("a\n" + "x\n" * 60)
    with pytest.raises(UnreadableFileError, match="larger"):
        read_table(tmp_path / "l.csv")
    parquet.write_table(pa.table({"a": ["x"] * 60}), tmp_path / "l.parquet")
    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("unpacked"))
    assert all("larger" in message for message in refused(tmp_path / "l.parquet"))


def test_a_parquet_cell_repeated_without_end_is_counted_as_it_unpacks(tmp_path, monkeypatch):
    path = tmp_path / "l.parquet"
    parquet.write_table(pa.table({"a": ["x" * 10_000] * 20_000}), path)
    assert path.stat().st_size < 1 << 20
    assert len(list(rows_of(path, ["a"]))) == 20_000
    monkeypatch.setattr(table_limits, "MOST_BYTES", 32 << 20)
    assert all("larger" in message for message in refused(path))


def test_a_parquet_file_without_rows_or_sense_is_refused(tmp_path):
    (tmp_path / "l.csv").write_bytes(b"PAR1" + bytes(64) + b"PAR1")
    refused(tmp_path / "l.csv")
