"""The reference page of the command line, made from the commands themselves so that it can't fall behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from huizhen.cli.app import root_command
from huizhen.cli.help_text import parameter_name, shown_default
from huizhen.cli.lazy import COMMANDS, LazyGroup, localise
from huizhen.cli.screen import Screen
from huizhen.cli.settings import Settings
from huizhen.core.words import Language

__all__ = ["cli_reference"]

HEAD = """\
# The command line

This page is made from the commands themselves (`python -m huizhen.cli.reference > docs/reference/cli.md`).

- The global options may stand anywhere: `huizhen --json verify X` and `huizhen verify X --json` are the same.
- Results go to stdout, progress and errors to stderr. With `--json` one object goes to stdout, whether the
  command worked (`{"ok": true, ...}`) or not (`{"ok": false, "error": {"code", "message", "remedy", "field",
  "file"}}`); `study check` lists its findings under `problems`.
- Exit codes: 0 it worked; 1 an error that huizhen did not foresee; 2 the command line can't be read;
  130 stopped with Ctrl-C; all others in [errors.md](errors.md).
- The environment holds paths: `$HUIZHEN_DATA`, the data folder; `$HUIZHEN_HOME`, the folder of the signing
  key. Nothing scientific is taken from it.
- `huizhen --install-completion` installs completion for bash, zsh, fish or PowerShell.
"""


def cli_reference() -> str:
    """Return the Markdown page with every command, argument and option, in English."""
    root = root_command()
    localise(root, "huizhen", Language.EN)
    context = typer.Context(root, info_name="huizhen", obj=Screen(settings=Settings()))
    return HEAD + "".join(_sections(root, context, "huizhen"))


def _sections(command: Any, context: Any, path: str) -> Iterator[str]:
    """Yield the section of a command, then those of the commands below it."""
    yield f"\n## `{path}`\n\n{command.help}\n\n{_usage(command, path)}{_table(command)}"
    if isinstance(command, LazyGroup):
        for name in COMMANDS[command.name or ""]:
            below = command.get_command(context, name)
            inner = typer.Context(below, info_name=name, parent=context)
            yield from _sections(below, inner, f"{path} {name}")


def _usage(command: Any, path: str) -> str:
    """Return the line that shows how the command is written."""
    if isinstance(command, LazyGroup):
        return f"    {path} [OPTIONS] COMMAND ...\n"
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    names = [item.name.upper() if item.required else f"[{item.name.upper()}]" for item in arguments]
    return f"    {' '.join([path, '[OPTIONS]', *names])}\n"


def _table(command: Any) -> str:
    """Return the arguments and options as a table, or nothing if there are none."""
    if not command.params:
        return ""
    rows = [f"| {_name(item)} | {_default(item)} | {item.help} |" for item in command.params]
    return "\n".join(["", "| option | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _name(parameter: Any) -> str:
    """Return how an argument or option is written, as code."""
    return f"`{parameter_name(parameter)}`"


def _default(parameter: Any) -> str:
    """Return a parameter's default, or "required"."""
    value = shown_default(parameter)
    return "required" if parameter.required else f"`{value}`" if value else ""


if __name__ == "__main__":
    print(cli_reference(), end="")
