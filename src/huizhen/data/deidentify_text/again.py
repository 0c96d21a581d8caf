"""What was found once in a document, found wherever else it stands in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.name_words import look_of
from huizhen.data.deidentify_text.persons_zh import surname_of
from huizhen.data.deidentify_text.segment import is_word

__all__ = ["find_again", "find_neighbours", "words_of_name"]

_NAME_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_POSSESSIVE = re.compile(r"'s$", re.IGNORECASE)
_HAN = re.compile(r"[\u3400-\u9fff]+")
_WHOLE = frozenset(
    {
        Kind.ID,
        Kind.PHONE,
        Kind.EMAIL,
        Kind.ACCOUNT,
        Kind.DEVICE,
        Kind.PLATE,
        Kind.FILE,
        Kind.HANDLE,
        Kind.IP,
        Kind.URL,
    }
)
_RUN = re.compile(r"[^\W_]+")
_LONGEST = 64
"""Characters of a value with Chinese ones up to which it is looked for again."""

_LEAST = 4
"""Letters of a name, or characters of another value, from which on it is looked for again."""


def words_of_name(name: str) -> list[str]:
    """Return the words of a name that tell it from other words: no English, no eponym, no initial.

    >>> words_of_name("Dr. J. Okonkwo-Brown"), words_of_name("张小红"), words_of_name("张")
    (['Okonkwo-Brown'], ['张小红', '小红'], [])
    """
    found = []
    for word in _NAME_WORD.findall(name):
        if _HAN.fullmatch(word):
            given = word[len(surname_of(word)) :]
            found += [one for one in (word, given) if len(one) > 1 and not is_word(one)]
        else:
            word = _POSSESSIVE.sub("", word)
            look = look_of(word)
            if len(word) >= _LEAST and not (look.word or look.allowed or look.stop):
                found.append(word)
    return list(dict.fromkeys(found))


_BESIDE = re.compile(r"(?<![^\W_])[^\W\d_]+(?:['-][^\W\d_]+)*$")
_BESIDE_AFTER = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*(?![^\W_])")


def find_neighbours(text: str, spans: Iterable[Found]) -> Iterator[Found]:
    """Yield words with capitals beside a name that no list knows: they are of the same name."""
    for one in spans:
        if one.kind is not Kind.NAME or _HAN.search(text[one.start : one.end]):
            continue
        if text[one.start - 1 : one.start] == " ":
            yield from _beside(_BESIDE.search(text, max(0, one.start - 30), one.start - 1))
        yield from _initials_before(text, one)
        if text[one.end : one.end + 1] == " ":
            yield from _beside(_BESIDE_AFTER.match(text, one.end + 1))


_INITIALS = re.compile(r"(?<=[^\n])(?<![\w.])(?:[A-Z]\.[ ]?){1,3}$")


def _initials_before(text: str, one: Found) -> Iterator[Found]:
    """Yield initials right before a name, within a line: "J.R. Okonkwo"."""
    match = _INITIALS.search(text, max(0, one.start - 12), one.start)
    if match is not None and text[: match.start()].rpartition("\n")[2].strip():
        end = match.start() + len(match[0].rstrip())
        yield Found(start=match.start(), end=end, kind=Kind.NAME, recogniser="beside", score=0.45)


def _beside(match: re.Match[str] | None) -> Iterator[Found]:
    if match is not None and _is_of_a_name(match[0]):
        yield Found(start=match.start(), end=match.end(), kind=Kind.NAME, recogniser="beside", score=0.45)


def _is_of_a_name(word: str) -> bool:
    look = look_of(word)
    return (look.capital or look.upper) and not (look.word or look.allowed or look.stop) and len(word) > 2


def find_again(text: str, spans: Iterable[Found]) -> Iterator[Found]:
    """Yield the other places of what `spans` name in a folded text."""
    said: dict[str, Kind] = {}
    for one in spans:
        value = text[one.start : one.end]
        if one.kind is Kind.NAME:
            said |= dict.fromkeys(words_of_name(value), Kind.NAME)
        elif one.kind in _WHOLE and len(value) >= _LEAST + 1:
            said[value] = one.kind
    for start, end, value in _places(_lower(text), {_lower(value): value for value in said}):
        yield Found(start=start, end=end, kind=said[value], recogniser="again", score=0.5)


def _places(text: str, values: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Yield where values stand in a text of small letters, reading it once for all of them.

    A value with Chinese characters may stand anywhere; another between signs that are no letter or figure.
    """
    lengths: dict[int, dict[str, str]] = {}
    words: dict[str, list[tuple[int, str]]] = {}
    for value in values:
        if _HAN.search(value):
            lengths.setdefault(len(value), {})[value] = values[value]
        elif word := _RUN.search(value):
            words.setdefault(word[0], []).append((word.start(), value))
    for length, own in lengths.items():
        if length <= _LONGEST:
            for start in range(len(text) - length + 1):
                if said := own.get(text[start : start + length]):
                    yield start, start + length, said
    for match in _RUN.finditer(text) if words else ():
        for before, value in words.get(match[0], ()):
            start = match.start() - before
            end = start + len(value)
            if start >= 0 and text.startswith(value, start) and not _runs_on(text, start, end):
                yield start, end, values[value]


def _runs_on(text: str, start: int, end: int) -> bool:
    """Tell whether a letter or figure stands before or after a place."""
    return any(_RUN.match(char) for char in (text[max(0, start - 1) : start], text[end : end + 1]))


def _lower(text: str) -> str:
    """Return a text in small letters, character for character."""
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
