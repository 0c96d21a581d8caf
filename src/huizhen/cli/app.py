"""The root command: global options, the groups below, and exceptions turned into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from huizhen import __version__
from huizhen.cli.failure import INTERRUPTED, USAGE, report_failure, report_interrupt
from huizhen.cli.lazy import LazyGroup, localise, show_help_alone
from huizhen.cli.screen import Screen
from huizhen.cli.settings import Settings, locale_language, take_settings
from huizhen.core.words import Language
from huizhen.errors import InvalidInputError

__all__ = ["root_app", "root_command"]


class RootGroup(LazyGroup):
    """`huizhen` itself: takes the global options from anywhere, runs, and exits with one code."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]  # what remains is passed on
        """Run the command line `args` (this process's by default) and exit. Never returns."""
        given = sys.argv[1:] if args is None else list(args)
        language = locale_language()
        screen = Screen(settings=Settings(language=language, json="--json" in given))
        try:
            settings, rest = take_settings(given, language)
        except InvalidInputError as error:
            report_failure(error, screen)
            sys.exit(USAGE)
        screen = Screen(settings=settings)
        localise(self, "huizhen", settings.language)
        extra = {**extra, "standalone_mode": False, "obj": screen}
        sys.exit(self._run(rest, prog_name or "huizhen", screen, extra))

    def _run(self, rest: list[str], prog_name: str, screen: Screen, extra: dict[str, Any]) -> int:
        """Run one command and return its exit code."""
        try:
            code = super().main(rest, prog_name, **extra)
        except (KeyboardInterrupt, typer.Abort):
            return report_interrupt(screen)
        except Exception as error:
            return report_failure(error, screen)
        if code == INTERRUPTED:
            return report_interrupt(screen)
        return code if isinstance(code, int) else 0


def root_app() -> typer.Typer:
    """Return the whole command line as a typer application."""
    app = typer.Typer(name="huizhen", cls=RootGroup, invoke_without_command=True, rich_markup_mode=None)
    app.callback()(_root)
    return app


def root_command() -> RootGroup:
    """Return the whole command line as one command."""
    command: RootGroup = typer.main.get_command(root_app())  # type: ignore[assignment]  # with a callback, a group
    return command


def _show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"huizhen {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json")] = False,
    lang: Annotated[Language | None, typer.Option("--lang")] = None,
    quiet: Annotated[bool, typer.Option("--quiet")] = False,
    debug: Annotated[bool, typer.Option("--debug")] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_show_version)] = False,
) -> None:
    """Stand for help and completion: `RootGroup.main` has taken all but --version by now."""
    show_help_alone(context)
