"""Who a file itself says that it is about: names and numbers that must not stand anywhere else in it.

Table E.1-1 names where identity belongs. Where somebody wrote it elsewhere, such as in a code's meaning, it
is found by what the file says of its own people, and taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from huizhen.data.deidentify.elements import texts_of, vr_of

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
_LONG = 5
"""Letters from which on a name is looked for within words."""

_PARTS = re.compile(r"[\s^=,.;:/\\\-_()\[\]]+")
_PLAIN = frozenset(
    "anonymous anonymized anonymised unknown none removed test patient name first last mid pre".split()  # noqa: SIM905  # shorter to read
)
_HAN = re.compile(r"[㐀-鿿豈-﫿]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """Lower-case `names` (words of names of persons) and `numbers` (their ids) of one file."""

    names: frozenset[str]
    numbers: frozenset[str]

    def found_in(self, text: str) -> bool:
        """Tell whether a name or a number stands in `text`: short names as a word only, all else anywhere.

        >>> who = Identifiers(names=frozenset({"simpson"}), numbers=frozenset({"00007041776"}))
        >>> who.found_in("Chest of SIMPSON"), who.found_in("id00007041776x"), who.found_in("chest")
        (True, True, False)
        >>> Identifiers(names=frozenset({"ray", "weber"}), numbers=frozenset()).found_in("X-rays, FrauWeber")
        True
        """
        lower = text.lower()
        if any(number in lower for number in self.numbers):
            return True
        if not self.names:
            return False
        return not self.names.isdisjoint(_PARTS.split(lower)) or any(
            name in lower for name in self.names if len(name) >= _LONG or _HAN.match(name)
        )


def identifiers_of(dataset: Dataset) -> Identifiers:
    """Return the names and numbers in a dataset and everything below it.

    A word of a name counts from three letters, or two Chinese characters, on; a number from four characters
    with a digit on.
    """
    names: set[str] = set()
    numbers: set[str] = set()
    for number, text in _said(dataset):
        if number:
            if len(text) >= 4 and any(char.isdigit() for char in text):
                numbers.add(text.lower())
        else:
            names.update(part for part in _PARTS.split(text.lower()) if _is_name(part))
    return Identifiers(names=frozenset(names), numbers=frozenset(numbers))


def _said(dataset: Dataset) -> Iterator[tuple[bool, str]]:
    """Yield (whether it is a number, text) of all that names somebody."""
    for tag in list(dataset.keys()):
        vr = vr_of(dataset, tag)
        if vr == "SQ" and not tag.is_private:
            for item in dataset[tag].value or ():
                yield from _said(item)
        elif vr == "PN" or tag in _NUMBERS:
            yield from ((tag in _NUMBERS, text.strip()) for text in texts_of(dataset, tag))


def _is_name(part: str) -> bool:
    """Tell whether a lower-case part of a name may tell who somebody is."""
    if part in _PLAIN or part.isdigit():
        return False
    return len(part) >= (2 if _HAN.match(part) else 3)
