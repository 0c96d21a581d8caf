"""Errors and problems in Chinese: an English text is matched to its template, and told by the Chinese one.

The catalogue is `words/errors_zh/<room>.toml`: English templates as they stand in the source, `{}` for each
value, and their Chinese, with `{0}`, `{1}`, ... for the values in the English order. A value that is itself a
known text is told in Chinese too; `{0:list}` marks a value like "a, b or c", `{0:word}` one that may be a
single known word. What no template fits stays English. `huizhen.cli.error_templates` compares the catalogue
with the source.

>>> shown("the table a.csv has no column age", Language.ZH)
'表 a.csv 中没有列 age'
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice

from huizhen.cli.error_phrases import Phrase, parse_template, plain
from huizhen.core.words import Language

__all__ = ["SENTENCE", "Translator", "load_catalogue", "read_catalogue", "shown"]

CANDIDATES = 3
"""How many of the templates that fit are looked into, the longest first."""

DEEPEST = 20
"""How many names, or brackets, may stand before a text that is told."""

MOST = 400
"""How many parts of one line are looked into; a longer one stays English from there."""

WEAK = 9
"""Letters below which a template is only believed where nothing like a sentence is left in its values."""

LIST = re.compile(r"\S+(, \S+)*( (and|or) \S+)+")
"""A value like "a, b or c"."""

SENTENCE = re.compile(r"[A-Za-z]+ [a-z']+ [a-z']+")
"""A value that reads like a sentence in English."""


def shown(text: str, language: Language) -> str:
    """Return an error's English text in `language`."""
    return text if language is Language.EN else _translator().text(text)


@cache
def load_catalogue() -> Mapping[str, str]:
    """Return the Chinese of each English template."""
    return {english: chinese for room in read_catalogue().values() for english, chinese in room.items()}


def read_catalogue() -> dict[str, dict[str, str]]:
    """Return the catalogue by room; a room is the file that its errors' words stand in."""
    folder = files("huizhen.cli") / "words" / "errors_zh"
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    tables = {one.name.removesuffix(".toml"): tomllib.loads(one.read_text(encoding="utf-8")) for one in found}
    return {room: {plain(english): told for english, told in table.items()} for room, table in tables.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A phrase with its values: in Chinese, and how many characters it explains.

    It is `strong` by what it says itself, `sure` if its values leave no sentence in English.
    """

    chinese: str
    said: int
    strong: bool
    sure: bool

    @property
    def may_be(self) -> bool:
        """Whether to believe that the text was this phrase."""
        return self.strong or self.sure


class Translator:
    """Tells English texts by a catalogue of templates."""

    def __init__(self, catalogue: Mapping[str, str]) -> None:
        phrases = [Phrase.of(english, chinese) for english, chinese in catalogue.items()]
        self._whole = {_lowered(one.literals[0]): one for one in phrases if len(one.literals) == 1}
        open_ended = [phrase for phrase in phrases if len(phrase.literals) > 1]
        self._open = sorted(open_ended, key=lambda phrase: -phrase.weight)
        self._near: dict[str, list[Phrase]] = {}
        self._known: dict[str, str | None] = {}
        self._matched: dict[str, str | None] = {}
        self._left = 0

    def text(self, english: str) -> str:
        """Return a text in Chinese, line by line, or as it is."""
        return "\n".join(self._line(line) for line in english.split("\n"))

    def _line(self, line: str) -> str:
        """Return one line with its indentation. What was found out for it is forgotten with the next."""
        self._known, self._matched, self._left = {}, {}, MOST
        inner = line.lstrip()
        return line[: len(line) - len(inner)] + (self._told(inner) or inner)

    def _told(self, text: str) -> str | None:
        """Return a text in Chinese, or None if nothing of it is known."""
        if text not in self._known:
            self._known[text] = self._tell(text)
        return self._known.get(text)

    def _tell(self, text: str) -> str | None:
        """Return a text in Chinese that wasn't asked for before. What it holds is shorter than itself."""
        bare = plain(text)
        if not bare or self._left < 0:
            return None
        told = self._directly(bare)
        if told and text.endswith(":"):
            return f"{told}："
        return told or self._by_parts(bare)

    def _directly(self, text: str) -> str | None:
        """Return the Chinese of a text that is one phrase."""
        if phrase := self._whole.get(_lowered(text)):
            return phrase.chinese.format()
        if text not in self._matched:
            self._left -= 1
            self._matched[text] = self._by_template(text) if self._left >= 0 else None
        return self._matched[text]

    def _by_template(self, text: str) -> str | None:
        """Return the Chinese by the template that says most of a text, with its values that are texts."""
        fitting = islice(self._fitting(text), CANDIDATES)
        believed = [filled for phrase, values in fitting if (filled := self._filled(phrase, values)).may_be]
        best = max(believed, key=lambda one: (one.strong, one.said), default=None)
        return best.chinese if best else None

    def _fitting(self, text: str) -> Iterator[tuple[Phrase, tuple[str, ...]]]:
        """Yield the phrases that a text may be, the longest first, each with its values."""
        letter = text[:1].lower()
        if letter not in self._near:
            self._near[letter] = [one for one in self._open if one.literals[0][:1].lower() in ("", letter)]
        for phrase in self._near[letter]:
            for values in phrase.values(text):
                if self._fits(phrase, values):
                    yield phrase, values

    def _fits(self, phrase: Phrase, values: tuple[str, ...]) -> bool:
        """Tell whether values may be a phrase's: a text behind a name, "seed: is missing", seldom is one."""
        if phrase.weight < WEAK:
            return not any(": " in value for value in values)
        behind = not phrase.literals[0] and ":" in values[0]
        return not behind or self._told(values[0]) is not None

    def _filled(self, phrase: Phrase, values: tuple[str, ...]) -> Filled:
        """Return a phrase's Chinese with its values."""
        chinese, said, sure = "", phrase.weight, True
        for literal, name, mark in parse_template(phrase.chinese):
            chinese += literal
            if name is not None:
                given = values[int(name)]
                told = self._value(given, mark)
                chinese += told
                said += len(given) if " " in given and self._directly(plain(given)) else 0
                sure = sure and not SENTENCE.search(told)
        return Filled(chinese=chinese, said=said, strong=phrase.weight >= WEAK, sure=sure)

    def _value(self, value: str, mark: str) -> str:
        """Return a value as it stands in the Chinese text."""
        if mark == "list" and LIST.fullmatch(value):
            return value.replace(" and ", " 和 ").replace(" or ", " 或 ")
        if mark or " " in value.strip():
            return self._told(value) or value
        return value

    def _by_parts(self, text: str) -> str | None:
        """Return a text in Chinese that is made of known ones."""
        ways = (self._listed, self._in_brackets, self._behind_colon, self._after_name)
        return next((told for way in ways if (told := way(text))), None)

    def _listed(self, text: str) -> str | None:
        """Return "known; known" or "known and known"; of the first, some may be unknown."""
        for separator, chinese, enough in (("; ", "；", any), (" and ", "，且", all)):
            parts = text.split(separator)
            if len(parts) == 1:
                continue
            told = [self._told(part) or self._directly(separator + part) for part in parts]
            if enough(told):
                shown = [new or old for new, old in zip(told, parts, strict=True)]
                return chinese.join(part.removeprefix(chinese) for part in shown)
        return None

    def _in_brackets(self, text: str) -> str | None:
        """Return "known (known)"."""
        openings = list(re.finditer(r" \(", text)) if text.endswith(")") else []
        for found in openings if len(openings) <= DEEPEST else ():
            head, inner = text[: found.start()], text[found.end() : -1]
            told, within = self._told(head), self._told(inner)
            if told and within:
                return f"{told}（{within}）"
        return None

    def _behind_colon(self, text: str) -> str | None:
        """Return "name: known"."""
        name, colon, rest = text.partition(": ")
        told = self._told(rest) if colon and rest.count(colon) < DEEPEST else None
        return f"{self._told(name) or name}：{told}" if told else None

    def _after_name(self, text: str) -> str | None:
        """Return "NAME known text" in Chinese, as in "labels.csv has no row"."""
        name, _, rest = text.partition(" ")
        sure = _lowered(rest) in self._whole or any(one.weight >= WEAK for one, _ in self._fitting(rest))
        told = self._told(rest) if rest and sure else None
        return f"{name} {told}" if told else None


def _lowered(text: str) -> str:
    """Return a text with a small first letter: some messages stand behind others."""
    return text[:1].lower() + text[1:]


@cache
def _translator() -> Translator:
    return Translator(load_catalogue())
