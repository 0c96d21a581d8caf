"""A text as recognisers read it, and where each of its characters came from.

Full-width letters, ligatures, look-alikes from other alphabets, marks that nobody sees, odd spaces and
traditional characters hide identifiers from rules. They are folded for reading only: replacements are made in
the text as it was.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from huizhen.data.deidentify_text.tables import load_table

__all__ = ["Folded", "fold"]

_DASHES = frozenset("‐‑‒–—―−﹘﹣－⁃")
_QUOTES = frozenset("’‘ʼ‛′＇`´")
_LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеоѕрсухіјһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοιαν",
    "ABESIJKMHOPCTYXaeospcyxijhdqwABEZHIKMNOPTYXoiav",
)
"""Cyrillic and Greek letters that look like Latin ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A folded `text`; its character i stands for characters starts[i] to before ends[i] of the original."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the original a part of the folded text stands.

        >>> fold("a\\u200bｂc").original(1, 2)
        (2, 3)
        """
        return self.starts[start], self.ends[end - 1]


def fold(text: str) -> Folded:
    """Return `text` folded: NFKC, look-alikes in Latin letters, plain dashes, quotes and spaces.

    Source: Unicode Standard Annex 15 (NFKC) and Technical Standard 39 (confusables, those of Latin letters).

    >>> fold("Ѕmith，２０２６").text
    'Smith,2026'
    """
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(text):
        for char in _folded(text[start:end]):
            chars.append(char)
            starts.append(start)
            ends.append(end)
    return Folded(text="".join(chars), starts=tuple(starts), ends=tuple(ends))


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each character with the marks that combine with it."""
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or text[end] < "\u0300" or not unicodedata.combining(text[end]):
            yield start, end
            start = end


def _folded(cluster: str) -> str:
    """Return one cluster folded: "" for what nobody sees."""
    if len(cluster) == 1 and (" " <= cluster <= "~" or cluster in "\t\n\r"):
        return cluster if cluster != "`" else "'"
    return "".join(map(_plain, unicodedata.normalize("NFKC", cluster))).translate(_LOOKALIKES)


def _plain(char: str) -> str:
    """Return one normalised character in its plain form."""
    if char in _DASHES:
        return "-"
    if char in _QUOTES:
        return "'"
    category = unicodedata.category(char)
    if category in ("Cf", "Cc", "Cs", "Co", "Cn") and char not in "\t\n\r":
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return " " if category in ("Zs", "Zl", "Zp") else _simplified().get(char, char)


@cache
def _simplified() -> dict[str, str]:
    """Return traditional characters of names and labels with their simplified forms."""
    pairs = load_table("names_zh")["traditional"].split()
    return {pair[0]: pair[1] for pair in pairs}
