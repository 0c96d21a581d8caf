"""Surrogates of names: word for word, in the same case, of the same kind, the same in all texts of a patient.

A given name that the lists know as a woman's becomes a woman's, initials go with the names they stand for,
and Chinese names keep their number of characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache

from huizhen.data.deidentify_text.name_words import look_of
from huizhen.data.deidentify_text.persons_zh import surname_of
from huizhen.data.deidentify_text.tables import load_table, words_of

__all__ = ["name_like"]

Draw = Callable[..., bytes]
"""draw(use, value, turn): 32 bytes under the site's key."""

_WORD = re.compile(r"[^\W\d_]+")
_HAN = re.compile(r"[\u3400-\u9fff]+")
_INITIALS = "ABCDEFGHJKLMNPRSTVW"
_TITLES = frozenset("dr mr mrs ms miss prof".split())  # noqa: SIM905  # shorter to read
_TRIES = 50
_COMMON = {"surnames": 3000, "female": 700, "male": 500}
"""How many of the commonest names of each list are used."""


def name_like(name: str, draw: Draw, avoid: Collection[str]) -> str:
    """Return a surrogate for a name: each of its words becomes another; marks and particles stay.

    `avoid` holds original values in lower case without marks, none of which comes out.
    """
    return _WORD.sub(
        lambda match: match[0] if _is_possessive(name, match) else _word_like(match[0], draw, avoid), name
    )


def _is_possessive(name: str, match: re.Match[str]) -> bool:
    """Tell whether a word of a name is the s of a genitive: "Weber's"."""
    return match[0] in "sS" and name[max(0, match.start() - 1) : match.start()] == "'" and match.start() > 1


def _word_like(word: str, draw: Draw, avoid: Collection[str]) -> str:
    if _HAN.fullmatch(word):
        return _chinese_like(word, draw, avoid)
    lower = word.lower()
    if lower in words_of("persons_en", "particles") and word.islower():
        return word
    if lower in _TITLES:
        return word
    initial = _initial_like(word[0].upper(), draw)
    if len(word) == 1:
        return initial if word.isupper() else initial.lower()
    names = _names(_list_of(lower), initial) or _names("surnames", initial)
    for turn in range(_TRIES):
        made = names[int.from_bytes(draw("name", lower, turn)[:4], "big") % len(names)]
        if made != lower and made not in avoid:
            return _cased(made, word)
    return "[NAME]"


def _initial_like(letter: str, draw: Draw) -> str:
    """Return the letter with which surrogates of names in `letter` begin: another one."""
    place = int.from_bytes(draw("initial", letter)[:4], "big")
    others = _INITIALS.replace(letter, "")
    return others[place % len(others)]


def _list_of(lower: str) -> str:
    """Return on which list of names a word stands: that of given names only where it is no surname first."""
    for name in ("female", "male"):
        if lower in _ranks(name) and _ranks(name)[lower] < _ranks("surnames").get(lower, 10**6):
            other = "male" if name == "female" else "female"
            if _ranks(name)[lower] <= _ranks(other).get(lower, 10**6):
                return name
    return "surnames"


@cache
def _ranks(name: str) -> dict[str, int]:
    return {word: i for i, word in enumerate(load_table("names_en")[name].split())}


@cache
def _names(name: str, initial: str) -> tuple[str, ...]:
    """Return the commoner names of a list with an initial that are no words of English."""
    found = [
        word for word in load_table("names_en")[name].split() if word[0].upper() == initial and len(word) > 3
    ]
    return tuple(word for word in found if not look_of(word).word)[: max(5, _COMMON[name] // 19)]


def _cased(made: str, like: str) -> str:
    if like.isupper():
        return made.upper()
    return made.capitalize() if like[:1].isupper() else made


def _chinese_like(name: str, draw: Draw, avoid: Collection[str]) -> str:
    """Return a Chinese name of as many characters: another surname, another character for each."""
    surname = surname_of(name)
    for turn in range(_TRIES):
        made = (_surname_like(surname, draw, turn) if surname else "") + "".join(
            _char_like(char, draw, turn) for char in name[len(surname) :]
        )
        if made != name and made not in avoid:
            return made
    return "某" * len(name)


def _surname_like(surname: str, draw: Draw, turn: int) -> str:
    table = load_table("surrogates")
    pool: list[str] = (
        list(table["chinese_surnames"]) if len(surname) == 1 else table["chinese_compound"].split()
    )
    pool = [one for one in pool if one != surname]
    return pool[int.from_bytes(draw("surname", surname, turn)[:4], "big") % len(pool)]


def _char_like(char: str, draw: Draw, turn: int) -> str:
    pool: str = load_table("surrogates")["chinese_given"].replace(char, "")
    return pool[int.from_bytes(draw("given", char, turn)[:4], "big") % len(pool)]
