"""The outbox: what left is noted first, and an edit shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.errors import LedgerError
from huizhen.federate.outbox import OUTBOX, Outbox, read_outbox


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    box = Outbox(tmp_path)
    for size in (10, 20, 30):
        box.note(kind="masked", study="a" * 64, digest="b" * 64, size=size)
    return tmp_path


def lines(folder: Path) -> list[bytes]:
    return (folder / OUTBOX).read_bytes().splitlines(keepends=True)


def test_what_was_noted_is_read(folder):
    assert [sent.size for sent in read_outbox(folder)] == [10, 20, 30]
    assert list(read_outbox(folder / "elsewhere")) == []


def test_a_later_process_goes_on_with_the_chain(folder):
    Outbox(folder).note(kind="done", study="a" * 64, digest="c" * 64, size=40)
    assert [sent.size for sent in read_outbox(folder)] == [10, 20, 30, 40]


@pytest.mark.parametrize(
    "edit",
    [
        lambda ls: [ls[0].replace(b'"size":10', b'"size":11'), *ls[1:]],
        lambda ls: [ls[0], ls[2]],
        lambda ls: [ls[0], ls[0], *ls[1:]],
        lambda ls: [ls[1], ls[0], ls[2]],
        lambda ls: ls[1:],
        lambda ls: [ls[0], b"{}\n", *ls[1:]],
        lambda ls: [ls[0], b"\n", *ls[1:]],
        lambda ls: [ls[0].replace(b"{", b"{ ", 1), *ls[1:]],
        lambda ls: [ls[0].replace(b"}", b',"patient":"P-1"}'), *ls[1:]],
    ],
    ids=["changed", "deleted", "doubled", "swapped", "beheaded", "inserted", "blank", "spaced", "added"],
)
def test_an_edit_is_found_by_the_reader_and_by_the_next_writer(folder, edit):
    (folder / OUTBOX).write_bytes(b"".join(edit(lines(folder))))
    with pytest.raises(LedgerError, match="doesn't follow"):
        list(read_outbox(folder))
    with pytest.raises(LedgerError, match="doesn't follow"):
        Outbox(folder)


def test_a_torn_last_line_is_passed_over_and_cut_off_by_the_writer_alone(folder):
    whole = (folder / OUTBOX).read_bytes()
    (folder / OUTBOX).write_bytes(whole + lines(folder)[0][:40])
    assert len(list(read_outbox(folder))) == 3
    assert (folder / OUTBOX).read_bytes() != whole, "a reader must not cut what a writer may be writing"
    box = Outbox(folder)
    assert (folder / OUTBOX).read_bytes() == whole
    box.note(kind="done", study="a" * 64, digest="c" * 64, size=40)
    assert len(list(read_outbox(folder))) == 4
