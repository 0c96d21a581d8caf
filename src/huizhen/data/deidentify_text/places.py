"""Addresses and institutions in Latin letters: streets and postcodes of the US, the UK and Europe, hospitals."""
# ruff: noqa: E501 - patterns and lists of words, one a line

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.tables import load_table, words_of

__all__ = ["find_places"]

_CAP = r"(?<!\w)[A-ZÀ-ÖØ-Þ][\w'.-]{0,40}"
_UNIT = r"(?:Flat|Apt|Apartment|Unit|Suite|Ste|Room|Rm|Floor|Building|Bldg|House|Block)"
_UK_CODE = r"(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d|[A-HK-Y]\d\d|\d[A-HJKPSTUW]|[A-HK-Y]\d[ABEHMNPRV-Y]) ?\d[ABD-HJLNP-UW-Z]{2})"
_STOP = r"(?=[.;\n]|,? (?:and|with|where|since|who|tel|phone|call)\b|$)"


@cache
def _rules() -> tuple[tuple[str, Kind, re.Pattern[str], float], ...]:
    """Return the patterns, the widest forms first."""
    table = load_table("places")
    street, state = re.sub(r"\s*\n\s*", "", table["streets"]), table["states"].replace(" ", "|")
    number = r"\d{1,5}(?:[A-Za-z](?![A-Za-z]))?(?:[-/]\d{1,4})?"
    unit = rf"(?:,?\s+(?:{_UNIT}\.?|#)\s?[\w-]{{1,6}})"
    town = rf"(?:,\s*{_CAP}(?:[ -]{_CAP}){{0,2}}(?:,\s*(?:{state})\b(?:\s+\d{{5}}(?:-\d{{4}})?)?)?)"
    forms = (
        (
            "street",
            rf"(?:{_UNIT}\.?\s+[\w-]{{1,5}},?\s+)?\b{number},?\s+(?:[NSEW]{{1,2}}\.?\s+|(?:North|South|East|West)\s+)?"
            rf"(?:{_CAP}\s+|(?:of|the|de|la)\s+){{1,4}}(?:{street})\b\.?(?:\s+[NSEW]{{1,2}}\b)?{unit}?{town}?",
            0.82,
        ),
        ("street_numbered", rf"\b{number}\s+(?:[NSEW]\.?\s+)?\d{{1,3}}(?:st|nd|rd|th)\s+(?:{street})\b\.?{unit}?{town}?", 0.8),
        (
            "street_de",
            r"\b[A-ZÄÖÜ][\wäöüß.-]{0,60}(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|gracht)"
            rf"\s+\d+\s?[a-z]?\b(?:,?\s+(?:D-|A-|CH-)?\d{{4,5}}(?:\s?[A-Z]{{2}})?\s+{_CAP})?",
            0.82,
        ),
        (
            "street_fr",
            r"\b\d{1,4}(?:\s?(?:bis|ter))?,?\s+(?:rue|avenue|boulevard|bd|place|chemin|allée|impasse|quai|route|cours)\s+"
            rf"(?:(?:de\s+la|de|du|des|la|le|les)\s+|[dl]')*{_CAP}(?:[\s-]{_CAP}){{0,3}}(?:,?\s+\d{{5}}\s+{_CAP})?",
            0.82,
        ),
        ("street_es", rf"\b(?:Calle|Avenida|Avda\.|Via|Viale|Piazza|Rua|Ulica|ul\.)\s+(?:(?:de|del|della|di|da)\s+)*{_CAP}(?:\s+{_CAP}){{0,3}},?\s+\d{{1,4}}\b", 0.8),
        ("po_box", rf"\bP\.?\s?O\.?\s?Box\s+\d+\b(?:,\s*{_CAP}(?:[ -]{_CAP}){{0,3}}(?:\s+\d{{4,5}}\b)?)?", 0.85),
        ("postcode_uk", rf"\b{_UK_CODE}\b", 0.75),
        ("postcode_us", rf"\b(?:{state})\s+\d{{5}}(?:-\d{{4}})?\b", 0.82),
    )  # fmt: skip
    lower = (
        ("postcode", r"\b(?:zip(?:\s*code)?|post\s?code|postal\s+code|plz)\s*:?\s*(?P<value>[A-Z0-9][A-Z0-9 -]{2,9}[A-Z0-9])\b", 0.85),
        (
            "address_label",
            r"\b(?:(?:home|mailing|postal|current|permanent)?\s*address|adresse|anschrift|residence)\s*:\s*(?P<value>[^\n;|]{4,120}?)"
            r"(?=\s{3,}|\n|$|\s+(?:tel|phone|mobile|e-?mail|dob|mrn|sex|age)\b)",
            0.8,
        ),
        (
            "address_words",
            r"\b(?:lives?|living|resid(?:es|ing)|staying|dwelling|home\s+is|moved)\s+(?:alone\s+)?(?:at|to|in)\s+"
            r"(?P<value>(?=[^.;\n]*\d)[^.;\n]{4,90}?)(?=[.;\n]|,? (?:and|with|where|since|who|tel|phone|call)\b|$)",
            0.7,
        ),
    )  # fmt: skip
    return (
        *((name, Kind.ADDRESS, re.compile(form), score) for name, form, score in forms),
        *((name, Kind.ADDRESS, re.compile(form, re.IGNORECASE), score) for name, form, score in lower),
    )


@cache
def _institutions() -> tuple[re.Pattern[str], re.Pattern[str]]:
    table = load_table("places")
    after = re.sub(r"\s*\n\s*", "", table["institutions"])
    words = rf"(?:{_CAP}|of|the|and|&|for|de|del)"
    return (
        re.compile(rf"(?P<name>{_CAP}(?:[ ]{words}){{0,5}})[ ](?P<kind>{after})\b(?:[ ]of(?:[ ]the)?(?:[ ]{_CAP}){{1,3}})?"),
        re.compile(rf"\b(?:{table['institutions_before']})[ ](?:(?:de|la|der|des|am|im|zum|St\.|Sankt|Saint)[ ])*{_CAP}(?:[ -]{_CAP}){{0,2}}"),
    )  # fmt: skip


def find_places(text: str) -> Iterator[Found]:
    """Yield addresses and institutions of a folded text in Latin letters.

    >>> text = "St. Mary's Hospital, 12 Mill Lane, Leeds LS1 4QH; the Breast Clinic"
    >>> [(one.kind.value, text[one.start : one.end]) for one in find_places(text)][0]
    ('address', '12 Mill Lane, Leeds LS1')
    """
    for name, kind, pattern, score in _rules():
        for match in pattern.finditer(text):
            group = "value" if "value" in pattern.groupindex else 0
            yield Found(
                start=match.start(group), end=match.end(group), kind=kind, recogniser=name, score=score
            )
    yield from _find_institutions(text)


def _find_institutions(text: str) -> Iterator[Found]:
    """Yield the names of institutions that hold more than words for a kind of place."""
    named, before = _institutions()
    generic = words_of("places", "generic")
    for match in named.finditer(text):
        start = match.start()
        words = match["name"].split(" ")
        while words and words[0].lower().strip(".'") in generic | {"dr", "mr", "mrs", "ms"}:
            start += len(words.pop(0)) + 1
        own = [word for word in words if word.lower().strip(".'") not in generic and word[:1].isupper()]
        if own and start < match.end():
            yield Found(
                start=start, end=match.end(), kind=Kind.INSTITUTION, recogniser="institution", score=0.89
            )
    for match in before.finditer(text):
        yield Found(
            start=match.start(), end=match.end(), kind=Kind.INSTITUTION, recogniser="institution", score=0.89
        )
