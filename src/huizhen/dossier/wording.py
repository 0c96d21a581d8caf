"""Texts in both languages at once: the page holds English and Chinese, a switch shows one.

>>> say("cohort.internal").zh
'内部测试集'
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import ClassVar

from huizhen.core.words import Language, load_words, word

PACKAGE = "huizhen.dossier"
CODES = {Language.EN: "en", Language.ZH: "zh-Hans"}
"""The language tags of the page (BCP 47)."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text in English and Chinese."""

    en: str
    zh: str
    kind: ClassVar[str] = "text"

    @classmethod
    def both(cls, text: str) -> Text:
        """Return a text that is the same in both languages: a name, a number, a quotation."""
        return cls(text, text)

    def to_json(self) -> dict[str, str]:
        """Return both languages by code."""
        return {"en": self.en, "zh": self.zh}


def say(key: str, **values: object) -> Text:
    """Return the word `key` in both languages, `{name}` filled from `values` (a `Text` by language).

    Raises `InvalidInputError` on a key or a value that the words lack.

    >>> say("size.patient", n="213").en
    'n=213 patients'
    """

    def fill(language: Language) -> str:
        chosen = {k: getattr(v, language.value) if isinstance(v, Text) else v for k, v in values.items()}
        return word(PACKAGE, language, key, **chosen)

    return Text(fill(Language.EN), fill(Language.ZH))


def known(key: str) -> bool:
    """Tell whether the words hold `key`."""
    return key in load_words(PACKAGE, Language.EN)


def say_or(key: str, otherwise: str) -> Text:
    """Return the word `key`, or `otherwise` in both languages when the words lack it."""
    return say(key) if known(key) and "{" not in say_raw(key) else Text.both(otherwise)


def say_raw(key: str) -> str:
    """Return the English word `key` with its `{name}`s unfilled."""
    return load_words(PACKAGE, Language.EN)[key]


def join(*texts: Text, by: Text | None = None) -> Text:
    """Return the texts one after another, separated by `by`.

    >>> join(Text("a", "甲"), Text("b", "乙"), by=Text(", ", "，")).zh
    '甲，乙'
    """
    between = by or Text.both("")
    return Text(between.en.join(t.en for t in texts), between.zh.join(t.zh for t in texts))


def listed(texts: list[Text]) -> Text:
    """Return the texts as a list within a sentence."""
    return join(*texts, by=Text(", ", "、"))


def pieces(key: str, language: Language) -> list[tuple[str, str | None]]:
    """Return the word `key` cut at its `{name}`s: (fixed text, the name after it or None) in order."""
    template = load_words(PACKAGE, language)[key]
    return [(fixed, name) for fixed, name, _, _ in Formatter().parse(template)]
