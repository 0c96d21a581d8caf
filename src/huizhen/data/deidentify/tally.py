"""What a preparation came to: counts over all files, and the lines that are written of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from huizhen.core.digests import Digest
from huizhen.data.deidentify.audits import Audit
from huizhen.data.deidentify.journal import Entry
from huizhen.data.deidentify.outcome import Fate, Reason
from huizhen.data.deidentify.policy import DeidPolicy
from huizhen.data.deidentify.profile import STANDARD

__all__ = ["PIXEL_REASONS", "PixelCounts", "Prepared", "Tally"]

PIXEL_REASONS = frozenset(
    {Reason.BURNED_IN, Reason.RISKY_PIXELS, Reason.DOUBTFUL_PIXELS, Reason.OVERLAY_IN_PIXELS, Reason.HEAD}
)
"""Why an image waits for somebody to look at it."""


@dataclass(slots=True, kw_only=True)
class PixelCounts:
    """What was done about text and faces in pixels, in files with an image."""

    by_ocr: int = 0
    """Looked at by OCR, released or not."""
    by_person: int = 0
    """Looked at by a person, released or refused."""
    unseen: int = 0
    """Released though nobody looked."""
    with_text: int = 0
    """Looked at, released or not, with something found to blacken."""
    blackened: int = 0
    """Released with regions blackened."""
    waiting: int = 0
    """Waiting for somebody to look."""

    def take(self, entry: Entry) -> None:
        """Count an entry."""
        one = entry.outcome
        released = one.fate is Fate.RELEASED
        self.by_ocr += one.how == "ocr"
        self.by_person += one.how == "person"
        self.unseen += one.how == "unseen" and released
        self.with_text += bool(one.regions)
        self.blackened += bool(one.regions) and released
        self.waiting += one.fate is Fate.QUEUED and one.reason in PIXEL_REASONS

    def to_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return {
            "by_ocr": self.by_ocr,
            "by_person": self.by_person,
            "unseen": self.unseen,
            "with_text": self.with_text,
            "blackened": self.blackened,
            "waiting": self.waiting,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a preparation came to. `actions` counts by path, action, rule and creator over released files."""

    standard: str
    options: tuple[str, ...]
    policy: Digest
    counts: Mapping[Fate, int]
    reasons: Mapping[tuple[Fate, Reason], int]
    patients: int
    kept: int
    actions: Mapping[tuple[str, str, str, str], int]
    known: int
    """Files that an earlier run had done already."""
    pixels: PixelCounts
    audit: Audit | None = None
    """The last audit of a random sample of what this run's folder released."""

    @property
    def files(self) -> int:
        """All files that were looked at."""
        return sum(self.counts.values())


@dataclass(slots=True, kw_only=True)
class Tally:
    """The counts of a preparation, and the lines that are written of each file: one leaves, one stays."""

    paths: Mapping[str, str]
    leaving: Callable[[object], None]
    staying: Callable[[object], None]
    counts: Counter[Fate] = field(default_factory=Counter)
    reasons: Counter[tuple[Fate, Reason]] = field(default_factory=Counter)
    actions: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    patients: set[str] = field(default_factory=set)
    kept: int = 0
    pixels: PixelCounts = field(default_factory=PixelCounts)

    def take(self, entry: Entry) -> None:
        """Count an entry, and write its lines."""
        one = entry.outcome
        self.counts[one.fate] += 1
        self.pixels.take(entry)
        if one.reason is not None:
            self.reasons[one.fate, one.reason] += 1
            said = {"fate": one.fate.value, "reason": one.reason.value}
            boxes = [region.to_json() for region in one.regions]
            self.staying({"file": self.paths[entry.file], "name": entry.file, **said, "boxes": boxes})
            self.leaving({"file": entry.file, **said})
            return
        done = [each.to_json() for each in one.done]
        self.actions.update(
            (each.path, each.action.value, each.rule.value, each.creator) for each in one.done
        )
        self.patients.add(one.patient)
        self.kept += one.kept
        self.leaving(
            {"file": one.place, "fate": one.fate.value, "kept": one.kept, "done": done, "how": one.how}
        )

    def prepared(self, policy: DeidPolicy, run: Digest, again: int, audit: Audit | None) -> Prepared:
        """Return the sum."""
        return Prepared(
            standard=STANDARD,
            options=tuple(option.value for option in policy.options),
            policy=run,
            counts=self.counts,
            reasons=self.reasons,
            patients=len(self.patients),
            kept=self.kept,
            actions=self.actions,
            known=again,
            pixels=self.pixels,
            audit=audit,
        )
