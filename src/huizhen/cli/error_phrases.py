"""One text of an error in both languages, and how the English one is recognised with its values.

>>> next(Phrase.of("no column {} in {}", "{1} 中没有列 {0}").values("no column age in a.csv"))
('age', 'a.csv')
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter

__all__ = ["Phrase", "parse_template", "plain"]


def plain(text: str) -> str:
    """Return a text without the stop or colon at its end, as templates are kept.

    >>> plain("it is too long.")
    'it is too long'
    """
    return text.rstrip(" .:")


def parse_template(template: str) -> list[tuple[str, str | None, str]]:
    """Return a template's parts: the literal text, then the name of the value after it and its mark.

    >>> parse_template("{} of {0:list}.")
    [('', '', ''), (' of ', '0', 'list'), ('.', None, '')]
    """
    return [(literal, name, mark or "") for literal, name, mark, _ in Formatter().parse(template)]


@dataclass(frozen=True, slots=True)
class Phrase:
    """One template in both languages; `literals` are the English texts around its values."""

    literals: tuple[str, ...]
    chinese: str
    weight: int
    """How many characters the template says itself; the more, the more certain a match is."""

    @classmethod
    def of(cls, english: str, chinese: str) -> Phrase:
        """Return the phrase of a catalogue's entry."""
        parts = parse_template(english)
        last = [""] if not parts or parts[-1][1] is not None else []
        literals = [literal for literal, _, _ in parts] + last
        return cls(tuple(literals), chinese, sum(len(literal.strip()) for literal in literals))

    def values(self, text: str) -> Iterator[tuple[str, ...]]:
        """Yield what `text` holds in place of the values: as short as can be from the left, from the right.

        >>> list(Phrase.of("{} ({})", "{0}（{1}）").values("a (b) (c)"))
        [('a', 'b) (c'), ('a (b)', 'c')]
        """
        first, *between, last = self.literals
        begins = text[:1].lower() == first[:1].lower() and text.startswith(first[1:], 1) if first else True
        if begins and text.endswith(last) and len(text) >= len(first) + len(last):
            inner = text[len(first) : len(text) - len(last)]
            found = [_between(inner, between), _between_from_right(inner, between)]
            yield from dict.fromkeys(values for values in found if values is not None)


def _between(text: str, literals: list[str]) -> tuple[str, ...] | None:
    """Return what stands around the literals, each at its first place, or None if one is absent."""
    values: list[str] = []
    for literal in literals:
        value, found, text = text.partition(literal) if literal else ("", "found", text)
        if not found:
            return None
        values.append(value)
    return (*values, text)


def _between_from_right(text: str, literals: list[str]) -> tuple[str, ...] | None:
    """Return the same with each literal at its last place."""
    values: list[str] = []
    for literal in reversed(literals):
        text, found, value = text.rpartition(literal) if literal else (text, "found", "")
        if not found:
            return None
        values.append(value)
    return (text, *reversed(values))
