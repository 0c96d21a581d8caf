"""A text as recognisers read it, and where each of its characters came from.

Full-width letters, ligatures, look-alikes from other alphabets, marks that nobody sees, odd spaces and
traditional characters hide identifiers from rules. They are folded for reading only: replacements are made in
the text as it was.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from huizhen.data.deidentify_text.tables import load_table

__all__ = ["Folded", "bare", "fold"]

_DASHES = frozenset("‐‑‒–—―−﹘﹣－⁃")
_QUOTES = frozenset("’‘ʼ‛′＇`´")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеоѕрсухіјһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοιανօհոսᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
    "ABESIJKMHOPCTYXaeospcyxijhdqwABEZHIKMNOPTYXoiavohnuABCDEFGHIJKLMNOPRSTUVWYZ",
) | {first + i: letter for first in (0x1F150, 0x1F170, 0x1F1E6) for i, letter in enumerate(_LETTERS)}
"""Cyrillic, Greek and Armenian letters that look like Latin ones, small capitals, letters in dark shapes."""

_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")
"""Letters and symbols that show nothing; the others that do are of the categories below."""

_UNSEEN = frozenset({"Cf", "Cc", "Cs", "Co", "Cn", "Mn", "Me"})
"""Control and format signs, and marks that no composed letter holds: selectors, joiners, strokes through."""

_MOST_MARKS = 32
"""Characters of one letter with its marks: sorting them squares their number (UAX 15, section 13)."""

_STROKED = str.maketrans("øØłŁđĐħĦ", "oOlLdDhH")
_HAN_FIGURES = str.maketrans("〇零○一二三四五六七八九幺壹贰叁肆伍陆柒捌玖", "0001234567891123456789")
_HAN_RUN = re.compile("[〇零○一二三四五六七八九幺壹贰叁肆伍陆柒捌玖]{4,}")


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
    for place in _breaks("".join(chars)):
        chars[place] = ""
    kept = [i for i, char in enumerate(chars) if char]
    return Folded(
        text="".join(chars), starts=tuple(starts[i] for i in kept), ends=tuple(ends[i] for i in kept)
    )


_BROKEN = re.compile(r"(?<=[^\W\d_])-[ \t]?\r?\n[ \t]{0,12}(?=[^\W\d_])")
"""A hyphen at the end of a line within a word."""


def _breaks(text: str) -> Iterator[int]:
    """Yield the places of hyphens and ends of lines that break a word in small letters: "Okon-", "kwo"."""
    for match in _BROKEN.finditer(text):
        if text[match.start() - 1].islower() and text[match.end()].islower():
            yield from range(match.start(), match.end())


def bare(text: str) -> str:
    """Return a folded text, character for character, without accents and with Chinese figures in ours.

    What is known of a patient is looked for in this one too.

    >>> bare("Jóhnsøn, 一三八零")
    'Johnson, 1380'
    """
    if text.isascii():
        return text
    plain = text.translate({ord(char): _base(char) for char in set(text) if char > "~"}).translate(_STROKED)
    return _HAN_RUN.sub(lambda run: run[0].translate(_HAN_FIGURES), plain)


def _base(char: str) -> str:
    """Return the letter below a letter's accents."""
    first, *marks = list(unicodedata.normalize("NFD", char))
    return first if marks and all(unicodedata.category(mark) == "Mn" for mark in marks) else char


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each character with the marks that combine with it."""
    start = 0
    for end in range(1, len(text) + 1):
        marks = end - start < _MOST_MARKS and end < len(text) and text[end] >= "\u0300"
        if not marks or unicodedata.category(text[end]) not in ("Mn", "Me"):
            yield start, end
            start = end


def _folded(cluster: str) -> str:
    """Return one cluster folded: "" for what nobody sees."""
    if len(cluster) == 1 and (" " <= cluster <= "~" or cluster in "\t\n\r"):
        return cluster if cluster != "`" else "'"
    if cluster in _QUOTES:
        return "'"
    cluster = "".join(char for char in cluster if char not in _BLANK and not _is_selector(char))
    return "".join(map(_plain, unicodedata.normalize("NFKC", cluster))).translate(_LOOKALIKES)


def _is_selector(char: str) -> bool:
    """Tell whether a sign is a mark of class 0: it would keep the marks after it from their letter."""
    return unicodedata.category(char) in ("Mn", "Me") and not unicodedata.combining(char)


def _plain(char: str) -> str:
    """Return one normalised character in its plain form."""
    if char in _DASHES:
        return "-"
    if char in _QUOTES:
        return "'"
    category = unicodedata.category(char)
    if char in _BLANK or (category in _UNSEEN and char not in "\t\n\r"):
        return ""
    if category in ("Nd", "No") and (figure := unicodedata.digit(char, None)) is not None:
        return str(figure)
    return " " if category in ("Zs", "Zl", "Zp") else _simplified().get(char, char)


@cache
def _simplified() -> dict[str, str]:
    """Return traditional characters of names and labels with their simplified forms."""
    pairs = load_table("names_zh")["traditional"].split()
    return {pair[0]: pair[1] for pair in pairs}
