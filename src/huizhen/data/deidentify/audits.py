"""Audits: a random sample of what was released, looked at by a person, and what it says of the rest.

>>> round(upper_bound(0, 60), 3), round(upper_bound(1, 60), 3)
(0.05, 0.077)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.files import open_private, private_folder, storage_error
from huizhen.errors import InvalidInputError, StorageError

__all__ = ["AUDITS", "Audit", "audits_of", "enter_audit", "last_audit", "upper_bound"]

AUDITS = "audits.jsonl"
"""What the audits found: stays at the site; their counts are in the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One audit: of `population` released images `looked_at` were drawn and seen, `missed` still had text."""

    journal: str
    looked_at: int
    missed: int
    population: int
    time: str
    reader: str

    @property
    def upper(self) -> float:
        """The upper bound, one-sided at 95 %, of the share of released images that still have text."""
        return upper_bound(self.missed, self.looked_at)

    def to_json(self) -> dict[str, Any]:
        """Return the audit as plain JSON."""
        return {
            "journal": self.journal,
            "looked_at": self.looked_at,
            "missed": self.missed,
            "population": self.population,
            "time": self.time,
            "reader": self.reader,
        }


def upper_bound(missed: int, looked_at: int) -> float:
    """Return the one-sided 95 % upper bound of a share: 3/n where none was missed, else Clopper-Pearson's.

    Raises `InvalidInputError` unless 0 <= missed <= looked_at and somebody looked.
    Sources: Hanley & Lippman-Hand, JAMA 249:1743 (1983); Clopper & Pearson, Biometrika 26:404 (1934).
    """
    if not 0 <= missed <= looked_at or looked_at == 0:
        raise InvalidInputError(
            "an audit missed more than it looked at, or looked at nothing", remedy="correct the counts"
        )
    if missed == 0:
        return min(1.0, 3 / looked_at)
    if missed == looked_at:
        return 1.0
    from scipy.stats import beta

    return float(beta.ppf(0.95, missed + 1, looked_at - missed))


def enter_audit(path: Path, audit: Audit) -> None:
    """Add an audit. Raises `StorageError` when it can't be written."""
    try:
        private_folder(path.parent)
        with open_private(path) as stream:
            stream.write(json.dumps(audit.to_json()).encode() + b"\n")
    except OSError as error:
        raise storage_error(path, error) from error


def last_audit(path: Path, journal: str) -> Audit | None:
    """Return the last audit of what a journal's run released. Raises `StorageError` if damaged."""
    return next(reversed(_entered(path, journal)), None)


def audits_of(path: Path, journal: str) -> int:
    """Return how many audits of a journal's run were entered. Raises `StorageError` if damaged."""
    return len(_entered(path, journal))


def _entered(path: Path, journal: str) -> list[Audit]:
    if not path.exists():
        return []
    try:
        found = [_audit(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise storage_error(path, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "is damaged: what audits found can't be read",
            remedy="restore it from a backup, or move it away and audit again",
            file=path.name,
        ) from error
    return [one for one in found if one.journal == journal]


def _audit(record: Mapping[str, Any]) -> Audit:
    return Audit(
        journal=str(record["journal"]),
        looked_at=int(record["looked_at"]),
        missed=int(record["missed"]),
        population=int(record["population"]),
        time=str(record["time"]),
        reader=str(record["reader"]),
    )
