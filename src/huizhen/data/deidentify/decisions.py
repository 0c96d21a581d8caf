"""What people decided of files that waited: kept at the site for good, and honoured by the next preparation.

    log = DecisionLog(path=state / DECISIONS)
    log.append([decision])
    log.last()["F-5b1e..."][About.PIXELS].verdict

A decision holds for the file's content as it was when somebody looked at it, by its digest: a changed file
waits anew. No value of a file is in it, but who decided is: it stays at the site.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from huizhen.core.digests import Digest, digest_value
from huizhen.core.files import open_private, private_folder, storage_error
from huizhen.data.deidentify.outcome import Fate, Outcome, Reason
from huizhen.data.deidentify.regions import Inspection, Region, merged, region_of
from huizhen.errors import HuizhenError, StorageError

__all__ = [
    "DECISIONS",
    "UNSAID",
    "About",
    "ByPerson",
    "Decision",
    "DecisionLog",
    "Said",
    "Verdict",
    "decisions_digest",
    "said_of",
]

DECISIONS = "decisions.jsonl"
"""What people decided: stays at the site."""


class About(StrEnum):
    """What a decision is about."""

    PIXELS = "pixels"
    HEAD = "head"


class Verdict(StrEnum):
    """What is to become of a file."""

    RELEASE = "release"
    BLACKEN = "blacken"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One person's decision of one file: its keyed name, what it is about, and the content it holds for."""

    file: str
    about: About
    verdict: Verdict
    regions: tuple[Region, ...]
    digest: Digest
    reader: str
    time: str
    """When, in UTC by the machine's clock (ISO 8601)."""
    review: str
    """Which review it was made in."""

    def to_json(self) -> dict[str, Any]:
        """Return the decision as plain JSON."""
        return {
            "file": self.file,
            "about": self.about.value,
            "verdict": self.verdict.value,
            "regions": [one.to_json() for one in self.regions],
            "digest": self.digest,
            "reader": self.reader,
            "time": self.time,
            "review": self.review,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Decision:
        """Return what `to_json` wrote. Raises `KeyError`, `ValueError` or `InvalidInputError` else."""
        return cls(
            file=str(record["file"]),
            about=About(record["about"]),
            verdict=Verdict(record["verdict"]),
            regions=tuple(region_of(one) for one in record["regions"]),
            digest=Digest(str(record["digest"])),
            reader=str(record["reader"]),
            time=str(record["time"]),
            review=str(record["review"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLog:
    """The decisions of a site in a file; a later one about the same replaces an earlier one."""

    path: Path

    def last(self) -> dict[str, dict[About, Decision]]:
        """Return the last decisions of each file. Raises `StorageError` where the log is damaged."""
        found: dict[str, dict[About, Decision]] = {}
        if not self.path.exists():
            return found
        try:
            for line in self.path.read_text(encoding="utf-8").splitlines():
                one = Decision.from_json(json.loads(line))
                found.setdefault(one.file, {})[one.about] = one
        except OSError as error:
            raise storage_error(self.path, error) from error
        except (ValueError, KeyError, TypeError, HuizhenError) as error:
            raise StorageError(
                "is damaged: what people decided can't be read",
                remedy="restore it from a backup, or move it away and review again",
                file=self.path.name,
            ) from error
        return found

    def append(self, decisions: Iterable[Decision]) -> None:
        """Add decisions, all of them or none. Raises `StorageError`."""
        lines = b"".join(json.dumps(one.to_json()).encode() + b"\n" for one in decisions)
        try:
            private_folder(self.path.parent)
            with open_private(self.path) as stream:
                stream.write(lines)
        except OSError as error:
            raise storage_error(self.path, error) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What people said of one file: that it is refused, that its head may leave, or what its pixels show."""

    refused: bool = False
    head: bool = False
    pixels: Inspection | None = None

    @property
    def outcome(self) -> Outcome | None:
        """The file's fate, where it is settled by what was said."""
        return Outcome(fate=Fate.REFUSED, reason=Reason.BY_PERSON, how="person") if self.refused else None


UNSAID = Said()
"""Nobody said anything."""


def said_of(decisions: Mapping[About, Decision], digest: Digest) -> Said:
    """Return what was said of a file with this content."""
    held = {about: one for about, one in decisions.items() if one.digest == digest}
    if any(one.verdict is Verdict.REFUSE for one in held.values()):
        return Said(refused=True)
    seen = held.get(About.PIXELS)
    return Said(
        head=About.HEAD in held,
        pixels=Inspection(sure=True, regions=merged(seen.regions), how="person") if seen else None,
    )


def decisions_digest(decisions: Mapping[About, Decision]) -> str:
    """Return what changes when a decision does, "" without any."""
    return digest_value([one.to_json() for _, one in sorted(decisions.items())])[:8] if decisions else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPerson:
    """An inspector that says what a person said."""

    seen: Inspection

    def inspect(self, dataset: Dataset) -> Inspection:
        """Return it, within the image."""
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        regions = (one.within(rows, columns) for one in self.seen.regions)
        return Inspection(sure=True, regions=merged(regions), how=self.seen.how)
