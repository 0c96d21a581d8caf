"""One document cleaned: identifiers found, replaced, and recorded without their values.

>>> from huizhen.data.deidentify.key import Pseudonymiser
>>> from huizhen.data.deidentify_text.known import Known
>>> done = clean(
...     "Seen by Dr. Okonkwo on 2026-03-05.",
...     who=Pseudonymiser(secret=b"k" * 32),
...     known=Known(patient="4711"),
...     policy=TextPolicy(all_tags=True),
... )
>>> done.text, [(one.kind.value, one.offset, one.length) for one in done.actions]
('Seen by Dr. [NAME] on [DATE].', [('name', 12, 7), ('date', 23, 10)])
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify_text.again import words_of_name
from huizhen.data.deidentify_text.dates import DateFound, day_number, find_dates, moved, order_of
from huizhen.data.deidentify_text.engine import find_all
from huizhen.data.deidentify_text.folding import Folded, fold
from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.known import Known, find_known, name_parts
from huizhen.data.deidentify_text.overlaps import beside
from huizhen.data.deidentify_text.policy import TextPolicy
from huizhen.data.deidentify_text.surrogates import Surrogates, same

__all__ = ["Cleaned", "Replaced", "clean", "find"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """One replacement: where the identifier stood in the original, and what stands for it in the result."""

    kind: Kind
    recogniser: str
    offset: int
    length: int
    new_offset: int
    new_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A cleaned text with its replacements, in order. `residue` counts known values that are still in it."""

    text: str
    actions: tuple[Replaced, ...]
    residue: int


def find(text: Folded, known: Known, policy: TextPolicy) -> list[Found]:
    """Return what a policy replaces in a folded text. Raises `InvalidInputError` without presidio."""
    spans = find_all(text.text, known, unknown=policy.unknown_words)
    allowed = {word.lower() for word in policy.allow}
    return [
        one
        for one in spans
        if one.kind not in policy.keep
        and not (
            one.kind in (Kind.NAME, Kind.INSTITUTION) and text.text[one.start : one.end].lower() in allowed
        )
    ]


def clean(text: str, *, who: Pseudonymiser, known: Known, policy: TextPolicy) -> Cleaned:
    """Return `text` with every identifier that is found replaced; nothing else is changed.

    Raises `InvalidInputError` without presidio.
    """
    folded = fold(text)
    spans = find(folded, known, policy)
    new = _Replacements(folded, spans, who, known, policy)
    parts: list[str] = []
    actions: list[Replaced] = []
    at = size = 0
    for one in spans:
        start, end = folded.original(one.start, one.end)
        start = max(start, at)
        put = new.of(one)
        parts += [text[at:start], put]
        size += start - at
        actions.append(
            Replaced(
                kind=one.kind,
                recogniser=one.recogniser,
                offset=start,
                length=end - start,
                new_offset=size,
                new_length=len(put),
            )
        )
        size, at = size + len(put), end
    made = "".join([*parts, text[at:]])
    return Cleaned(text=made, actions=tuple(actions), residue=_residue(made, known, actions))


class _Replacements:
    """What takes the places of one document's identifiers."""

    def __init__(
        self, text: Folded, spans: Iterable[Found], who: Pseudonymiser, known: Known, policy: TextPolicy
    ) -> None:
        self.text, self.policy = text.text, policy
        self.dates = _Dates(self.text, policy, who.shift_days(known.patient, most=policy.most_shift_days))
        self.surrogates = Surrogates(who=who, known=known, avoid=_originals(self.text, spans, known))

    def of(self, one: Found) -> str:
        """Return a tag, a date moved, or a surrogate."""
        if self.policy.as_tag(one.kind):
            return f"[{one.kind.name}]"
        if one.kind is Kind.DATE:
            return self.dates.of(one)
        return self.surrogates.of(one.kind, self.text[one.start : one.end], recogniser=one.recogniser)


def _originals(text: str, spans: Iterable[Found], known: Known) -> frozenset[str]:
    """Return the original values, and the words of names, that no surrogate may equal."""
    values: set[str] = set()
    for one in spans:
        value = text[one.start : one.end]
        values.add(same(value))
        if one.kind is Kind.NAME:
            values |= {same(word) for word in (*words_of_name(value), *name_parts(value))}
    for name in known.names:
        values |= {same(name), *(same(part) for part in name_parts(name))}
    return frozenset(values | {same(number) for number in (known.patient, *known.numbers)})


class _Dates:
    """Moves the dates of one document by its patient's days."""

    def __init__(self, text: str, policy: TextPolicy, days: int) -> None:
        self.text, self.days = text, days
        self.found = list(find_dates(text))
        self.at: dict[tuple[int, int], list[DateFound]] = {}
        for one in self.found:
            self.at.setdefault((one.start, one.end), []).append(one)
        self.order = order_of(self.found, text, otherwise=policy.date_order)
        whole = [(one.start, day) for one in self.found if one.is_whole and (day := self._day(one))]
        self.whole = sorted(whole)
        self.starts = [start for start, _ in self.whole]

    def _day(self, one: DateFound) -> int | None:
        return day_number(one, self.text, order=self.order)

    def of(self, span: Found) -> str:
        """Return a date moved in its own form, a tag where it can't be."""
        for one in self.at.get((span.start, span.end), ()):
            new = moved(one, self.text, days=self.days, order=self.order, year=self._year_near(one.start))
            other = "mdy" if self.order == "dmy" else "dmy"
            new = new or moved(one, self.text, days=self.days, order=other, year=self._year_near(one.start))
            if new is not None:
                return new
        return f"[{Kind.DATE.name}]"

    def _year_near(self, place: int) -> int | None:
        """Return the year of the whole date before a place, or of the first one."""

        if not self.whole:
            return None
        before = bisect_right(self.starts, place)
        return date.fromordinal(self.whole[max(0, before - 1)][1]).year


def _residue(text: str, known: Known, actions: Iterable[Replaced]) -> int:
    """Return how often something known of the patient still stands beside what was put into a text."""
    folded = fold(text)
    put = [(one.new_offset, one.new_offset + one.new_length) for one in actions if one.new_length]
    found = [
        replace(one, start=start, end=end)
        for one in find_known(folded.text, known)
        if one.recogniser != "known_misspelt"
        for start, end in (folded.original(one.start, one.end),)
    ]
    return len({(one.start, one.end) for one in beside(found, put)})
