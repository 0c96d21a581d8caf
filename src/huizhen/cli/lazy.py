"""A command group whose commands are imported when they are asked for, with help in the user's language."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from huizhen.cli.screen import screen_of
from huizhen.cli.settings import locale_language
from huizhen.core.words import Language, load_words

__all__ = ["COMMANDS", "LazyGroup", "localise"]

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "huizhen": ("study", "run", "verify", "show", "predict", "demo", "data"),
    "study": ("new", "check"),
    "data": ("import", "describe"),
}
"""The groups and their commands, in the order of the help. A name that is a group itself opens that group."""

Command = Any
"""A click command; typer carries its own copy of click and exports no type for it."""


class LazyGroup(TyperGroup):
    """A group of `COMMANDS`, by its name."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, without importing any."""
        return list(COMMANDS[self.name or ""])

    def get_command(self, ctx: Any, cmd_name: str) -> Command:
        """Import and return one command, or None for an unknown name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        path = cmd_name if self.name == "huizhen" else f"{self.name}-{cmd_name}"
        command = group(cmd_name) if cmd_name in COMMANDS else _leaf(path, cmd_name)
        return localise(command, path, language_of(ctx), ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, the line on --help in the user's language too."""
        localise_help_option(self, ctx, language_of(ctx))
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Resolve a command, naming the nearest one if there is none of that name."""
        self.commands = dict.fromkeys(self.list_commands(ctx))  # type: ignore[assignment]  # names suffice to suggest
        return super().resolve_command(ctx, args)


def group(name: str) -> Command:
    """Return the lazy group of that name."""
    app = typer.Typer(name=name, cls=LazyGroup, add_completion=False, no_args_is_help=True)
    app.callback()(_nothing)
    return typer.main.get_command(app)


def _nothing() -> None:
    """A group by itself does nothing."""


def _leaf(path: str, name: str) -> Command:
    """Import one command's module and return its command."""
    module = import_module(f"huizhen.cli.commands.{path.replace('-', '_')}")
    app = typer.Typer(add_completion=False)
    app.command(name)(module.command)
    return typer.main.get_command(app)


def language_of(ctx: Any) -> Language:
    """Return the language of a context, the locale's where none is set yet."""
    return screen_of(ctx).language if ctx.find_root().obj is not None else locale_language()


def localise(command: Command, path: str, language: Language, ctx: Any = None) -> Command:
    """Give a command and its parameters the help of the word tables, key `command.<path>.<parameter>`."""
    words = load_words("huizhen.cli", language)
    command.help = words[f"command.{path}.help"]
    command.short_help = None
    for parameter in command.params:
        key = f"command.{path}.{parameter.name}"
        parameter.help = words.get(key) or words[f"command.any.{parameter.name}"]
        kind = "arguments" if parameter.param_type_name == "argument" else "options"
        parameter.rich_help_panel = words[f"panel.{kind}"]
    if ctx is not None:
        localise_help_option(command, ctx, language)
    return command


def localise_help_option(command: Command, ctx: Any, language: Language) -> None:
    """Give --help itself, which typer adds, its help."""
    option = command.get_help_option(ctx)
    if option is not None:
        words = load_words("huizhen.cli", language)
        option.help, option.rich_help_panel = words["command.any.help_option"], words["panel.options"]
