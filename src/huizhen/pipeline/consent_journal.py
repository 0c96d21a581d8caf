"""What a site noted of consents in one federation: who was left out from when on, and what used which state.

A file that only grows, a line each: a reading (patients who permit no more, by pseudonym), or a use (a round
or a question, and the reading that it was answered by). So what is asked again after a crash is answered over
the same patients. The file stays at the site.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, final

from huizhen.core.digests import canonical_json
from huizhen.core.files import open_private, private_folder, storage_error
from huizhen.errors import FederationError

__all__ = ["ConsentJournal", "Used"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """By which reading something was answered, and who was left out beside (`companions`)."""

    reading: int
    companions: frozenset[str] = frozenset()


@final
class ConsentJournal:
    """The journal in `file`. Reading 0 is the cohort as it was built, with nobody left out.

    Raises `FederationError` on opening when a line can't be read.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._out: list[frozenset[str]] = [frozenset()]
        self._used: dict[str, Used] = {}
        self._last: dict[str, Used] = {}
        self.day: date | None = None
        """The last day that was noted."""
        self.reasons: dict[str, int] = {}
        """Patients left out since the cohort was built, by reason."""
        for number, line in enumerate(_lines(file), 1):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
                raise FederationError(
                    f"line {number} of the journal of consents can't be read",
                    remedy="put the study's folder at the site back from a backup",
                    field="consent",
                ) from error

    @property
    def reading(self) -> int:
        """The number of the last reading."""
        return len(self._out) - 1

    def out(self, reading: int) -> frozenset[str]:
        """Return who is left out by a reading, and by those before it."""
        return self._out[reading]

    def gone(self, used: Used) -> frozenset[str]:
        """Return everybody whom an answer was without."""
        return self._out[used.reading] | used.companions

    def used(self, key: str) -> Used | None:
        """Return what was noted under `key`; None if nothing was."""
        return self._used.get(key)

    def last(self, place: str) -> Used | None:
        """Return what was noted last at `place`; None if nothing was."""
        return self._last.get(place)

    def leave_out(self, who: frozenset[str], *, day: date, register: str, reasons: Mapping[str, int]) -> int:
        """Note, durably, that `who` permit no more from now on, and return the reading's number."""
        plain = {"left_out": sorted(who), "register": register, "reasons": dict(reasons)}
        self._append({"day": day.isoformat(), **plain})
        return self.reading

    def use(self, key: str, places: tuple[str, ...], used: Used, *, day: date) -> None:
        """Note, durably, that `key`, which stands at `places`, is answered so."""
        companions = {"companions": sorted(used.companions)} if used.companions else {}
        plain = {"use": key, "places": list(places), "reading": used.reading}
        self._append({"day": day.isoformat(), **plain, **companions})

    def _take(self, record: Mapping[str, Any]) -> None:
        """Take a line in."""
        day = date.fromisoformat(record["day"])
        if "left_out" in record:
            self._out.append(self._out[-1] | frozenset(map(str, record["left_out"])))
            for reason, count in record["reasons"].items():
                self.reasons[str(reason)] = self.reasons.get(str(reason), 0) + int(count)
        else:
            used = Used(
                reading=int(record["reading"]), companions=frozenset(map(str, record.get("companions", ())))
            )
            self._out[used.reading]
            self._used[str(record["use"])] = used
            self._last |= dict.fromkeys(map(str, record["places"]), used)
        self.day = day if self.day is None else max(day, self.day)

    def _append(self, record: Mapping[str, Any]) -> None:
        """Write a line durably, then take it in. Raises `StorageError`."""
        try:
            private_folder(self._file.parent)
            with open_private(self._file) as stream:
                stream.write(canonical_json(record) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise storage_error(self._file, error) from error
        self._take(record)


def _lines(file: Path) -> list[bytes]:
    """Return the whole lines of a file; a last one that a crash cut short, before it counted, is cut off."""
    if not file.exists():
        return []
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(file, whole)
    return content[:whole].splitlines()
