"""Progress of long work: rooms report steps, the command line shows them with a time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]
"""Called with the number of steps done since the last call."""


class Progress(Protocol):
    """Where long work reports to. `task` is a word key ("ingest", "fit") and `about` what it works on."""

    def track(self, task: str, total: int, *, about: str = "") -> AbstractContextManager[Advance]:
        """Return a context whose value advances a bar of `total` steps."""
        ...

    def note(self, text: str) -> None:
        """Show one finished line."""
        ...


class Silent:
    """Progress that shows nothing."""

    @contextmanager
    def track(self, task: str, total: int, *, about: str = "") -> Iterator[Advance]:
        """Yield an `Advance` that does nothing."""
        yield lambda steps: None

    def note(self, text: str) -> None:
        """Drop the line."""
