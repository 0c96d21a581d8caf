"""Who withdrew, kept under keyed names beside the registers: honoured even where a register is lost.

The list holds no patient's id: a name is HMAC-SHA256 of site and id under a secret of the folder's owner. It
only grows. Whoever stands on it is used again only by a consent that a register says was given afterwards.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path

from huizhen.core.digests import Digest, canonical_json, digest_value
from huizhen.core.files import open_private, private_folder, storage_error
from huizhen.data.consent.record import Consent
from huizhen.errors import DataError

__all__ = ["BARRED", "NOBODY", "Barred", "bar", "person_key", "read_barred"]

BARRED = "withdrawn.jsonl"


def person_key(secret: bytes, site: str, patient: str) -> str:
    """Return the name that a patient of a site has in lists that outlast a study: 32 hexadecimal digits.

    >>> person_key(b"s", "north", "1") == person_key(b"s", "north", "1") != person_key(b"s", "south", "1")
    True
    """
    text = f"person\x1f{site}\x1f{patient}".encode("utf-8", "surrogateescape")
    return hmac.new(secret, text, sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """Keyed names of those who withdrew, with the last day that they did so."""

    secret: bytes
    days: Mapping[str, date] = field(default_factory=dict)

    def since(self, site: str, patient: str) -> date | None:
        """Return the day on which a patient of `site` withdrew; None of who isn't on the list."""
        return self.days.get(person_key(self.secret, site, patient)) if self.days else None

    def left_of(self, site: str, patient: str, consents: Sequence[Consent]) -> tuple[Consent, ...]:
        """Return those of a patient's `consents` that were given after the withdrawal on the list."""
        day = self.since(site, patient)
        return tuple(consents) if day is None else tuple(one for one in consents if one.given > day)

    def digest(self) -> Digest:
        """Return a digest that changes with the list."""
        return digest_value({key: day.isoformat() for key, day in sorted(self.days.items())})


NOBODY = Barred(secret=b"")
"""An empty list."""


def read_barred(folder: Path, secret: bytes) -> Barred:
    """Return the list in `folder`, empty where there is none.

    A last line that a crash cut short is passed over. Raises `DataError` on any other line that can't be
    read: somebody might stand on it.
    """
    file = folder / BARRED
    if not file.exists():
        return Barred(secret=secret)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _damaged(file, "can't be read") from error
    found: dict[str, date] = {}
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        try:
            record = json.loads(line)
            key, day = str(record["who"]), date.fromisoformat(record["withdrawn"])
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(file, f"line {number} can't be read") from error
        found[key] = max(day, found.get(key, day))
    return Barred(secret=secret, days=found)


def bar(folder: Path, secret: bytes, withdrawn: Iterable[tuple[str, str, date]]) -> int:
    """Put (site, patient, day of the withdrawal) on the list in `folder`, durably; return how many are new.

    Raises `DataError` when the list can't be read, `StorageError` when it can't be written.
    """
    known = read_barred(folder, secret).days
    file, lines = folder / BARRED, b""
    new = 0
    for site, patient, day in withdrawn:
        key = person_key(secret, site, patient)
        if key not in known or known[key] < day:
            lines += canonical_json({"who": key, "withdrawn": day.isoformat()}) + b"\n"
            new += 1
    if not lines:
        return 0
    try:
        private_folder(folder)
        _cut(file)
        with open_private(file) as stream:
            stream.write(lines)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise storage_error(file, error) from error
    return new


def _cut(file: Path) -> None:
    """Cut off a last line that a crash cut short, so that the next one begins its own."""
    if file.exists():
        content = file.read_bytes()
        if (whole := content.rfind(b"\n") + 1) < len(content):
            os.truncate(file, whole)


def _damaged(file: Path, why: str) -> DataError:
    return DataError(
        f"the list of who withdrew {why}",
        remedy="put it back from a backup: without it, withdrawn patients might be used",
        file=str(file),
    )
