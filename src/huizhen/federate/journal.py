"""The lead's journal of a federation: who answered, who fell out and why, bytes and seconds."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, final

from huizhen.core.digests import canonical_json
from huizhen.core.files import open_private, private_folder, storage_error, write_json

JOURNAL, NUMBER = "journal.jsonl", "next_sum.json"
UNMASKING = "unmasking"


@final
class Journal:
    """Notes that are appended to a file in `folder`, and totals of what went over the wire."""

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self._file, self._number = folder / JOURNAL, folder / NUMBER
        self.sent = self.received = 0
        self.seconds = 0.0
        self._refusals: dict[str, str] = {}
        self._cut_tail()
        self._unmasked: dict[str, tuple[str, ...]] = {
            line["task"]: tuple(line["sites"]) for line in self._lines() if line["event"] == UNMASKING
        }

    def note(self, event: str, **details: Any) -> None:
        """Append one event; the last refusal of each site is kept for messages. Raises `StorageError`."""
        if event in ("refusal", "refused") and "site" in details:
            self._refusals[details["site"]] = str(details.get("reason", ""))
        try:
            with open_private(self._file) as stream:
                stream.write(canonical_json({"event": event, **details}) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise storage_error(self._file, error) from error

    def exchange(self, *, sent: int, received: int, seconds: float) -> None:
        """Count the bytes and seconds of one exchange."""
        self.sent += sent
        self.received += received
        self.seconds += seconds

    def refusals(self) -> str:
        """Return each refusing site and its reason, for a message."""
        return "; ".join(f"{site}: {reason}" for site, reason in sorted(self._refusals.items()))

    def next_number(self) -> int:
        """Return a number for a secure sum that was never given before, also after a crash.

        The first is the time in milliseconds, so that a lead that lost its folder still counts upwards.
        """
        known = self._number.exists()
        number = int(json.loads(self._number.read_text())) if known else time.time_ns() // 10**6
        write_json(self._number, number + 1)
        return number

    def events(self) -> Counter[str]:
        """Return how often each kind of event was noted."""
        return Counter(line["event"] for line in self._lines())

    def unmasking(self, task: str, sites: tuple[str, ...]) -> None:
        """Note, before it happens, that the masks come off the sum of `task` over `sites`."""
        self.note(UNMASKING, task=task, sites=list(sites))
        self._unmasked[task] = sites

    def unmasked(self, task: str) -> tuple[str, ...] | None:
        """Return the sites of the one sum of `task` that may be unmasked; None when none was begun.

        Of two sums of one thing over different sites, the difference would be a single site's.
        """
        return self._unmasked.get(task)

    def _lines(self) -> list[dict[str, Any]]:
        """Return the notes."""
        if not self._file.exists():
            return []
        return [json.loads(line) for line in self._file.read_bytes().splitlines()]

    def _cut_tail(self) -> None:
        """Cut off a last note that a crash cut short, so that the next one begins its own line."""
        if self._file.exists():
            content = self._file.read_bytes()
            if (whole := content.rfind(b"\n") + 1) < len(content):
                os.truncate(self._file, whole)
