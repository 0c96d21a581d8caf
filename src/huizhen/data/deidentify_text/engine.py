"""Presidio's analyser with recognisers of this room and those of its own that need no network and no model.

spaCy's blank pipelines split words only; nothing is downloaded. Presidio's recognisers of e-mail and web
addresses ask tldextract, which fetches a list from the network, so this room has its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from huizhen.data.deidentify_text.address_forms_zh import find_address_forms
from huizhen.data.deidentify_text.again import find_again, find_neighbours
from huizhen.data.deidentify_text.contacts import find_ages, find_contacts
from huizhen.data.deidentify_text.date_patterns import LUNAR
from huizhen.data.deidentify_text.dates import find_dates
from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.known import Known, find_known
from huizhen.data.deidentify_text.labelled import find_labelled
from huizhen.data.deidentify_text.numbers import find_numbers
from huizhen.data.deidentify_text.overlaps import beside, resolved
from huizhen.data.deidentify_text.persons import find_persons
from huizhen.data.deidentify_text.persons_zh import find_persons_zh
from huizhen.data.deidentify_text.places import find_places
from huizhen.data.deidentify_text.places_zh import find_places_zh
from huizhen.errors import InvalidInputError

__all__ = ["LANGUAGES", "find_all", "load_engine"]

LANGUAGES = ("en", "zh")
WINDOW, OVERLAP = 8_000, 400
"""A long text is read in windows of so many characters, which overlap by so many.

Some recognisers, and presidio itself, take longer than in proportion: never beyond a window.
"""

_SHORTLY = 100
"""Characters before which a window ends or begins between two words."""

_HAN = re.compile(r"[\u3400-\u9fff]")
_TAG = re.compile(r"\[(?:" + "|".join(kind.name for kind in Kind) + r")\]")
_REGIONS = ("US", "GB", "DE", "FR", "CN")
_STOCK = {"CREDIT_CARD": Kind.ACCOUNT, "IBAN_CODE": Kind.ACCOUNT, "PHONE_NUMBER": Kind.PHONE}
"""Entities of presidio's own recognisers that are taken."""

_LEAST_FIGURES = 7
"""Of a telephone number that presidio finds."""

Finder = Callable[[str], Iterable[Found]]


def _find_dates(text: str) -> Iterator[Found]:
    for one in find_dates(text):
        yield Found(start=one.start, end=one.end, kind=Kind.DATE, recogniser="date", score=one.score)
    for match in LUNAR.finditer(text):
        yield Found(start=match.start(), end=match.end(), kind=Kind.DATE, recogniser="date_lunar", score=0.92)


_FINDERS: dict[str, tuple[tuple[str, Finder], ...]] = {
    "en": (
        ("labelled", find_labelled),
        ("numbers", find_numbers),
        ("contacts", find_contacts),
        ("ages", find_ages),
        ("dates", _find_dates),
        ("places", find_places),
        ("persons", find_persons),
    ),
    "zh": (
        ("places_zh", find_places_zh),
        ("persons_zh", find_persons_zh),
        ("address_forms_zh", find_address_forms),
    ),
}
"""Those under "en" read texts of any language; those under "zh" texts with Chinese characters only."""


@cache
def load_engine() -> Any:
    """Return presidio's analyser with this room's recognisers, for both languages.

    Raises `InvalidInputError` where presidio isn't installed.
    """
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
        from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import (
            CreditCardRecognizer,
            IbanRecognizer,
            PhoneRecognizer,
        )
    except ImportError as error:
        raise InvalidInputError(
            "cleaning texts needs presidio, which isn't installed", remedy="pip install 'huizhen[deid]'"
        ) from error

    class Blank(SpacyNlpEngine):
        """spaCy's pipelines without a model."""

        def load(self) -> None:
            self.nlp: Any = {language: spacy.blank(language) for language in LANGUAGES}

    class AsFound(ContextAwareEnhancer):
        """Leaves scores as they are: this room's recognisers read the words around a value themselves."""

        def __init__(self) -> None:
            super().__init__(0.0, 0.0, 0, 0)

        def enhance_using_context(self, text: str, raw_results: Any, *_: Any, **__: Any) -> Any:
            return raw_results

    class Own(EntityRecognizer):
        """A finder of this room as presidio calls it."""

        def __init__(self, name: str, find: Finder, language: str) -> None:
            self.find = find
            super().__init__([kind.value for kind in Kind], name=name, supported_language=language)

        def load(self) -> None:
            """Load nothing: the tables are read when they are needed."""

        def analyze(self, text: str, entities: Any, nlp_artifacts: Any = None) -> list[Any]:
            return [
                RecognizerResult(
                    one.kind.value,
                    one.start,
                    one.end,
                    one.score,
                    recognition_metadata=_said(one.recogniser, self),
                )
                for one in self.find(text)
            ]

    def _said(name: str, recogniser: Any) -> dict[str, str]:
        said = RecognizerResult.RECOGNIZER_IDENTIFIER_KEY, RecognizerResult.RECOGNIZER_NAME_KEY
        return {said[0]: recogniser.id, said[1]: name}

    registry = RecognizerRegistry(supported_languages=list(LANGUAGES))
    for language, finders in _FINDERS.items():
        for name, find in finders:
            registry.add_recognizer(Own(name, find, language))
    for stock in (CreditCardRecognizer(), IbanRecognizer(), PhoneRecognizer(supported_regions=_REGIONS)):
        registry.add_recognizer(stock)
    return AnalyzerEngine(
        registry=registry,
        nlp_engine=Blank(),
        supported_languages=list(LANGUAGES),
        default_score_threshold=0.0,
    )


@cache
def _no_words(language: str) -> Any:
    """Return what presidio takes for a text cut into words: none of these recognisers reads it."""
    return load_engine().nlp_engine.process_text("", language)


def find_all(text: str, known: Known | None = None, *, unknown: bool = True) -> list[Found]:
    """Return the identifiers of a folded text as spans that don't overlap, in order.

    What `known` says of the patient counts most; `unknown` takes words with a capital that no list knows for
    names. Raises `InvalidInputError` without presidio.

    >>> text = "Dr. Okonkwo, tel. 020 7946 0018"
    >>> [(one.kind.value, text[one.start : one.end]) for one in find_all(text)]
    [('name', 'Okonkwo'), ('phone', '020 7946 0018')]
    """
    found = [one for one in _in_windows(text) if unknown or one.recogniser != "name_unknown"]
    if known is not None:
        found += find_known(text, known)
    tags = [match.span() for match in _TAG.finditer(text)]
    found = list(beside(found, tags))
    again = [*found, *find_again(text, resolved(found, text))]
    near = list(find_neighbours(text, resolved(again, text)))
    again += [*near, *find_again(text, near)]
    return resolved((_without_genitive(one, text) for one in beside(again, tags)), text)


def _without_genitive(one: Found, text: str) -> Found:
    """Return a name without the 's at its end."""
    if one.kind is Kind.NAME and one.end - one.start > 3 and text[one.end - 2 : one.end].lower() == "'s":
        return replace(one, end=one.end - 2)
    return one


def _in_windows(text: str) -> Iterator[Found]:
    """Yield what the analyser finds, a window at a time."""
    start = 0
    while True:
        end = _edge(text, start + WINDOW)
        part = text[start:end]
        for one in _analysed(part):
            yield Found(
                start=one.start + start,
                end=one.end + start,
                kind=one.kind,
                recogniser=one.recogniser,
                score=one.score,
            )
        if end >= len(text):
            return
        start = _edge(text, end - OVERLAP)


def _edge(text: str, place: int) -> int:
    """Return a place between words at or shortly before another: a window begins and ends there."""
    if place >= len(text):
        return len(text)
    return next((i for i in range(place, place - _SHORTLY, -1) if not text[i - 1 : i + 1].isalnum()), place)


def _analysed(text: str) -> Iterator[Found]:
    """Yield what presidio's analyser finds in one window."""
    engine = load_engine()
    for language in LANGUAGES:
        if language == "zh" and not _HAN.search(text):
            continue
        for result in engine.analyze(text, language, nlp_artifacts=_no_words(language)):
            kind = _STOCK.get(result.entity_type)
            if kind is Kind.PHONE and sum(map(str.isdigit, text[result.start : result.end])) < _LEAST_FIGURES:
                continue
            name = result.recognition_metadata["recognizer_name"]
            score = result.score if kind is None else min(result.score, 0.6)
            yield Found(
                start=result.start,
                end=result.end,
                kind=kind or Kind(result.entity_type),
                recogniser=name if kind is None else f"presidio_{result.entity_type.lower()}",
                score=score,
            )
