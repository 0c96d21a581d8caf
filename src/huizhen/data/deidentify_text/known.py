"""What the hospital itself knows of a patient, found in a text in any spelling: the strongest recogniser.

Names in any case, order and spacing, in pinyin, alone, with one letter wrong; numbers with other separators;
days of birth as figures; addresses in part.

>>> who = Known(names=("WEBER^Annemarie",), numbers=("00-7041",))
>>> text = "annemarie weber, No. 007041"
>>> [text[one.start : one.end] for one in find_known(text, who)]
['weber', 'annemarie', '007041', 'annemarie']
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from datetime import date
from functools import lru_cache
from itertools import product

from huizhen.data.deidentify_text.folding import bare, fold
from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.name_words import look_of
from huizhen.data.deidentify_text.persons_zh import surname_of
from huizhen.data.deidentify_text.pinyin import in_syllables, readings
from huizhen.data.deidentify_text.segment import is_word

__all__ = ["Known", "find_known", "name_parts"]

_WRAP = r"-?[ \t]{0,2}\r?\n[ \t]{0,12}"
"""The end of a line within a value, with the hyphen that may break it."""

_SIGN = "[ \\t.,:;*|/_\u00b7\u2022\u2027\u2219\u2502\u30fb-]"
"""What may stand between the characters of a value that is written with gaps, or in cells."""

_PARTS = re.compile(r"[\s^=,.;:/\\()\[\]]+")
_HAN = re.compile(r"[\u3400-\u9fff]+")
_LATIN_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_LEAST, _ANYWHERE, _TYPO = 3, 5, 6
"""Letters of a name from which on it is looked for as a word, within words, and with one letter wrong."""

_TITLES = "(?=某|先生|女士|小姐|老师|同志|主任|医生|阿姨|叔叔|大爷|奶奶|爷爷|总|工)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Names, numbers, days of birth (ISO), and other texts (addresses, telephones, e-mail) of one patient.

    `patient` is the patient's id, `accessions` are numbers of orders: their pseudonyms are those of the DICOM
    files. Names of doctors may stand among `names` too.
    """

    patient: str = ""
    names: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    accessions: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def name_parts(name: str) -> list[str]:
    """Return the words of a name that may be looked for.

    >>> name_parts("van der Berg^Anna^^Dr="), name_parts("张^伟")
    (['van', 'der', 'Berg', 'Anna'], ['张', '伟'])
    """
    return [
        part for part in _PARTS.split(name) if part and part.lower() not in ("dr", "mr", "mrs", "ms", "prof")
    ]


def find_known(text: str, known: Known) -> Iterator[Found]:
    """Yield where something known of the patient stands in a folded text, with its accents or without."""
    with_accents = _folded(known)
    yield from _find(text, with_accents)
    plain = bare(text)
    without = _bare(with_accents)
    if plain != text or without != with_accents:
        yield from _find(plain, without)


@lru_cache(maxsize=256)
def _folded(known: Known) -> Known:
    """Return what is known as texts are read: folded."""
    return _each(known, lambda text: fold(text).text)


@lru_cache(maxsize=256)
def _bare(known: Known) -> Known:
    """Return folded values without their accents."""
    return _each(known, bare)


def _each(known: Known, change: Callable[[str], str]) -> Known:
    """Return what is known with every value changed."""
    patient, *others = astuple(known)
    names, numbers, accessions, dates, texts = (tuple(map(change, values)) for values in others)
    return Known(
        patient=change(patient),
        names=names,
        numbers=numbers,
        accessions=accessions,
        dates=dates,
        texts=texts,
    )


def _find(text: str, known: Known) -> Iterator[Found]:
    """Yield where values stand in a text that is read as they are."""
    for name, kind, pattern, capital in _patterns(known):
        for match in pattern.finditer(text):
            if not capital or match[0][:1].isupper():
                yield Found(start=match.start(), end=match.end(), kind=kind, recogniser=name, score=1.0)
    yield from _misspelt(text, known)
    yield from _from_pinyin(text, known)


@lru_cache(maxsize=256)
def _patterns(known: Known) -> tuple[tuple[str, Kind, re.Pattern[str], bool], ...]:
    made: list[tuple[str, Kind, str, bool]] = []
    for name in known.names:
        made += _of_name(name)
    for number in (known.patient, *known.numbers, *known.accessions):
        made += _of_number(number)
    for day in known.dates:
        made += _of_day(day)
    for other in known.texts:
        made += _of_text(other)
    return tuple((name, kind, re.compile(form, re.IGNORECASE), capital) for name, kind, form, capital in made)


def _of_name(name: str) -> Iterator[tuple[str, Kind, str, bool]]:
    """Yield the patterns of a name: each of its words, its initials, and Chinese ones in pinyin."""
    parts = name_parts(name)
    if han := "".join(part for part in parts if _HAN.fullmatch(part)):
        yield from (("known_name", Kind.NAME, form, False) for form in _of_han(han))
    latin = [part for part in parts if not _HAN.search(part)]
    for part in latin:
        look, spread = look_of(part), rf"(?:{_SIGN}|{_WRAP})?".join(map(re.escape, part))
        if len(part) >= _ANYWHERE and not look.word:
            yield "known_name", Kind.NAME, spread, False
        elif len(part) >= _LEAST and not look.particle:
            broken = rf"(?:{_WRAP})?".join(map(re.escape, part))
            yield "known_name", Kind.NAME, rf"(?<![^\W\d_]){broken}(?![^\W\d_])", look.word
    firsts = [part[0] for part in latin if len(part) > 1]
    if len(firsts) == 2:
        for one, other in (firsts, firsts[::-1]):
            yield (
                "known_initials",
                Kind.NAME,
                rf"(?<![A-Za-z.])(?-i:{one.upper()}\. ?{other.upper()}\.)(?![A-Za-z])",
                True,
            )


def _of_han(name: str) -> Iterator[str]:
    """Yield the patterns of a Chinese name: with spaces, its given name alone, before a title, in pinyin."""
    yield rf"(?:\s{{0,2}}|{_SIGN}|{_WRAP})".join(name)
    surname = surname_of(name) or name[0]
    given = name[len(surname) :]
    if len(given) == 2 and not is_word(given):
        yield rf"(?:{_WRAP})?".join(given)
    yield rf"{surname}{_TITLES}"
    if given:
        sounds = [
            [*map("".join, product(*(sorted(readings(c)) or [""] for c in part)))]
            for part in (surname, given)
        ]
        for last, first in product(*sounds):
            if last and first:
                spread = rf"(?:[ '-]|{_WRAP})?".join(in_syllables(first) or (first,))
                yield rf"(?<![A-Za-z]){last}(?:[ ,^]{{0,2}}|,?{_WRAP}){spread}(?![A-Za-z])"
                yield rf"(?<![A-Za-z]){spread}(?:[ ,^]{{0,2}}|,?{_WRAP}){last}(?![A-Za-z])"


def _of_number(number: str) -> Iterator[tuple[str, Kind, str, bool]]:
    """Yield the pattern of a number of four characters or more, with any separators and leading zeros."""
    bare = re.sub(r"[\W_]", "", number)
    if len(bare) >= 4 and any(char.isdigit() for char in bare):
        core = bare.lstrip("0") or bare
        if len(core) >= 4:
            sign = _SIGN if len(core) >= _TYPO else "[ ./_-]"  # 1,2,3,4 is a list
            yield (
                "known_number",
                Kind.ID,
                r"(?<![0-9])0*" + rf"(?:{sign}|{_WRAP})?".join(map(re.escape, core)),
                False,
            )


def _of_day(day: str) -> Iterator[tuple[str, Kind, str, bool]]:
    """Yield a day of birth as figures without separators, in the orders in use."""
    try:
        one = date.fromisoformat(day)
    except ValueError:
        return
    for form in ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%m%d%y"):
        yield "known_birth_date", Kind.ID, rf"(?<!\d){one:{form}}(?!\d)", False


def _of_text(text: str) -> Iterator[tuple[str, Kind, str, bool]]:
    """Yield the patterns of an address, telephone number or e-mail address, in whole and in part."""
    if "@" in text:
        yield "known_email", Kind.EMAIL, re.escape(text.strip()), False
        return
    figures = re.sub(r"\D", "", text)
    if len(figures) >= 7 and not re.search(r"[^\W\d_]", text):
        last = rf"(?:[ ()./+-]{{0,2}}|{_SIGN}|{_WRAP})".join(figures[-7:])
        for first in (r"(?:\+?\d[\d ()./\r\n-]{0,14}?)?", rf"(?:\d{_SIGN}){{1,8}}"):
            yield "known_phone", Kind.PHONE, rf"{first}{last}(?!\d)", False
        return
    for part in re.split(r"[,;\n\uff0c\uff1b]+", text):
        words = part.split()
        if len("".join(words)) >= 6 and (
            any(char.isdigit() for char in part) or len(words) > 1 or _HAN.search(part)
        ):
            yield "known_address", Kind.ADDRESS, rf"(?:\s{{0,2}}|{_WRAP})".join(map(re.escape, words)), False
        for place in re.finditer("[省市区县]", part):
            tail = part[place.end() :]
            if re.fullmatch(r"[\u3400-\u9fff]{2,}\d[\u3400-\u9fff\d]*", tail):
                yield "known_address", Kind.ADDRESS, rf"(?:{_WRAP})?".join(tail), False


def _misspelt(text: str, known: Known) -> Iterator[Found]:
    """Yield words no list knows that differ from a name in one letter."""
    names = [p.lower() for name in known.names for p in name_parts(name) if len(p) >= _TYPO and p.isascii()]
    if not names:
        return
    for match in _LATIN_WORD.finditer(text):
        word = match[0].lower()
        if (
            len(word) >= _TYPO - 1
            and not look_of(match[0]).word
            and any(_is_near(word, name) for name in names)
        ):
            yield Found(
                start=match.start(), end=match.end(), kind=Kind.NAME, recogniser="known_misspelt", score=0.95
            )


def _is_near(one: str, other: str) -> bool:
    """Tell whether two words differ in one letter: changed, missing, or two exchanged.

    >>> _is_near("annemraie", "annemarie"), _is_near("annmarie", "annemarie"), _is_near("anna", "annemarie")
    (True, True, False)
    """
    if one == other or abs(len(one) - len(other)) > 1:
        return one == other
    if len(one) > len(other):
        one, other = other, one
    i = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return one[i:] == other[i + 1 :]
    return one[i + 1 :] == other[i + 1 :] or (
        one[i : i + 2] == other[i : i + 2][::-1] and one[i + 2 :] == other[i + 2 :]
    )


def _from_pinyin(text: str, known: Known) -> Iterator[Found]:
    """Yield Chinese characters that are read as a name known in pinyin."""
    for name in known.names:
        parts = [part.lower().replace("-", "").replace("'", "") for part in name_parts(name)]
        if len(parts) != 2 or not all(part.isascii() and part.isalpha() for part in parts):
            continue
        for order in (parts, parts[::-1]):
            syllables = [s for part in order for s in in_syllables(part)]
            if not 2 <= len(syllables) <= 4 or "".join(syllables) != "".join(order):
                continue
            for match in _HAN.finditer(text):
                yield from _read_as(match.start(), match[0], syllables)


def _read_as(start: int, run: str, syllables: list[str]) -> Iterator[Found]:
    n = len(syllables)
    for i in range(len(run) - n + 1):
        part = run[i : i + n]
        if (
            surname_of(part)
            and not is_word(part)
            and all(s in readings(c) for c, s in zip(part, syllables, strict=True))
        ):
            yield Found(
                start=start + i, end=start + i + n, kind=Kind.NAME, recogniser="known_pinyin", score=1.0
            )
