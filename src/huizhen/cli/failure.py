"""How a failure looks: message and remedy in words, or one JSON object; and the exit code it gives."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import typer

from huizhen.cli.screen import Screen, json_line
from huizhen.errors import HuizhenError, visible

__all__ = ["INTERRUPTED", "UNEXPECTED", "USAGE", "report_failure", "report_interrupt"]

UNEXPECTED = 1
"""Exit code of an error that huizhen did not foresee."""

USAGE = 2
"""Exit code of a command line that huizhen can't read."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def report_failure(error: BaseException, screen: Screen) -> int:
    """Print `error` to stderr (with --json: to stdout) and return the exit code that it gives."""
    record, code = _record(error, screen)
    if screen.settings.debug:
        traceback.print_exception(error, file=sys.stderr)
    if screen.settings.json:
        typer.echo(json_line({"ok": False, "error": record}))
    else:
        _print(record, screen)
    return code


def report_interrupt(screen: Screen) -> int:
    """Say that the same command goes on where it stopped, and return the exit code."""
    message = screen.text("failure.interrupted")
    if screen.settings.json:
        record = {"code": "interrupted", "message": message, "remedy": None, "field": None, "file": None}
        typer.echo(json_line({"ok": False, "error": record}))
    else:
        typer.echo(f"\n{message}", err=True)
    return INTERRUPTED


def _record(error: BaseException, screen: Screen) -> tuple[dict[str, str | None], int]:
    """Return an error's plain values and its exit code."""
    if isinstance(error, HuizhenError):
        return error.to_json(), error.exit_code
    if isinstance(error, typer.TyperException):
        place = _usage_place(error)
        remedy = screen.text("failure.usage_remedy", command=place)
        record = {"code": "usage", "message": error.format_message(), "remedy": remedy}
        return {**record, "field": None, "file": None}, USAGE
    record = {
        "code": "unexpected",
        "message": screen.text("failure.unexpected", kind=type(error).__name__, place=_raised_at(error)),
        "remedy": screen.text("failure.unexpected_remedy"),
    }
    return {**record, "field": None, "file": None}, UNEXPECTED


def _usage_place(error: BaseException) -> str:
    """Return the command that a usage error is about."""
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "huizhen"


def _raised_at(error: BaseException) -> str:
    """Return where an unforeseen error arose. Its text isn't shown: it may hold a patient's value."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _print(record: dict[str, str | None], screen: Screen) -> None:
    """Print an error's values as lines on stderr."""
    place = ": ".join(part for part in (record["file"], record["field"]) if part)
    head = typer.style(screen.text("failure.error", code=record["code"]), fg="red", bold=True)
    message = _plain(screen.told((record["message"] or "").rstrip()))
    typer.echo(f"{head} {visible(f'{place}: ' if place else '')}{visible(message)}", err=True)
    if record["remedy"]:
        label = typer.style(screen.text("failure.remedy"), bold=True)
        typer.echo(f"{label} {visible(screen.told(record['remedy']))}", err=True)


def _plain(message: str) -> str:
    """Return a usage error as people write: without Python's kind of an error, and its form of a day."""
    return message.replace(": Value error, ", ": ").replace("%Y-%m-%d", "YYYY-MM-DD")
