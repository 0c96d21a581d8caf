"""Who a file itself says that it is about: names and numbers that must not stand anywhere else in it.

Table E.1-1 names where identity belongs. Where somebody wrote it elsewhere, such as in a code's meaning, it
is found by what the file says of its own people, and taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from pydicom.dataset import Dataset

from huizhen.data.deidentify.birth_days import figures_of, written
from huizhen.data.deidentify.elements import texts_of, vr_of
from huizhen.data.deidentify_text.folding import bare, fold
from huizhen.data.deidentify_text.pinyin import readings

__all__ = ["Identifiers", "identifiers_of"]

_NUMBERS = frozenset(
    {
        0x00080050,  # Accession Number
        0x00100020,  # Patient ID
        0x00101000,  # Other Patient IDs
        0x00101090,  # Medical Record Locator
        0x00102154,  # Patient's Telephone Numbers
        0x00380010,  # Admission ID
        0x00401001,  # Requested Procedure ID
        0x00402016,  # Placer Order Number
        0x00402017,  # Filler Order Number
    }
)
_BIRTH, _PHONE = 0x00100030, 0x00102154
_OWN = frozenset({0x00100020, 0x00101000})
"""Ids that a patient has in all files: accession and order numbers differ."""
_LONG, _JOINED = 5, 6
"""Letters from which on a name is looked for within words, and across the signs between them."""

_WITHIN = 6
"""Figures from which on a number is looked for within values that are numbers themselves."""
_WHOLE, _COMPONENT = 5, 4
"""Figures from which on a number is looked for as a whole number, and as a whole component of a UID: shorter
ones are there by chance, and a series' one image without its number would tell the id."""

_DECIMAL = re.compile(r"[+-]?\d*\.?\d*(?:e[+-]?\d+)?")
_BETWEEN = re.compile(r"[\W_]+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})

_PARTS = re.compile(r"[\s^=,.;:/\\\-_()\[\]]+")
_PLAIN = frozenset(
    "anonymous anonymized anonymised unknown none removed test patient name first last mid pre".split()  # noqa: SIM905  # shorter to read
)
_HAN = re.compile(r"[㐀-鿿豈-﫿]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """Lower-case `names` (words of names of persons; two words for short ones) and `numbers` of one file.

    Numbers are ids, days of birth and telephone numbers, without what stands between their figures; `own` are
    those that the patient has in every file, `short` ids of one to three characters, `born` days (YYYYMMDD).
    """

    names: frozenset[str]
    numbers: frozenset[str]
    own: frozenset[str] = frozenset()
    short: frozenset[str] = frozenset()
    born: frozenset[str] = frozenset()

    def found_in(self, text: str) -> bool:
        """Tell whether a name or a number stands in `text`: short names as a word only, all else anywhere.

        Signs nobody sees, other widths, accents, and what stands between letters or figures hide nothing.

        >>> who = Identifiers(names=frozenset({"simpson"}), numbers=frozenset({"00007041776"}))
        >>> who.found_in("Chest of SIMPSON"), who.found_in("id0000-7041-776x"), who.found_in("chest")
        (True, True, False)
        >>> Identifiers(names=frozenset({"ray", "weber"}), numbers=frozenset()).found_in("X-rays, FrauWeber")
        True
        """
        lower = _read(text)
        joined = "" if _DECIMAL.fullmatch(lower.strip()) else _BETWEEN.sub("", lower)
        if any(number in lower or (len(number) >= _LONG and number in joined) for number in self.numbers):
            return True
        if lower.strip() in self.short or any(written(lower, day) for day in self.born):
            return True
        words = _PARTS.split(lower)
        return not self.names.isdisjoint(words) or any(
            _stands(name, lower, joined, f" {' '.join(words)} ") for name in self.names
        )

    def found_in_number(self, text: str) -> bool:
        """Tell whether a number of six figures or more stands in a whole number, or one of five is all of it.

        One with leading zeros is found from four on, if it is written as the id is.

        >>> who = Identifiers(names=frozenset(), numbers=frozenset({"4711882", "0512", "20815"}))
        >>> [who.found_in_number(text) for text in ("4711882.0", "0.471188", "512", "0512", "20815")]
        [True, False, False, True, True]
        """
        whole = text.strip().split(".")[0].lstrip("+-")
        return any(
            one in whole
            if len(one := number.lstrip("0")) >= _WITHIN
            else whole == number and len(number) >= (_WHOLE if one == number else _COMPONENT)
            for number in self.numbers
        )

    def found_in_uid(self, uid: str, *, own: bool) -> bool:
        """Tell whether a number stands in a UID: from four figures on as a component, from six on within one.

        `own` looks only for what the patient has in all files, so that a UID is mapped in all or none.

        >>> who = Identifiers(names=frozenset(), numbers=frozenset({"4711", "ACC123456"}))
        >>> [who.found_in_uid(uid, own=False) for uid in ("1.2.4711.3", "1.2.47113")]
        [True, False]
        """
        parts = uid.strip("\0 ").split(".")
        looked_for = [one for number in (self.own if own else self.numbers) if (one := number.lstrip("0"))]
        return any(
            one in parts if len(one) < _WITHIN else any(one in part for part in parts)
            for one in looked_for
            if len(one) >= _COMPONENT
        )

    def found_in_bytes(self, data: bytes) -> bool:
        """Tell whether a longer name or number stands in bytes, in UTF-8, UTF-16 or GB 18030, in any case.

        >>> who = Identifiers(names=frozenset({"weber"}), numbers=frozenset())
        >>> who.found_in_bytes("Weber".encode("utf-16-le")), who.found_in_bytes(bytes(range(256)))
        (True, False)
        """
        lower = data.lower()
        longer = [one for one in (*self.names, *self.numbers) if len(one.encode()) >= _JOINED - 1]
        codings = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
        patterns = {one.encode(coding) for one in longer for coding in codings}
        return any(len(one) >= _JOINED - 1 and one in lower for one in patterns)


def _stands(name: str, lower: str, joined: str, words: str) -> bool:
    """Tell whether a name stands in a text that is given as it is read, joined, and as words."""
    if _HAN.match(name):
        return name in lower or name in joined
    if " " in name and f" {name} " in words:
        return True
    bare_name = name.replace(" ", "")
    return (len(name) >= _LONG and name in lower) or (len(bare_name) >= _JOINED and bare_name in joined)


def _read(text: str) -> str:
    """Return a text in lower case, folded and without accents."""
    if text.isascii() and text.isprintable():
        return text.lower()
    return bare(fold(text).text).lower()


def identifiers_of(dataset: Dataset) -> Identifiers:
    """Return the names and numbers in a dataset and everything below it.

    A word of a name counts from three letters, or two Chinese characters, on; a number from four characters
    with a digit on. Chinese names count in pinyin too.
    """
    names: set[str] = set()
    numbers: dict[str, bool] = {}
    born: set[str] = set()
    for tag, text in _said(dataset):
        if tag == _BIRTH:
            born |= {text} if figures_of(text) else set()
            numbers |= dict.fromkeys(figures_of(text), True)
        elif tag in _NUMBERS:
            number = _BETWEEN.sub("", _read(text))
            number = number[-9:] if tag == _PHONE and number.isdigit() else number
            if any(char.isdigit() for char in number):
                numbers[number] = numbers.get(number, False) or tag in _OWN
        else:
            names.update(_names(text))
    long = {number: own for number, own in numbers.items() if len(number) >= 4}
    return Identifiers(
        names=frozenset(names),
        numbers=frozenset(long),
        own=frozenset(number for number, own in long.items() if own),
        short=frozenset(number for number, own in numbers.items() if own and len(number) < 4),
        born=frozenset(born),
    )


def _said(dataset: Dataset) -> Iterator[tuple[int, str]]:
    """Yield (tag, text) of all that names somebody; 0 for the tag of a name."""
    for tag in list(dataset.keys()):
        vr = vr_of(dataset, tag)
        if vr == "SQ" and not tag.is_private:
            for item in dataset[tag].value or ():
                yield from _said(item)
        elif vr == "PN" or tag in _NUMBERS or tag == _BIRTH:
            named = int(tag) if tag in _NUMBERS or tag == _BIRTH else 0
            yield from ((named, text.strip()) for text in texts_of(dataset, tag))


def _names(text: str) -> Iterator[str]:
    """Yield what a person's name is looked for as: its words, short ones in pairs, Chinese ones in pinyin."""
    for group in text.split("="):
        lower = _read(group)
        words = {*_PARTS.split(lower), *_PARTS.split(group.lower())}
        yield from filter(_is_name, (*words, *(word.translate(_UMLAUTS) for word in words)))
        parts = [part for part in _PARTS.split(lower) if part]
        if all(_HAN.match(part) for part in parts):
            yield from _in_pinyin("".join(parts))
        elif len(parts) == 2 and max(map(len, parts)) < 3:
            yield from (" ".join(parts), " ".join(parts[::-1]))


def _in_pinyin(name: str) -> Iterator[str]:
    """Yield a Chinese name, and how it is read, the surname of one or two characters first or last."""
    if not 2 <= len(name) <= 4:
        return
    yield name
    for read in product(*(sorted(readings(char)) for char in name)):
        for at in (1, 2) if len(read) > 2 else (1,):
            last, first = "".join(read[:at]), "".join(read[at:])
            yield from (f"{last} {first}", f"{first} {last}")


def _is_name(part: str) -> bool:
    """Tell whether a lower-case part of a name may tell who somebody is."""
    if part in _PLAIN or part.isdigit():
        return False
    return len(part) >= (2 if _HAN.match(part) else 3)
