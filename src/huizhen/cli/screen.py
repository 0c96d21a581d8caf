"""What a command prints: words in the user's language, or one JSON object for a machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from huizhen.cli.settings import Settings
from huizhen.core.progress import Progress, Silent
from huizhen.core.words import Language, load_words, word
from huizhen.errors import visible

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Screen", "json_line", "screen_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where one command writes: results on stdout, progress and errors on stderr."""

    settings: Settings

    @property
    def language(self) -> Language:
        """The language that the user reads."""
        return self.settings.language

    def text(self, key: str, **values: object) -> str:
        """Return the text of a word key of the command line."""
        return word("huizhen.cli", self.language, key, **values)

    def english(self, key: str, **values: object) -> str:
        """Return the English text of a word key."""
        return word("huizhen.cli", Language.EN, key, **values)

    def chinese(self, key: str, **values: object) -> str:
        """Return the Chinese text of a word key."""
        return word("huizhen.cli", Language.ZH, key, **values)

    def raw(self, key: str) -> str:
        """Return the text of a word key with its values left open."""
        return load_words("huizhen.cli", self.language)[key]

    def known(self, key: str, otherwise: str) -> str:
        """Return the text of a word key, or `otherwise` where the table lacks it."""
        return load_words("huizhen.cli", self.language).get(key, otherwise)

    def told(self, text: str) -> str:
        """Return an error's or problem's English text in the user's language."""
        if self.language is Language.EN:
            return text
        from huizhen.cli.error_words import shown

        return shown(text, self.language)

    def say(self, key: str, **values: object) -> None:
        """Print one line of words, unless the output is for a machine."""
        if not self.settings.json:
            typer.echo(visible(self.text(key, **values)))

    def plain(self, text: str) -> None:
        """Print text that may come from anybody, unless the output is for a machine."""
        if not self.settings.json:
            typer.echo(visible(text))

    def answer(self, result: Mapping[str, Any]) -> None:
        """Print the result as one JSON object, if the output is for a machine."""
        if self.settings.json:
            typer.echo(json_line({"ok": True, **result}))

    def console(self) -> Console:
        """Return the rich console on stdout, for tables. Cells are shown as they are, without markup."""
        from rich.console import Console
        from rich.text import Text

        class Plain(Console):
            def render_str(self, text: str, **how: Any) -> Text:
                return super().render_str(visible(text), **how)

        return Plain(file=sys.stdout, soft_wrap=False, highlight=False, markup=False, emoji=False)

    def progress(self) -> Progress:
        """Return where long work reports to: bars in a terminal, lines elsewhere, nothing when asked."""
        if self.settings.json or self.settings.quiet:
            return Silent()
        from huizhen.cli.progress import LineProgress, RichProgress

        return (RichProgress if sys.stderr.isatty() else LineProgress)(language=self.language)


def json_line(value: Mapping[str, Any]) -> str:
    """Return a JSON object on one line; what a terminal would obey is escaped, so that it is still that JSON.

    >>> json_line({"file": "a\\u202eb"})
    '{"file": "a\\\\u202eb"}'
    """
    return visible(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str))


def screen_of(context: typer.Context) -> Screen:
    """Return the screen of a command's context."""
    screen = context.find_root().obj
    return screen if isinstance(screen, Screen) else Screen(settings=Settings())
