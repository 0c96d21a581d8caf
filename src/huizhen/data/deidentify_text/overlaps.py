"""What several recognisers found, made into spans that don't overlap and lose nothing that was found.

>>> one = Found(start=0, end=5, kind=Kind.ID, recogniser="code", score=0.6)
>>> other = Found(start=3, end=9, kind=Kind.PHONE, recogniser="phone", score=0.8)
>>> [(span.start, span.end, span.kind.value) for span in resolved([one, other], "abcdefghi")]
[(0, 3, 'id'), (3, 9, 'phone')]
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace

from huizhen.data.deidentify_text.kinds import Found, Kind

__all__ = ["beside", "resolved"]

_WHOLE = frozenset({Kind.EMAIL, Kind.URL, Kind.FILE, Kind.HANDLE})
"""Kinds that are replaced as a whole: a known name within an address doesn't cut it into pieces."""

_MENDED = frozenset({Kind.NAME, Kind.ADDRESS, Kind.INSTITUTION})
"""Kinds of which two spans side by side are one."""


def resolved(found: Iterable[Found], text: str) -> list[Found]:
    """Return spans that don't overlap, in order; the surer one keeps its place, then the longer.

    Of what loses, the part beyond the winner stays, if it holds a letter or figure. What is within an e-mail
    or web address, a file or a handle is part of it, however sure it is. Every character in any of `found`
    that is a letter or figure is in one of the spans returned.
    """
    owner: dict[int, Found] = {}
    for one in sorted(
        _outermost(found), key=lambda f: (-f.score, f.start - f.end, f.start, f.kind, f.recogniser)
    ):
        for place in range(one.start, one.end):
            owner.setdefault(place, one)
    return list(_mended(_runs(owner, text), text))


def beside(found: Iterable[Found], places: Iterable[tuple[int, int]]) -> Iterator[Found]:
    """Yield what overlaps none of some places, which don't overlap each other.

    >>> one = Found(start=3, end=5, kind=Kind.ID, recogniser="code", score=0.6)
    >>> [*beside([one], [(0, 3), (5, 9)])] == [one], [*beside([one], [(4, 9)])]
    (True, [])
    """
    order = sorted(places)
    starts = [start for start, _ in order]
    for one in found:
        before = bisect_left(starts, one.end) - 1
        if before < 0 or order[before][1] <= one.start:
            yield one


def _outermost(found: Iterable[Found]) -> Iterator[Found]:
    """Yield spans but those within a longer one of a kind that is replaced as a whole, however sure they are.

    >>> mail = Found(start=0, end=9, kind=Kind.EMAIL, recogniser="email", score=0.9)
    >>> name = Found(start=2, end=5, kind=Kind.NAME, recogniser="known_name", score=1.0)
    >>> [one.kind.value for one in _outermost([mail, name])]
    ['email']
    """
    last: Found | None = None
    for one in sorted(found, key=lambda f: (f.start, -f.end, f.kind not in _WHOLE)):
        if last is not None and one.end <= last.end and (one.start, one.end) != (last.start, last.end):
            continue
        if one.kind in _WHOLE and (last is None or one.end > last.end):
            last = one
        yield one


def _runs(owner: dict[int, Found], text: str) -> Iterator[Found]:
    """Yield each stretch of one owner, without the white space and marks around it where it was cut."""
    places = sorted(owner)
    i = 0
    while i < len(places):
        j = i
        one = owner[places[i]]
        while j + 1 < len(places) and places[j + 1] == places[j] + 1 and owner[places[j + 1]] is one:
            j += 1
        start, end = places[i], places[j] + 1
        if (start, end) != (one.start, one.end):
            while start < end and not text[start].isalnum():
                start += 1
            while end > start and not text[end - 1].isalnum():
                end -= 1
        if start < end:
            yield replace(one, start=start, end=end)
        i = j + 1


def _mended(spans: Iterable[Found], text: str) -> Iterator[Found]:
    """Yield the spans, with those of one kind that only a space or comma parts joined."""
    last: Found | None = None
    for one in spans:
        if (
            last
            and one.kind is last.kind
            and one.kind in _MENDED
            and text[last.end : one.start] in ("", " ", ", ")
        ):
            last = replace(last, end=one.end, score=max(last.score, one.score))
            continue
        if last:
            yield last
        last = one
    if last:
        yield last
