"""Help in the user's language, laid out by the width that characters take on screen (汉字 take two columns).

Typer's own help needs rich, which would take half of the time that `huizhen --help` has.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["HelpCommand", "columns_of_text", "help_of", "lay_out", "parameter_name", "shown_default"]

WIDEST = 100
"""Lines are broken at the terminal's width, at most at this."""

LEFT = 26
"""The longest name, in columns, that its explanation stands beside; others stand above theirs."""

Words = Callable[[str], str]
"""Gives the text of a word key."""


class HelpCommand(TyperCommand):
    """A command whose help is written by `help_of`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        from huizhen.cli.screen import screen_of

        formatter.write(help_of(self, ctx, screen_of(ctx).raw, commands=()))


def help_of(command: Any, context: Any, words: Words, *, commands: Sequence[tuple[str, str]]) -> str:
    """Return the help of a command: usage, purpose, arguments, options, and the `commands` below it."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    parameters = command.get_params(context)
    arguments = [item for item in parameters if item.param_type_name == "argument"]
    options = [item for item in parameters if item.param_type_name == "option"]
    usage = _usage(context.command_path, arguments, has_commands=bool(commands))
    parts = [
        f"{_title(words('panel.usage'))} {usage}\n",
        lay_out("", command.help, width=width),
    ]
    for title, rows in (
        ("panel.arguments", [_row(item, words) for item in arguments]),
        ("panel.options", [_row(item, words) for item in options]),
        ("panel.commands", commands),
    ):
        if rows:
            parts.append(f"{_title(words(title))}\n" + "".join(lay_out(*row, width=width) for row in rows))
    return "\n".join(parts)


def _title(text: str) -> str:
    """Return a heading in bold; where stdout is no terminal, typer takes the bold out again."""
    return typer.style(text, bold=True)


def _usage(path: str, arguments: Sequence[Any], *, has_commands: bool) -> str:
    """Return the line that shows how the command is written."""
    names = [item.name.upper() if item.required else f"[{item.name.upper()}]" for item in arguments]
    return " ".join([path, "[OPTIONS]", *names, *(["COMMAND ..."] if has_commands else [])])


def _row(parameter: Any, words: Words) -> tuple[str, str]:
    """Return a parameter's name and what it does, with its default."""
    text = parameter.help or ""
    if default := shown_default(parameter):
        text = f"{text} {words('panel.default').format(value=default)}"
    elif parameter.required and parameter.param_type_name == "option":
        text = f"{text} {words('panel.required')}"
    return parameter_name(parameter), text


def parameter_name(parameter: Any) -> str:
    """Return how an argument or option is written, e.g. "FILE", "--out OUT", "--json"."""
    if parameter.param_type_name == "argument":
        return str(parameter.name.upper())
    name = ", ".join(parameter.opts)
    takes_value = not (parameter.is_flag or parameter.count)
    return f"{name} {parameter.opts[0].lstrip('-').replace('-', '_').upper()}" if takes_value else name


def shown_default(parameter: Any) -> str:
    """Return a parameter's default as text, or "" if there is none worth showing."""
    value = parameter.default
    plain = isinstance(value, str | int | float) or hasattr(value, "__fspath__")
    return str(value) if plain and value is not False else ""


def lay_out(name: str, text: str, *, width: int) -> str:
    """Return a name with its explanation beside it, wrapped to `width` columns.

    >>> print(lay_out("--out OUT", "Folder of the run.", width=50), end="")
      --out OUT                   Folder of the run.
    """
    indent = 2 if not name else LEFT + 4
    lines = list(_wrap(text, width - indent))
    first = f"  {name}"
    if name and columns_of_text(name) <= LEFT and lines:
        lines[0] = first.ljust(indent) + lines[0]
        rest = [" " * indent + line for line in lines[1:]]
        return "\n".join([lines[0], *rest]) + "\n"
    return "\n".join([*([first] if name else []), *(" " * indent + line for line in lines)]) + "\n"


def _wrap(text: str, width: int) -> Iterator[str]:
    """Yield lines of at most `width` columns, broken at spaces, or between wide characters."""
    line = ""
    for word in _pieces(text):
        if line and columns_of_text(line + word.rstrip()) > width:
            yield line.rstrip()
            line = word.lstrip()
        else:
            line += word
    if line.strip():
        yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """Yield what must not be broken: a word with the space after it, or one wide character."""
    piece = ""
    for char in text:
        if _is_wide(char) or char == " ":
            yield piece + char
            piece = ""
        else:
            piece += char
    yield piece


def columns_of_text(text: str) -> int:
    """Return how many columns a text takes on screen.

    >>> columns_of_text("ab"), columns_of_text("会诊")
    (2, 4)
    """
    return sum(2 if _is_wide(char) else 1 for char in text)


def _is_wide(char: str) -> bool:
    """Tell whether a character takes two columns."""
    return unicodedata.east_asian_width(char) in "WF"
