"""`python -m huizhen.cli.error_templates`: what errors and problems may say, and what of it has no Chinese.

The texts are read from the source: what is passed as message, reason or remedy to an error of
`huizhen.errors` (or to anything else that takes a remedy), what such a thing is as text, and what a pydantic
validator raises.
Missing entries are printed as lines for `words/errors_zh/<room>.toml`. See CONTRIBUTING, "An error".
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huizhen import errors
from huizhen.cli.error_phrases import parse_template, plain
from huizhen.cli.error_words import read_catalogue
from huizhen.cli.said_strings import Sayings, has_words
from huizhen.cli.source_index import Place, SourceIndex, called_name, parse_package

__all__ = ["OUTSIDE", "Said", "faults", "read_said"]

SPOKEN = ("message", "reason", "remedy")
"""The arguments that a user reads; a call's first argument is the message or reason."""

OUTSIDE = "outside"
"""The catalogue's part for texts that other libraries write; the source doesn't hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the source says: each of `templates` needs Chinese, `words` are single words that may have some.

    Both give the module that says it first.
    """

    templates: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


def read_said(folder: Path | None = None) -> Said:
    """Return what the package in `folder` (huizhen itself) says."""
    index = SourceIndex(trees=parse_package(folder or Path(errors.__file__).parent, "huizhen"))
    sayings = Sayings(index=index)
    templates: dict[str, str] = {}
    for expression, place in _spoken(index):
        for template in sayings.of(expression, place):
            for text in _shown_parts(template, several=_validates(place)):
                if has_words(text):
                    templates.setdefault(plain(text), place.module)
    words: dict[str, str] = {}
    for fragment, place in sayings.fragments.items():
        for text in _shown_parts(fragment, several=False):
            phrase = re.search(r"(^|\s)[a-z]+\s|\s[a-z]+$", text.strip())
            (templates if phrase else words).setdefault(plain(text), place.module)
    return Said(templates=templates, words=words)


def _shown_parts(text: str, *, several: bool) -> list[str]:
    """Return what is shown of a text: of a problem "field | reason | remedy" the last two, else the whole."""
    problems = text.split("; ") if several else [text]
    return [part for problem in problems for part in (problem.split(" | ")[1:] or [problem])]


def _spoken(index: SourceIndex) -> Iterator[tuple[ast.expr, Place]]:
    """Yield each expression that a user may read, and where it stands."""
    classes = {name for name, item in vars(errors).items() if inspect.isclass(item)}
    speakers = set(classes)
    for call, place in index.all_calls:
        remedy = any(keyword.arg == "remedy" for keyword in call.keywords)
        if remedy:
            speakers |= {called_name(call), place.function.owner if place.function else ""}
        if called_name(call) in classes or remedy:
            for value in [*call.args[:1], *(k.value for k in call.keywords if k.arg in SPOKEN)]:
                yield value, place
        elif called_name(call) == "ValueError" and call.args and _validates(place):
            yield call.args[0], place
    for method in index.methods("__str__"):
        if method.owner in speakers:
            yield from ((value, Place(method.module, method)) for value in method.results())


def _validates(place: Place) -> bool:
    """Tell whether a place is in a validator of a pydantic model."""
    marks = place.function.node.decorator_list if place.function else []
    return any("_validator" in ast.unparse(mark) for mark in marks)


def faults(said: Said, catalogue: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Return what is wrong between the source and the catalogue, as lines by room; none if all fits.

    >>> faults(Said(templates={"is {}": "huizhen.core.a"}), {"core": {"is {}": "为 {0}", "old": "旧"}})
    {'core': ['"old": no error says this any more']}
    """
    found: dict[str, list[str]] = {}
    held = [text for texts in catalogue.values() for text in texts]
    for template, module in said.templates.items():
        if template not in held:
            found.setdefault(module.split(".")[1], []).append(f'{_quoted(template)} = ""')
    for room, texts in catalogue.items():
        for english, chinese in texts.items():
            if room != OUTSIDE and english not in said.templates and english not in said.words:
                found.setdefault(room, []).append(f"{_quoted(english)}: no error says this any more")
            if held.count(english) > 1:
                found.setdefault(room, []).append(f"{_quoted(english)}: stands twice")
            if not _fit(english, chinese):
                found.setdefault(room, []).append(f"{_quoted(english)}: values differ in {chinese}")
    return found


def _fit(english: str, chinese: str) -> bool:
    """Tell whether a Chinese template names every value of the English one, by its number, and no other."""
    count = sum(name is not None for _, name, _ in parse_template(english))
    named = {name for _, name, _ in parse_template(chinese) if name is not None}
    return named == {str(place) for place in range(count)} and bool(chinese)


def _quoted(text: str) -> str:
    """Return a text as a TOML string."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inner}"'


if __name__ == "__main__":
    wrong = faults(read_said(), read_catalogue())
    for room, lines in wrong.items():
        print("\n".join([f"# words/errors_zh/{room}.toml", *lines]))
    sys.exit(bool(wrong))
