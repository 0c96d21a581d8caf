"""The outbox: every frame that leaves a site, noted there before it leaves, in a chain that shows edits.

Each new head of the spend ledger is noted too (`huizhen.federate.site.spend_witness`).

One line a frame: what kind of message, of which study, its digest and size, when; each line holds the digest
of the line before it. `huizhen site outbox` shows it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from huizhen.core.digests import Digest, canonical_json, digest_bytes
from huizhen.core.files import open_private, storage_error
from huizhen.errors import LedgerError

OUTBOX = "outbox.jsonl"
LONGEST = 4096
"""No line has so many bytes."""
_START = Digest("0" * 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One frame that left: `size` in bytes, `digest` of the frame, `study` its study's digest."""

    kind: str
    study: str
    digest: str
    size: int
    time: str
    before: str

    def line(self) -> bytes:
        """Return the line that notes it."""
        return canonical_json({name: getattr(self, name) for name in self.__slots__})


class Outbox:
    """The outbox of one site, open for appending by one process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / OUTBOX
        _cut_tail(self._path)
        for _ in read_outbox(folder):
            pass  # which checks the chain

    def note(self, *, kind: str, study: str, digest: str, size: int) -> None:
        """Note a frame, durably. Raises `StorageError`: what can't be noted must not leave.

        The line before is read anew: the spend ledger notes its heads here too.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        sent = Sent(kind=kind, study=study, digest=digest, size=size, time=now, before=_last(self._path))
        try:
            with open_private(self._path) as stream:
                stream.write(sent.line() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise storage_error(self._path, error) from error


def read_outbox(folder: Path) -> Iterator[Sent]:
    """Yield what left the site whose folder this is, oldest first.

    A last line without its end is passed over: it is being written, or a crash cut it short and its frame
    never left. Raises `LedgerError` where the chain is broken.
    """
    path = folder / OUTBOX
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    before: str = _START
    for number, line in enumerate(content[:whole].splitlines(), start=1):
        try:
            sent = Sent(**json.loads(line))
            broken = sent.before != before or sent.line() != line
        except (ValueError, TypeError):
            broken = True
        if broken:
            raise LedgerError(
                f"line {number} doesn't follow from the one before it",
                remedy="the file was edited: keep it, and restore it from a backup",
                file=str(path),
            )
        before = digest_bytes(line)
        yield sent


def _last(path: Path) -> Digest:
    """Return the digest of the last line."""
    if not path.exists():
        return _START
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - LONGEST))
        lines = stream.read().splitlines()
    return digest_bytes(lines[-1]) if lines else _START


def _cut_tail(path: Path) -> None:
    """Cut off a last line that a crash cut short. Only the one process that appends may do it."""
    if path.exists():
        content = path.read_bytes()
        if (whole := content.rfind(b"\n") + 1) < len(content):
            os.truncate(path, whole)
