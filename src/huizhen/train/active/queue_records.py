"""What stands in an annotation queue: requests, answers, tasks for readers, labels and where each is from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Answer", "How", "Label", "Request", "State", "Task", "settled"]


class State(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    """Wants more answers."""
    DISPUTED = "disputed"
    """Has all the answers it wants, and no majority; wants an adjudicator."""
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"


class How(StrEnum):
    """How a label came about."""

    MAJORITY = "majority"
    ADJUDICATOR = "adjudicator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One case that a rule asks about: its `rank` in the batch from 1, and why."""

    case: str
    rank: int
    rule: str
    score: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One reader's label of one case. `source` says where it came in: "file.csv row 7", "reading room"."""

    case: str
    reader: str
    label: str
    source: str
    simulated: bool = False
    at: str = ""
    """ISO 8601; empty for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A case as a reader's worklist shows it."""

    case: str
    round_number: int
    rank: int
    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A settled label and where it is from: the readers who agreed, or the adjudicator; all who answered."""

    case: str
    label: str
    how: How
    by: tuple[str, ...]
    answers: int
    dissent: int
    simulated: bool


def settled(
    case: str, answers: Sequence[Answer], *, wanted: int, ruling: tuple[str, str] | None = None
) -> Label | None:
    """Return the label of a case with these `answers`, or None while it is open or disputed.

    An adjudicator's `ruling` (label, who) counts over readers; else more than half of at least `wanted`.

    >>> a, b = (Answer(case="1", reader=r, label="x", source="") for r in "ab")
    >>> settled("1", [a], wanted=2) is None, settled("1", [a, b], wanted=2).by
    (True, ('a', 'b'))
    """
    counts = Counter(item.label for item in answers)
    by: tuple[str, ...]
    if ruling is not None:
        label, how, by = ruling[0], How.ADJUDICATOR, (ruling[1],)
    else:
        if len(answers) < wanted or not counts:
            return None
        label, votes = counts.most_common(1)[0]
        if 2 * votes <= len(answers):
            return None
        how, by = How.MAJORITY, tuple(item.reader for item in answers if item.label == label)
    return Label(
        case=case,
        label=label,
        how=how,
        by=by,
        answers=len(answers),
        dissent=len(answers) - counts[label],
        simulated=any(item.simulated for item in answers),
    )
