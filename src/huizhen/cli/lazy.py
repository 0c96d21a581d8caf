"""A command group whose commands are imported when they are asked for, with help in the user's language."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from huizhen.cli.help_text import HelpCommand, help_of
from huizhen.cli.screen import screen_of
from huizhen.cli.settings import locale_language
from huizhen.core.words import Language, load_words

__all__ = ["COMMANDS", "LazyGroup", "localise", "show_help_alone"]

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "huizhen": (
        "study",
        "form",
        "run",
        "validate",
        "verify",
        "show",
        "export",
        "predict",
        "demo",
        "data",
        "site",
        "federation",
        "transfer",
        "catalogue",
    ),
    "study": ("new", "check", "lock"),
    "form": ("new", "check"),
    "data": ("import", "describe", "check", "audit-labels"),
    "site": (
        "init",
        "join",
        "status",
        "policy",
        "approve",
        "outbox",
        "audit",
        "queue",
        "label",
        "prepare",
        "prepare-text",
        "review",
        "risk",
        "recode",
        "link",
        "consents",
        "serve",
    ),
    "transfer": ("check", "rules"),
    "consents": ("import", "export", "check", "withdrawn"),
    "federation": ("key", "provision", "start", "stop", "status", "lead"),
    "catalogue": ("new", "publish", "check", "search", "answer", "serve"),
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
        path = self.path_of(cmd_name)
        command = group(cmd_name) if cmd_name in COMMANDS else _leaf(path, cmd_name)
        return localise(command, path, language_of(ctx), ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, from the word tables alone: no command is imported for it."""
        language = language_of(ctx)
        localise_help_option(self, ctx, language)
        words = load_words("huizhen.cli", language)
        below = [(name, words[f"command.{self.path_of(name)}.help"]) for name in self.list_commands(ctx)]
        formatter.write(help_of(self, ctx, words.__getitem__, commands=below))

    def path_of(self, name: str) -> str:
        """Return the word key of a command below: "new" of the group study is study-new."""
        return name if self.name == "huizhen" else f"{self.name}-{name}"

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Resolve a command, naming the nearest one if there is none of that name."""
        self.commands = dict.fromkeys(self.list_commands(ctx))  # type: ignore[assignment]  # names suffice to suggest
        return super().resolve_command(ctx, args)


def group(name: str) -> Command:
    """Return the lazy group of that name."""
    app = typer.Typer(
        name=name, cls=LazyGroup, add_completion=False, invoke_without_command=True, rich_markup_mode=None
    )
    app.callback()(show_help_alone)
    return typer.main.get_command(app)


def show_help_alone(context: typer.Context) -> None:
    """Show the help of a group that is called without a command, and exit as after any unreadable line."""
    if context.invoked_subcommand is None:
        if screen_of(context).settings.json:
            context.fail("Missing command.")
        typer.echo(context.get_help())
        raise typer.Exit(2)


def _leaf(path: str, name: str) -> Command:
    """Import one command's module and return its command."""
    module = import_module(f"huizhen.cli.commands.{path.replace('-', '_')}")
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=HelpCommand)(module.command)
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
    if ctx is not None:
        localise_help_option(command, ctx, language)
    return command


def localise_help_option(command: Command, ctx: Any, language: Language) -> None:
    """Give --help itself, which typer adds, its help."""
    option = command.get_help_option(ctx)
    if option is not None:
        option.help = load_words("huizhen.cli", language)["command.any.help_option"]
