"""What was done to each file of a preparation, kept at the site so that a killed one goes on where it stood.

A line a file, under the file's keyed name. No path and no value is in it. The list of what waits for a
person, which needs the paths, is a file of its own that never leaves the site's folder.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from huizhen.core.files import open_private, private_folder, storage_error
from huizhen.data.deidentify.context import Done
from huizhen.data.deidentify.outcome import Fate, Outcome, Reason
from huizhen.data.deidentify.regions import region_of
from huizhen.errors import HuizhenError, StorageError

__all__ = ["Entry", "Journal", "Known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file's line: its keyed name, what it was when it was looked at, and what became of it."""

    file: str
    mark: str
    outcome: Outcome

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain JSON."""
        one = self.outcome
        return {
            "file": self.file,
            "mark": self.mark,
            "fate": one.fate.value,
            "reason": one.reason.value if one.reason else "",
            "place": one.place,
            "patient": one.patient,
            "kept": one.kept,
            "how": one.how,
            "regions": [region.to_json() for region in one.regions],
            "done": [done.to_json() for done in one.done],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Entry:
        """Return the entry that `to_json` wrote. Raises `KeyError` or `ValueError` on another form."""
        outcome = Outcome(
            fate=Fate(record["fate"]),
            reason=Reason(record["reason"]) if record["reason"] else None,
            place=str(record["place"]),
            patient=str(record["patient"]),
            kept=int(record["kept"]),
            how=str(record["how"]),
            regions=tuple(region_of(one) for one in record["regions"]),
            done=tuple(Done.from_json(one) for one in record["done"]),
        )
        return cls(file=str(record["file"]), mark=str(record["mark"]), outcome=outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an earlier run did of a file."""

    mark: str
    fate: Fate
    place: str
    reason: Reason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The journal of one preparation in a file."""

    path: Path

    def entries(self) -> Iterator[Entry]:
        """Yield the entries in the order written; a line cut off by a crash is passed over."""
        for record in self._records():
            try:
                yield Entry.from_json(record)
            except (ValueError, KeyError, TypeError, HuizhenError):
                continue

    def _records(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the lines hold, in the order written; what is no record is passed over."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    yield record

    def known(self) -> dict[str, Known]:
        """Return what the last entry of each file says of it, in short."""
        found: dict[str, Known] = {}
        for record in self._records():
            try:
                found[str(record["file"])] = Known(
                    mark=str(record["mark"]),
                    fate=Fate(record["fate"]),
                    place=str(record["place"]),
                    reason=Reason(record["reason"]) if record["reason"] else None,
                )
            except (ValueError, KeyError):
                continue
        return found

    def last(self, marks: Mapping[str, str]) -> Iterator[Entry]:
        """Yield the last entry of each file in `marks` (its keyed name to its mark), in the order written."""
        where: dict[str, int] = {}
        for i, record in enumerate(self._records()):
            name = str(record.get("file"))
            if name in marks and marks[name] == record.get("mark"):
                where[name] = i
        wanted = set(where.values())
        for i, record in enumerate(self._records()):
            if i in wanted:
                with suppress(ValueError, KeyError, TypeError, HuizhenError):
                    yield Entry.from_json(record)

    def appending(self) -> IO[bytes]:
        """Return the file open for appending, on a line of its own. Raises `StorageError`."""
        try:
            private_folder(self.path.parent)
            stream = open_private(self.path)
            _lock(stream)
            if stream.tell():
                stream.write(b"\n")
            return stream
        except BlockingIOError as error:
            raise StorageError(
                "another preparation into this folder is under way",
                remedy="wait for it, or end it",
                file=self.path.name,
            ) from error
        except OSError as error:
            raise storage_error(self.path, error) from error


def _lock(stream: IO[bytes]) -> None:
    """Keep others out until the stream is closed. Raises `BlockingIOError` when another process holds it."""
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise
