"""Reports as one page of HTML: headings, sentences, tables, pictures; no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

from huizhen.core.words import Language

__all__ = ["Grid", "Page", "Pictures", "Said", "Title"]

CODES = {Language.EN: "en", Language.ZH: "zh-Hans"}


@dataclass(frozen=True, slots=True)
class Title:
    """A heading within the page."""

    text: str
    kind: ClassVar[str] = "title"


@dataclass(frozen=True, slots=True)
class Said:
    """A paragraph; `tone` is plain, lead, note or warn."""

    text: str
    tone: str = "plain"
    kind: ClassVar[str] = "said"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: `head` names the columns, the first of which names the rows; numbers stand right."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""
    kind: ClassVar[str] = "grid"

    @property
    def right(self) -> list[bool]:
        """Which columns hold numbers, and stand right: those in which some cell is one; never the first."""
        return [
            k > 0 and any(_is_number(row[k]) for row in self.rows if k < len(row))
            for k in range(len(self.head))
        ]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Small pictures, (data URL of a PNG, what stands under it), for a page that stays at the site."""

    shown: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page in one language."""

    title: str
    language: Language
    parts: Sequence[Title | Said | Grid | Pictures]

    def html(self) -> str:
        """Return the page. Texts are escaped: they may come from anybody's tables.

        >>> page = Page(title="a", language=Language.EN, parts=[Said("<b>")])
        >>> "&lt;b&gt;" in page.html()
        True
        """
        from jinja2 import Environment, StrictUndefined

        text = (files("huizhen.pipeline") / "page.html").read_text(encoding="utf-8")
        environment = Environment(
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        shown = environment.from_string(text).render(
            title=self.title, language=CODES[self.language], parts=self.parts
        )
        return shown + "\n"


def _is_number(cell: object) -> bool:
    """Tell whether a cell of a table holds a number, or a number with its interval or share."""
    text = str(cell)
    return isinstance(cell, int | float) or (bool(text) and set(text) <= set("0123456789.,%()–−+-<>/ "))
