"""Decisions that a review's pages saved, entered into the site's log: all of them or none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from huizhen.core.digests import Digest
from huizhen.data.deidentify.audits import AUDITS, Audit, enter_audit
from huizhen.data.deidentify.decisions import DECISIONS, About, Decision, DecisionLog, Verdict
from huizhen.data.deidentify.regions import Region, merged, region_of
from huizhen.data.deidentify.review_folders import clear_decided, review_of
from huizhen.errors import DataError, HuizhenError

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
    """Enter the decisions in `saved` files, made by `reader`, of whichever reviews' pages saved them.

    An audit is entered whole: its share means nothing if somebody chose what to leave out. What it found is
    blackened, or refused, by the next preparation. The pages of a review that is decided wholly go. Raises
    `DataError` on a file of a review that isn't here, an unknown item, verdict or box, an item decided twice,
    an audit that isn't complete, or nobody's name; and `StorageError` where a review is damaged, or the log
    can't be written.
    """
    if not reader.strip():
        raise DataError("nobody is named who decided", remedy="name the person: --reader NAME")
    found: dict[str, list[_Answer]] = {}
    reviews: dict[str, Mapping[str, Any]] = {}
    for path in saved:
        name, given = _saved(path)
        reviews.setdefault(name, review_of(state, name, file=path.name))
        found.setdefault(name, []).extend(_answers(path, given, reviews[name]))
    for name, answers in found.items():
        _check(answers, reviews[name])
    time = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    decisions = [
        decision
        for name, answers in found.items()
        for decision in _decisions(reviews[name], answers, reader.strip(), time)
    ]
    audits = [
        _audit(reviews[name], answers, reader.strip(), time)
        for name, answers in found.items()
        if reviews[name]["audit"]
    ]
    DecisionLog(path=state / DECISIONS).append(decisions)
    for audit in audits:
        enter_audit(state / AUDITS, audit)
    clear_decided(state, audited=[name for name in found if reviews[name]["audit"]])
    counts = Counter(answer.verdict for answers in found.values() for answer in answers)
    return Entered(items=counts, files=len(decisions), audit=audits[-1] if audits else None)


def _decisions(
    review: Mapping[str, Any], answers: Sequence[_Answer], reader: str, time: str
) -> Iterator[Decision]:
    """Yield a decision for each file of what was answered; in an audit, of what was found only."""
    for answer in answers:
        if review["audit"] and answer.verdict is Verdict.RELEASE:
            continue
        for name, digest in answer.item["files"]:
            yield Decision(
                file=name,
                about=About(answer.item["about"]),
                verdict=answer.verdict,
                regions=answer.regions if review["audit"] else answer.boxes,
                digest=Digest(digest),
                reader=reader,
                time=time,
                review=str(review["review"]),
            )


def _saved(path: Path) -> tuple[str, list[Mapping[str, Any]]]:
    """Return the review that a file's decisions are of, and these. Raises `DataError` on another file."""
    if not path.exists():
        raise DataError("there is no such file", remedy="name the file that the page saved", file=path.name)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError
        found = json.loads(path.read_text(encoding="utf-8"))
        return str(found["review"]), list(found["decisions"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_decisions(path) from error


def _no_decisions(path: Path) -> DataError:
    return DataError("holds no decisions of a review", remedy="save it by the page's button", file=path.name)


def _answers(path: Path, given: Sequence[Mapping[str, Any]], review: Mapping[str, Any]) -> Iterator[_Answer]:
    """Yield the answers in a saved file. Raises `DataError` on one that no page of the review saved."""
    items = {one["number"]: one for one in review["items"]}
    try:
        yield from [_answer(items, one) for one in given]
    except (ValueError, KeyError, TypeError, HuizhenError) as error:
        raise _no_decisions(path) from error


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
