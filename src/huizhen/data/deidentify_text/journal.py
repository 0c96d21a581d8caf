"""What became of each document, kept at the site so that a killed preparation goes on where it stood.

A line a document, under its keyed name; no path and no original value is in it. For a table the cleaned texts
are kept too, until the table is written.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from huizhen.core.files import open_private, private_folder, storage_error
from huizhen.data.deidentify.outcome import Fate
from huizhen.data.deidentify_text.unreadable import TextReason
from huizhen.errors import StorageError

__all__ = ["TextEntry", "TextJournal", "line_of"]

Action = tuple[str, str, int, int, int, int]
"""Kind, recogniser, offset and length in the original, offset and length in the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEntry:
    """One document's line. `place` is its path below the output, "" for a row of a table."""

    file: str
    mark: str
    fate: Fate
    reason: TextReason | None = None
    place: str = ""
    patient: str = ""
    characters: int = 0
    actions: tuple[tuple[Action, ...], ...] = ()
    """A tuple of actions for each text of the document."""
    texts: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> TextEntry:
        """Return the entry of a line. Raises `KeyError`, `TypeError` or `ValueError` on another form."""
        actions = tuple(
            tuple((str(a), str(b), int(c), int(d), int(e), int(f)) for a, b, c, d, e, f in one)
            for one in record.pop("actions")
        )
        reason = record.pop("reason")
        return cls(
            **{
                **record,
                "fate": Fate(record["fate"]),
                "reason": TextReason(reason) if reason else None,
                "actions": actions,
                "texts": tuple(map(str, record["texts"])),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextJournal:
    """The journal of one preparation in a file."""

    path: Path

    def entries(self) -> Iterator[TextEntry]:
        """Yield the entries in the order written; a line cut off by a crash is passed over."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                try:
                    yield TextEntry.from_json(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue

    def known(self) -> dict[str, tuple[str, Fate, str]]:
        """Return the mark, fate and place of each document, as its last entry has them."""
        return {one.file: (one.mark, one.fate, one.place) for one in self.entries()}

    def last(self, marks: dict[str, str]) -> Iterator[TextEntry]:
        """Yield the last entry of each document in `marks` (keyed name to mark), in the order written."""
        where = {one.file: i for i, one in enumerate(self.entries()) if marks.get(one.file) == one.mark}
        wanted = set(where.values())
        yield from (one for i, one in enumerate(self.entries()) if i in wanted)

    def appending(self) -> IO[bytes]:
        """Return the file open for appending, on a line of its own. Raises `StorageError`."""
        try:
            private_folder(self.path.parent)
            stream = open_private(self.path)
        except OSError as error:
            raise storage_error(self.path, error) from error
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            stream.close()
            raise StorageError(
                "another preparation into this folder is under way",
                remedy="wait for it, or end it",
                file=self.path.name,
            ) from error
        if stream.tell():
            stream.write(b"\n")
        return stream


def line_of(entry: TextEntry) -> bytes:
    """Return an entry as its line."""
    return json.dumps(asdict(entry), separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
