"""Names of persons in Latin letters: after titles, labels and words for relatives, before degrees, by lists.

A capital where English has none is suspicious too: a word that is no English or medical one, no eponym and no
brand is taken for a name (`unknown`). That costs some harmless words and saves names that no list has.
"""
# ruff: noqa: E501 - patterns and lists of words, one a line

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.name_words import Look, look_of
from huizhen.data.deidentify_text.pinyin import in_syllables
from huizhen.data.deidentify_text.tables import load_table, words_of

__all__ = ["find_persons"]

_WORD = re.compile(r"(?<![A-Za-zÀ-ɏ0-9_])[A-Za-zÀ-ɏ]+(?:['-][A-Za-zÀ-ɏ]+)*(?![0-9_])\.?")
_CARET = re.compile(r"(?<![\w^])[^\W\d_][\w'-]{0,60}(?:\^[\w'. -]{0,60}[\w])+\^*")
_GAP = re.compile(r"[ \t]{0,2}|[ \t]?\n[ \t]?")
_COMMA = re.compile(r"[ \t]?,[ \t]{1,2}")
_MOST_WORDS = 5


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text, where it stands, and what it looks like."""

    text: str
    start: int
    end: int
    look: Look


def find_persons(text: str) -> Iterator[Found]:
    """Yield names of persons in Latin letters in a folded text.

    >>> text = "Dr. Okonkwo saw Mary Brown, no Hodgkin lymphoma."
    >>> sorted({text[one.start : one.end] for one in find_persons(text)})
    ['Mary Brown', 'Okonkwo']
    """
    for match in _CARET.finditer(text):
        yield Found(start=match.start(), end=match.end(), kind=Kind.NAME, recogniser="name_caret", score=0.9)
    tokens = _tokens(text)
    if not tokens:
        return
    starts = {token.start: i for i, token in enumerate(tokens)}
    for name, pattern, score, loose in _contexts():
        for match in pattern.finditer(text):
            at = starts.get(match.end())
            if at is None:
                continue
            span = _name_from(text, tokens, at, loose=loose, lower=_takes_lower(name))
            if span is None and name == "title" and _TITLED.search(match[0]):
                span = _small_name(text, tokens, at)
            if span and (loose or not _names_a_thing(text, tokens, at, span[1])):
                yield _found(span, name, score)
    yield from _before_credentials(text, tokens)
    yield from _subjects(text)
    yield from _by_lists(text, tokens)


def _names_a_thing(text: str, tokens: list[Token], at: int, end: int) -> bool:
    """Tell whether the name from the word `at` on is an eponym: "with Cooper's ligament"."""
    i = next(i for i in range(at, len(tokens)) if tokens[i].end == end)
    return _is_eponym(text, tokens[i], tokens[i + 1] if i + 1 < len(tokens) else None)


def _takes_lower(name: str) -> bool:
    """Tell whether names without capitals are taken in a context."""
    return name in ("title", "relative", "verb", "label_colon")


_TITLED = re.compile(r"(?<![a-z])(?:dr|mr|mrs|ms|prof)\.?\s+$", re.IGNORECASE)
"""Titles before which nothing else stands, so that a word in small letters after them is a name."""


def _small_name(text: str, tokens: list[Token], at: int) -> tuple[int, int] | None:
    """Return the span of a name in small letters that lists know: "dr. li wei", "mr brown"."""
    last = at - 1
    for i in range(at, min(at + 3, len(tokens))):
        look, word = tokens[i].look, tokens[i].text
        if i > at and not _joins(text, tokens[i - 1], tokens[i], True):
            break
        syllables = word.isascii() and bool(in_syllables(word.lower()))
        known = look.listed or syllables or not look.word
        if (
            not word.islower()
            or look.stop
            or len(word) < 2
            or not known
            or word in words_of("persons_en", "verbs_after")
        ):
            break
        if i > at and look.word and not syllables:
            break
        last = i
    return (tokens[at].start, tokens[last].end) if last >= at else None


def _found(span: tuple[int, int], recogniser: str, score: float) -> Found:
    return Found(start=span[0], end=span[1], kind=Kind.NAME, recogniser=f"name_{recogniser}", score=score)


def _tokens(text: str) -> list[Token]:
    """Return the words in Latin letters."""
    made = []
    for match in _WORD.finditer(text):
        word = match[0]
        end = match.end()
        bare = word.rstrip(".")
        if word.endswith(".") and len(bare) > 1:
            end -= 1
        made.append(Token(bare, match.start(), end, look_of(bare)))
    return made


@cache
def _contexts() -> tuple[tuple[str, re.Pattern[str], float, bool], ...]:
    """Return the patterns after which a name stands: (name, pattern, score, whether any capital will do)."""
    table = load_table("persons_en")
    flat = {key: re.sub(r"\s*\n\s*", "", table[key]) for key in ("labels", "verbs")}
    titles = "|".join(sorted(words_of("persons_en", "titles"), key=len, reverse=True))
    relatives = "|".join(sorted(words_of("persons_en", "relatives"), key=len, reverse=True))
    many = rf"(?:{titles})\.?(?:\s+(?:{titles})\.?)*"
    return tuple(
        (name, re.compile(pattern, re.IGNORECASE), score, loose)
        for name, pattern, score, loose in (
            ("title", rf"(?<![A-Za-zÀ-ɏ0-9_'-]){many}(?:[ \t]+|\n)", 0.86, True),
            ("label_colon", rf"(?<![A-Za-zÀ-ɏ0-9_'-])(?:{flat['labels']})\b\.?(?:\s*\([^()\n]{{1,20}}\))?[ \t]*[:=#|]+[ \t]*(?:\n[ \t]*)?(?:{many}[ \t]+)?", 0.88, True),
            ("label_space", rf"(?<![A-Za-zÀ-ɏ0-9_'-])(?:{flat['labels']})\b\.?(?:[ \t]{{2,}}|\t)(?:{many}[ \t]+)?", 0.8, True),
            ("label", rf"(?<![A-Za-zÀ-ɏ0-9_'-])(?:{flat['labels']})\b\.?[ \t]+(?:{many}[ \t]+)?", 0.72, False),
            ("relative", rf"(?<![A-Za-zÀ-ɏ0-9_'-])(?:{relatives})s?(?:\s+(?:is|was|called|named))?(?:[ \t]*[,:(][ \t]*|[ \t]+)(?:{many}[ \t]+)?", 0.75, False),
            ("verb", rf"(?<![A-Za-zÀ-ɏ0-9_'-])(?:{flat['verbs']})[ \t]+(?:{many}[ \t]+)?", 0.65, False),
        )
    )  # fmt: skip


def _name_from(
    text: str, tokens: list[Token], at: int, *, loose: bool, lower: bool
) -> tuple[int, int] | None:
    """Return the span of a name that begins at a word, or None.

    `loose`: any capital counts for the first words, as after "Dr."; `lower`: words without one may count too.
    """
    last = at - 1
    real = False
    for i in range(at, min(at + _MOST_WORDS, len(tokens))):
        token = tokens[i]
        if i > at and not _joins(text, tokens[i - 1], token, real):
            break
        if token.look.particle and i + 1 < len(tokens) and (real or token.text[:1].isupper() or lower):
            if _counts(tokens[i + 1], loose=loose, lower=lower) and _joins(text, token, tokens[i + 1], True):
                continue
            break
        if token.look.initial and (
            i > at or (i + 1 < len(tokens) and _joins(text, token, tokens[i + 1], True))
        ):
            last = i if real else last
            continue
        if not _counts(token, loose=loose and not _ends_name(token, real), lower=lower):
            break
        real, last = True, i
    return (tokens[at].start, tokens[last].end) if real else None


def _ends_name(token: Token, real: bool) -> bool:
    """Tell whether a word of English with a capital ends a name that has begun: "Dr. Brown Radiology"."""
    return real and token.look.word and not token.look.listed


def _counts(token: Token, *, loose: bool, lower: bool) -> bool:
    """Tell whether a word may be part of a name in a context."""
    look = token.look
    if look.upper and not look.caps_name and not loose:
        return False
    if look.capital or look.upper:
        return not look.stop and (loose or not look.allowed) and (loose or look.listed or not look.word)
    return lower and not look.word and not look.allowed and len(token.text) > 2


def _joins(text: str, one: Token, other: Token, real: bool) -> bool:
    """Tell whether two words may be of one name by what stands between them."""
    between = text[one.end : other.start]
    if between.startswith(".") and (one.look.initial or len(one.text) <= 2):
        between = between[1:]
    if between in ("", "-", "'", ".") and between != "":
        return True
    if _GAP.fullmatch(between) and "\n" not in between:
        return True
    return bool(_COMMA.fullmatch(between)) and real and other.look.part and one.look.part


@cache
def _credential_pattern() -> re.Pattern[str]:
    said = re.sub(r"\s*\n\s*", "", load_table("persons_en")["credentials"])
    return re.compile(rf"(?:,[ ]?|[ ])(?:{said})(?![\w])")


def _before_credentials(text: str, tokens: list[Token]) -> Iterator[Found]:
    """Yield names before degrees: "Anna Brown, MD"."""
    ends = {token.end: i for i, token in enumerate(tokens)}
    for match in _credential_pattern().finditer(text):
        at = ends.get(match.start())
        if at is None or not tokens[at].look.capital or tokens[at].look.stop or tokens[at].look.allowed:
            continue
        first = at
        while first > 0 and at - first < 3 and _joins(text, tokens[first - 1], tokens[first], False):
            before = tokens[first - 1].look
            if not (
                before.initial or before.particle or (before.capital and not before.stop and not before.word)
            ):
                break
            first -= 1
        if first < at or not tokens[at].look.word:
            yield _found((tokens[first].start, tokens[at].end), "credential", 0.85)


_SUBJECT = re.compile(
    r"(?:^|\n)[ \t]*(?P<name>[a-z][a-z'-]{1,20}(?:[ ][a-z][a-z'-]{1,20}){1,2})(?=[ ](?:is|was)[ ]an?[ ]\d{1,3}\b|,?[ ]\d{1,3}[ ]?(?:y/?o|yo|m\b|f\b|year))"
)


def _subjects(text: str) -> Iterator[Found]:
    """Yield names without capitals that begin a note: "jane doe is a 50 yo"."""
    for match in _SUBJECT.finditer(text):
        words = [look_of(word) for word in match["name"].split(" ")]
        if not all(look.word or look.allowed for look in words):
            yield _found(match.span("name"), "subject", 0.7)


def _by_lists(text: str, tokens: list[Token]) -> Iterator[Found]:
    """Yield runs of words that lists know for names, or that nothing knows."""
    i = 0
    while i < len(tokens):
        j = i
        while j + 1 < len(tokens) and j - i < _MOST_WORDS and _chains(text, tokens[j], tokens[j + 1]):
            j += 1
        run = tokens[i : j + 1]
        if found := _run_as_name(text, run, tokens[j + 1] if j + 1 < len(tokens) else None):
            yield found
        i = j + 1


def _chains(text: str, one: Token, other: Token) -> bool:
    return one.look.maybe and other.look.maybe and _joins(text, one, other, True)


def _run_as_name(text: str, run: list[Token], following: Token | None) -> Found | None:
    """Return a run of words as a name, or None: by how sure its words are."""
    while run and not run[-1].look.part and not run[-1].look.initial:
        run = run[:-1]
    while run and not run[0].look.part and not _is_initial(text, run[0]):
        run = run[1:]
    if not run or not (any(token.look.surely_name for token in run) or _has_initials(text, run)):
        return None
    if _is_eponym(text, run[-1], following):
        return None
    listed = any(token.look.listed for token in run)
    lower = not any(token.look.capital or token.look.upper for token in run)
    caps = all(token.look.upper or token.look.initial for token in run)
    if (lower or caps) and len(run) < 2 and not (listed and caps and len(run[0].text) > 3):
        return None
    if lower and not listed and len(run) < 2:
        return None
    return _found((run[0].start, run[-1].end), "list" if listed else "unknown", 0.6 if listed else 0.4)


def _is_initial(text: str, token: Token) -> bool:
    """Tell whether a word is an initial: A and I alone are words, with a full stop none."""
    return token.look.initial and (token.text not in "AI" or text[token.end : token.end + 1] == ".")


def _has_initials(text: str, run: list[Token]) -> bool:
    """Tell whether a run is initials and a listed name within a line: "A. Brown", but not in a list.

    At the start of a line it may number something: "A. Brown tissue".
    """
    begins = not text[: run[0].start].rpartition("\n")[2].strip()
    return run[0].look.initial and run[-1].look.listed and run[-1].look.capital and not begins


def _is_eponym(text: str, last: Token, following: Token | None) -> bool:
    """Tell whether a name names a thing: "Cooper's ligament", "Hartmann procedure"."""
    if following is None:
        return False
    between = text[last.end : following.start]
    return between in (" ", "'s ", "' ", "-") and following.text.lower() in words_of(
        "persons_en", "eponym_nouns"
    )
