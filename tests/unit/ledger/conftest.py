"""What the ledger's tests share: a key, a clock that stands at noon, and a quick way to write a log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

import huizhen
from huizhen.ledger.log import Log
from huizhen.ledger.reading import ENTRIES_FILE, HEADS_FILE
from huizhen.ledger.signing import SigningKey


@dataclass(frozen=True)
class Scribe:
    """Writes logs that depend on nothing but its key."""

    key: SigningKey = field(default_factory=SigningKey.generate)

    def open(self, folder: Path) -> Log:
        return Log.open(folder, self.key, clock=lambda: datetime(2026, 1, 2, 12, tzinfo=UTC))

    def write(self, folder: Path, *commits: int) -> None:
        """Write commits of so many entries each."""
        with self.open(folder) as log:
            for count in commits:
                for _ in range(count):
                    log.append("evidence", {"n": log.size + len(log.pending), "text": "会诊"})
                log.commit()

    @staticmethod
    def contents(folder: Path) -> dict[str, bytes]:
        return {name: (folder / name).read_bytes() for name in (ENTRIES_FILE, HEADS_FILE)}

    @staticmethod
    def torn(folder: Path) -> list[bytes]:
        return [path.read_bytes() for path in sorted(folder.glob("*.torn-*"))]


@pytest.fixture
def scribe() -> Scribe:
    return Scribe()


@pytest.fixture
def python() -> Callable[..., subprocess.Popen[str]]:
    """Start a Python process that runs `code` with `arguments` and can import huizhen."""

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(huizhen.__file__).parents[1])},
        )

    return start


@pytest.fixture
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the disk out, where a test opens a log some hundred times and only the bytes matter."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
