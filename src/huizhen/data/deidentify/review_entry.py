"""Decisions that a review's pages saved, entered into the site's log: all of them or none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from huizhen.core.digests import Digest
from huizhen.data.deidentify.audits import AUDITS, Audit, enter_audit
from huizhen.data.deidentify.decisions import DECISIONS, About, Decision, DecisionLog, Verdict
from huizhen.data.deidentify.regions import Region, merged, region_of
from huizhen.data.deidentify.review_page import PAGES, REVIEW
from huizhen.errors import DataError, HuizhenError, StorageError

__all__ = ["Entered", "enter"]

_MOST_BYTES = 16 << 20
_MOST_BOXES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """What was entered: items by verdict, the files that they are of, and the audit where it was one."""

    items: Mapping[Verdict, int]
    files: int
    audit: Audit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """One item's verdict, with what to blacken."""

    item: Mapping[str, Any]
    verdict: Verdict
    boxes: tuple[Region, ...]

    @property
    def regions(self) -> tuple[Region, ...]:
        """What to blacken of a file that was released: what was, and what an audit found beside it."""
        return merged([*self.boxes, *(region_of(one) for one in self.item["regions"])])


def enter(state: Path, saved: Sequence[Path], *, reader: str, now: datetime | None = None) -> Entered:
    """Enter the decisions in `saved` files, made by `reader`, of the review that was written last.

    An audit is entered whole: its share means nothing if somebody chose what to leave out. What it found is
    blackened, or refused, by the next preparation. Raises `DataError` on a file of another review, an
    unknown item, verdict or box, an item decided twice, an audit that isn't complete, or nobody's name; and
    `StorageError` where there is no review, or the log can't be written.
    """
    if not reader.strip():
        raise DataError("nobody is named who decided", remedy="name the person: --reader NAME")
    review = _review(state)
    answers = [answer for path in saved for answer in _answers(path, review)]
    _check(answers, review)
    time = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    decisions = [
        Decision(
            file=name,
            about=About(answer.item["about"]),
            verdict=answer.verdict,
            regions=answer.regions if review["audit"] else answer.boxes,
            digest=Digest(digest),
            reader=reader.strip(),
            time=time,
            review=str(review["review"]),
        )
        for answer in answers
        for name, digest in answer.item["files"]
        if not (review["audit"] and answer.verdict is Verdict.RELEASE)
    ]
    audit = _audit(review, answers, reader.strip(), time) if review["audit"] else None
    DecisionLog(path=state / DECISIONS).append(decisions)
    if audit is not None:
        enter_audit(state / AUDITS, audit)
    counts = Counter(answer.verdict for answer in answers)
    return Entered(items=counts, files=len(decisions), audit=audit)


def _review(state: Path) -> Mapping[str, Any]:
    """Return the last review. Raises `StorageError` where there is none."""
    try:
        found = json.loads((state / PAGES / REVIEW).read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found["items"], list):
            raise ValueError
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(
            "there is no review to enter decisions of", remedy="run huizhen site review first", file=REVIEW
        ) from error
    return found


def _answers(path: Path, review: Mapping[str, Any]) -> list[_Answer]:
    """Return the answers in a saved file. Raises `DataError` on one that no page of this review saved."""
    items = {one["number"]: one for one in review["items"]}
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError
        found = json.loads(path.read_text(encoding="utf-8"))
        of, decisions = found["review"], found["decisions"]
        answers = [_answer(items, one) for one in decisions]
    except (OSError, ValueError, KeyError, TypeError, HuizhenError, RecursionError) as error:
        raise DataError(
            "holds no decisions of this review",
            remedy="save it by the page's button, and enter it before the next review is made",
            file=path.name,
        ) from error
    if of != review["review"]:
        raise DataError(
            "is of another review", remedy="decide on the pages of the last review", file=path.name
        )
    return answers


def _answer(items: Mapping[object, Mapping[str, Any]], given: Mapping[str, Any]) -> _Answer:
    """Return one answer. Raises `KeyError`, `ValueError` or `InvalidInputError` on another form."""
    item, verdict = items[given["item"]], Verdict(given["verdict"])
    boxes = [region_of(box) for box in given.get("boxes", ())]
    if len(boxes) > _MOST_BOXES or (verdict is Verdict.BLACKEN) != bool(boxes):
        raise ValueError
    if verdict is Verdict.BLACKEN and item["about"] == About.HEAD.value:
        raise ValueError
    return _Answer(item=item, verdict=verdict, boxes=tuple(boxes))


def _check(answers: Sequence[_Answer], review: Mapping[str, Any]) -> None:
    """Raise `DataError` unless every item is decided once at most, and in an audit every one is."""
    numbers = [answer.item["number"] for answer in answers]
    if len(set(numbers)) < len(numbers):
        raise DataError("an item is decided twice", remedy="name each saved file once")
    if review["audit"] and len(numbers) < len(review["items"]):
        raise DataError(
            f"the audit isn't complete: {len(numbers)} of {len(review['items'])} images are decided",
            remedy="decide every image, and name the files of all its pages",
        )


def _audit(review: Mapping[str, Any], answers: Sequence[_Answer], reader: str, time: str) -> Audit:
    """Return what an audit found."""
    return Audit(
        journal=str(review["journal"]),
        looked_at=len(answers),
        missed=sum(answer.verdict is not Verdict.RELEASE for answer in answers),
        population=int(review["population"]),
        time=time,
        reader=reader,
    )
