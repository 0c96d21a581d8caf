"""The log's files as they grow: appended durably, restored on failure, and unfinished ends moved aside.

The one place that does not write whole files by `core.files`: a log of many commits would be rewritten at
each. What stands for "whole or absent" here is the signed head: what no head covers does not count.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from huizhen.core.files import storage_error, write_bytes
from huizhen.errors import VerificationError
from huizhen.ledger.reading import ENTRIES_FILE, HEADS_FILE
from huizhen.ledger.records import SignedHead


class GrowingFile:
    """The growing end of a file that is only ever appended to: `length` bytes of it are settled."""

    def __init__(self, path: Path, length: int) -> None:
        self._path, self._length = path, length
        try:
            self._handle: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise storage_error(path, error) from error
        self._grown = length

    def append(self, data: bytes) -> None:
        """Append `data` and flush it to the disk. Raises `StorageError`, or `VerificationError`."""
        assert self._handle is not None
        try:
            if os.fstat(self._handle).st_size != self._length:
                raise VerificationError(
                    "was changed by something else while this run had it open",
                    remedy="find out what wrote to it, and open the log again",
                    file=str(self._path),
                )
            rest = memoryview(data)
            while rest:
                written = os.write(self._handle, rest)
                self._grown += written
                rest = rest[written:]
            os.fsync(self._handle)
        except OSError as error:
            raise storage_error(self._path, error) from error

    def settle(self) -> None:
        """Count what was appended as settled."""
        self._length = self._grown

    def cut(self) -> None:
        """Cut the file to its settled length, durably. Raises `OSError`."""
        assert self._handle is not None
        os.ftruncate(self._handle, self._length)
        os.fsync(self._handle)

    def restore(self) -> None:
        """Undo what this object appended since it settled. What can't be undone, opening moves aside."""
        if self._grown > self._length:
            try:
                self.cut()
            except OSError:
                return
            self._grown = self._length

    def as_long(self) -> bool:
        """Tell whether the file is as long as it was settled; False of one that isn't there."""
        try:
            return self._path.stat().st_size == self._length
        except OSError:
            return False

    def opened_again(self) -> GrowingFile:
        """Return the same file open once more. Raises `StorageError`."""
        return GrowingFile(self._path, self._length)

    def close(self) -> None:
        """Release the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The content of a log's two files, and the rest of an unfinished commit that follows it in either."""

    entries: bytes
    heads: bytes
    torn_entries: bytes
    torn_heads: bytes


def split_torn(entries: bytes, heads: bytes) -> Parts:
    """Return the files' content up to the last whole head, and what follows. Raises `VerificationError`.

    Nothing is verified but that the last head can be read.

    >>> split_torn(b"no head covers this", b"")
    Parts(entries=b'', heads=b'', torn_entries=b'no head covers this', torn_heads=b'')
    """
    whole = _whole_heads(heads)
    covered = _after_line(entries, _last_size(heads[:whole]))
    return Parts(
        entries=entries[:covered],
        heads=heads[:whole],
        torn_entries=entries[covered:],
        torn_heads=heads[whole:],
    )


def _whole_heads(heads: bytes) -> int:
    """Return how many bytes of `heads` hold whole lines.

    The last line is torn when it lacks its newline, or holds a zero byte: a block that the disk never wrote.
    """
    whole = heads.rfind(b"\n") + 1
    last = heads.rfind(b"\n", 0, whole - 1) + 1 if whole else 0
    return last if b"\0" in heads[last:whole] else whole


def _last_size(heads: bytes) -> int:
    """Return the number of entries that the last of the whole `heads` signs. Raises `VerificationError`."""
    if not heads:
        return 0
    lines = heads[:-1].split(b"\n")
    return SignedHead.from_line(lines[-1], file=HEADS_FILE, field=f"head {len(lines) - 1}").size


def _after_line(data: bytes, number: int) -> int:
    """Return where the first `number` lines of `data` end, or its length when it has fewer."""
    end = 0
    for _ in range(number):
        end = data.find(b"\n", end) + 1
        if end == 0:
            return len(data)
    return end


def set_aside(folder: Path, parts: Parts) -> tuple[Path, ...]:
    """Cut what is torn off the log's files, after copying it beside. Return the copies. `StorageError`."""
    cuts = (
        (HEADS_FILE, len(parts.heads), parts.torn_heads),
        (ENTRIES_FILE, len(parts.entries), parts.torn_entries),
    )
    return tuple(_cut(folder / name, keep, rest) for name, keep, rest in cuts if rest)


def _cut(path: Path, keep: int, rest: bytes) -> Path:
    """Copy `rest`, which follows the first `keep` bytes of `path`, to a new file beside it and cut it off."""
    number = 1
    while (aside := path.with_name(f"{path.name}.torn-{number}")).exists():
        number += 1
    write_bytes(aside, rest)
    tail = GrowingFile(path, keep)
    try:
        tail.cut()
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        tail.close()
    return aside


def make_files(folder: Path) -> None:
    """Make the log's files, empty, where there are none, durably. Raises `StorageError`."""
    try:
        for name in (ENTRIES_FILE, HEADS_FILE):
            os.close(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise storage_error(folder, error) from error
