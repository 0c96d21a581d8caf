"""What the tests of the command line share: running it in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from huizhen.cli.app import root_app

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Return a function that runs `huizhen` with the given arguments, in English, in a wide terminal."""
    for name in ("LC_ALL", "LC_MESSAGES", "HUIZHEN_DATA", "HUIZHEN_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object, answers: str | None = None) -> Result:
        return CliRunner().invoke(root_app(), list(map(str, arguments)), input=answers)

    return run


@pytest.fixture
def as_json() -> Callable[[Result], dict[str, Any]]:
    """Return a function that gives the one JSON object that a command printed."""

    def read(result: Result) -> dict[str, Any]:
        (line,) = result.stdout.splitlines()
        value: dict[str, Any] = json.loads(line)
        return value

    return read
