"""The one writer of a log: entries are buffered, then committed under a signed head, durably or not at all.

A commit appends the entries and flushes them to the disk, then does the same with the head. What is on the
disk is therefore always a verified log, followed at most by the rest of a commit that did not finish; opening
moves such a rest into a file beside (`entries.jsonl.torn-<n>`) and never counts it in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from huizhen import __version__
from huizhen.core.digests import canonical_json
from huizhen.core.files import private_folder, storage_error
from huizhen.errors import InvalidInputError, LedgerError
from huizhen.ledger.growing import GrowingFile, make_files, set_aside, split_torn
from huizhen.ledger.lock import WriterLock
from huizhen.ledger.merkle import Frontier, leaf_hash
from huizhen.ledger.reading import ENTRIES_FILE, HEADS_FILE, located, read_part, verify_bytes
from huizhen.ledger.records import MAX_ENTRY_BYTES, Entry, SignedHead, utc_text
from huizhen.ledger.signing import SigningKey

LOCK_FILE = "lock"

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Log:
    """A log open for writing. Made by `Log.open`; a context manager that closes it.

    `set_aside` names the files that unfinished commits were moved to when it was opened.

    Times are the clock's, or the last entry's where the clock was set back: time in a log never goes back.
    """

    def __init__(self, folder: Path, key: SigningKey, lock: WriterLock, clock: Clock) -> None:
        """Verify and take over what is in `folder`, which `lock` guards. Use `Log.open`."""
        self._key, self._lock, self._clock, self._folder = key, lock, clock, folder
        self._pending: list[Entry] = []
        self._lines: list[bytes] = []
        with located(folder):
            make_files(folder)
            parts = split_torn(read_part(folder / ENTRIES_FILE), read_part(folder / HEADS_FILE))
            verified = verify_bytes(parts.entries, parts.heads) if parts.heads else None
            _check_key(key, verified.head if verified else None)
            self.set_aside = set_aside(folder, parts)
        self._entries = list(verified.entries if verified else ())
        self._heads = list(verified.heads if verified else ())
        self._frontier = Frontier().extend(verified.leaves if verified else ())
        self._entries_file = GrowingFile(folder / ENTRIES_FILE, len(parts.entries))
        self._heads_file = GrowingFile(folder / HEADS_FILE, len(parts.heads))

    @classmethod
    def open(cls, folder: Path, key: SigningKey, *, clock: Clock = utc_now) -> Log:
        """Return the log in `folder`, made if there is none, with unfinished commits moved aside.

        Raises `LedgerError` when another writer has it open or another key signed it, `VerificationError`
        when what is signed does not verify, `StorageError` when the folder can't be written.
        """
        try:
            private_folder(folder)
        except OSError as error:
            raise storage_error(folder, error) from error
        lock = WriterLock(folder / LOCK_FILE)
        try:
            return cls(folder, key, lock, clock)
        except BaseException:
            lock.release()
            raise

    @property
    def entries(self) -> Sequence[Entry]:
        """The committed entries."""
        return tuple(self._entries)

    @property
    def size(self) -> int:
        """The number of committed entries."""
        return len(self._entries)

    @property
    def heads(self) -> Sequence[SignedHead]:
        """The signed heads, one a commit."""
        return tuple(self._heads)

    @property
    def head(self) -> SignedHead | None:
        """The last signed head; None before the first commit."""
        return self._heads[-1] if self._heads else None

    @property
    def pending(self) -> Sequence[Entry]:
        """The entries that the next commit will write."""
        return tuple(self._pending)

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Buffer an entry of `kind` ("evidence", "study") with a JSON `body` and return it; O(log n).

        The body is copied as it will be read: tuples become lists. Raises `InvalidInputError` on a kind or
        body that has no place in the log, `LedgerError` when the log was closed.
        """
        self._check_open()
        entry = Entry(
            index=self._frontier.size,
            kind=kind,
            time=self._now(),
            version=__version__,
            body=_as_read(body),
        )
        line = entry.line()
        if len(line) > MAX_ENTRY_BYTES:
            raise InvalidInputError(
                f"an entry of {len(line)} bytes is over {MAX_ENTRY_BYTES}",
                remedy="write the content to a file and enter its digest",
                field="body",
            )
        self._frontier = self._frontier.append(leaf_hash(line))
        self._pending.append(entry)
        self._lines.append(line)
        return entry

    def commit(self) -> SignedHead:
        """Write the buffered entries and a signed head over all, and return the head.

        With nothing buffered the last head is returned as it is. When the disk fails, raises `StorageError`,
        closes the log, and leaves it as it was before the commit. Raises `LedgerError` when the log is empty
        or closed, `VerificationError` when something else wrote to its files meanwhile.
        """
        self._check_open()
        if not self._pending:
            return self._last_head()
        head = SignedHead.sign(
            self._key,
            size=self._frontier.size,
            root=self._frontier.root(),
            time=self._now(),
            previous=self.head,
        )
        try:
            self._entries_file.append(b"".join(line + b"\n" for line in self._lines))
            self._heads_file.append(head.line() + b"\n")
        except BaseException:
            self._heads_file.restore()
            self._entries_file.restore()
            self.close()
            raise
        self._entries_file.settle()
        self._heads_file.settle()
        self._entries += self._pending
        self._heads.append(head)
        self._pending, self._lines = [], []
        return head

    def close(self) -> None:
        """Release the files and the lock. Entries that were not committed are lost."""
        self._entries_file.close()
        self._heads_file.close()
        self._lock.release()

    def rest(self) -> None:
        """Let other writers have the log, and keep what was verified, for `wake`.

        Raises `LedgerError` when there are entries that were not committed, or the log is closed.
        """
        self._check_open()
        if self._pending:
            raise LedgerError("entries were not committed", remedy="call commit() first")
        self.close()

    def wake(self) -> bool:
        """Go on writing after `rest`; return False where the log is another by now: then open it anew.

        What was verified isn't verified again: that nothing was added is told by the files' lengths and the
        last head. Who alters what lies before is found out by the next verification, since the heads to come
        sign what this object read. Raises `LedgerError` when another writer has the log open.
        """
        if self._lock.held:
            return True
        lock = WriterLock(self._folder / LOCK_FILE)
        try:
            if not self._as_left():
                lock.release()
                return False
            self._entries_file = self._entries_file.opened_again()
            self._heads_file = self._heads_file.opened_again()
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        return True

    def _as_left(self) -> bool:
        """Whether both files end where this object left them, with its last head."""
        if not (self._entries_file.as_long() and self._heads_file.as_long()):
            return False
        if not self._heads:
            return True
        last = self._heads[-1].line() + b"\n"
        with (self._folder / HEADS_FILE).open("rb") as stream:
            stream.seek(-len(last), os.SEEK_END)
            return stream.read() == last

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the log. Raises `LedgerError` if the block ended well and left entries uncommitted."""
        lost = len(self._pending) if self._lock.held else 0
        self.close()
        if kind is None and lost:
            raise LedgerError(f"{lost} entries were never committed", remedy="call commit() before the end")

    def _check_open(self) -> None:
        if not self._lock.held:
            raise LedgerError("the log is closed, or was opened by another process", remedy="open it again")

    def _last_head(self) -> SignedHead:
        if not self._heads:
            raise LedgerError("an empty log has no head to sign", remedy="append an entry first")
        return self._heads[-1]

    def _now(self) -> str:
        last = self._pending[-1].time if self._pending else self._heads[-1].time if self._heads else ""
        return max(utc_text(self._clock()), last)


def _check_key(key: SigningKey, head: SignedHead | None) -> None:
    if head is not None and head.public_key != key.public.hex:
        raise LedgerError(
            f"was signed by key {head.key_id}, and this is key {key.key_id}",
            remedy="use the key that began this log, or begin a new log in another folder",
            file=HEADS_FILE,
        )


def _as_read(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `body` as it will be read from the log. Raises `InvalidInputError`."""
    try:
        value = json.loads(canonical_json(dict(body)), object_pairs_hook=_without_twins)
    except (UnicodeEncodeError, RecursionError, TypeError) as error:
        raise InvalidInputError(
            "body has no JSON form (lone surrogates, too deeply nested, or no mapping)",
            remedy="use plain JSON types",
            field="body",
        ) from error
    assert isinstance(value, dict)
    return value


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise InvalidInputError("two keys of a body are the same as text", remedy="rename one", field="body")
    return record
