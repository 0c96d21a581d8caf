"""The lead's journal of a federation: who answered, who fell out and why, bytes and seconds."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, final

from huizhen.core.digests import canonical_json
from huizhen.core.files import storage_error, write_json

JOURNAL, NUMBER = "journal.jsonl", "next_sum.json"


@final
class Journal:
    """Notes that are appended to a file in `folder`, and totals of what went over the wire."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, self._number = folder / JOURNAL, folder / NUMBER
        self.sent = self.received = 0
        self.seconds = 0.0
        self._refusals: dict[str, str] = {}

    def note(self, event: str, **details: Any) -> None:
        """Append one event; the last refusal of each site is kept for messages. Raises `StorageError`."""
        if event in ("refusal", "refused") and "site" in details:
            self._refusals[details["site"]] = str(details.get("reason", ""))
        try:
            with self._file.open("ab") as stream:
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
        """Return a number for a secure sum that was never given before, also after a crash."""
        number = int(json.loads(self._number.read_text())) if self._number.exists() else 0
        write_json(self._number, number + 1)
        return number

    def events(self) -> Counter[str]:
        """Return how often each kind of event was noted."""
        if not self._file.exists():
            return Counter()
        lines = self._file.read_bytes().splitlines()
        return Counter(json.loads(line)["event"] for line in lines if line.endswith(b"}"))
