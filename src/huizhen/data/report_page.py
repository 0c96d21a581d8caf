"""One frame for every report that a hospital's own data gives: the same head, style, figures and print form.

    page_of("huizhen.data.deidentify", "report.html", Language.EN, report=report)

A room's template begins with `{% extends "page" %}` and fills the blocks `title`, `main` and `foot`. It has
its words as `w`, `number` to write a count, and `counted` for a sentence that differs after one. The page
loads and runs nothing: its style is pinned by a content security policy. The dossier has a page of its own,
which is signed and says each text in both languages.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from huizhen.core.words import Language, load_words

__all__ = ["counted", "number", "page_of"]


def number(value: object) -> str:
    """Return a count with its thousands apart; what is no count as it is.

    >>> number(12345), number("<10"), number(0.5)
    ('12,345', '<10', '0.5')
    """
    return f"{value:,}" if isinstance(value, int) else str(value)


def counted(words: Mapping[str, str], key: str, n: int, **more: object) -> str:
    """Return the words at `key`.one after one, and at `key`.many after any other number, filled with it.

    >>> counted({"file.one": "{n} file", "file.many": "{n} files"}, "file", 1200)
    '1,200 files'
    """
    text = words[f"{key}.{'one' if n == 1 else 'many'}"]
    return text.format(n=number(n), **{name: number(value) for name, value in more.items()})


def page_of(room: str, name: str, language: Language, **values: object) -> str:
    """Return the page that the template `name` of the package `room` makes of `values`, in a language."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    def load(asked: str) -> str:
        if asked == "page":
            return _part("report_page.html")
        return (files(room) / asked).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = load_words(room, language)
    environment.filters["number"] = number
    style = _part("report_page.css")
    filled: dict[str, Any] = {
        "w": words,
        "counted": lambda key, n, **more: counted(words, key, n, **more),
        "language": language.value,
        "style": Markup(style),  # this package's own file
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    }
    return environment.get_template(name).render(filled | values) + "\n"


@cache
def _part(name: str) -> str:
    """Return a file of this package."""
    return (files("huizhen.data") / name).read_text(encoding="utf-8").strip()
