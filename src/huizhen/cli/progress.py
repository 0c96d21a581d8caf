"""Progress on stderr with the time left: bars in a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from huizhen.core.progress import Advance
from huizhen.core.words import Language, load_words, word
from huizhen.errors import visible

__all__ = ["LineProgress", "RichProgress", "duration_text", "task_text"]


def task_text(language: Language, task: str, about: str) -> str:
    """Return a task's name in words (the key itself where the table has none) and what it works on."""
    name = load_words("huizhen.cli", language).get(f"task.{task}", task.replace("_", " "))
    return f"{name} ({about})" if about else name


def duration_text(language: Language, seconds: float) -> str:
    """Return a duration in words.

    >>> duration_text(Language.EN, 75.2), duration_text(Language.EN, 3.14)
    ('1 min 15 s', '3.1 s')
    """
    if seconds < 10:
        return word("huizhen.cli", language, "duration.seconds", seconds=f"{seconds:.1f}")
    if seconds < 60:
        return word("huizhen.cli", language, "duration.seconds", seconds=round(seconds))
    minutes, rest = divmod(round(seconds), 60)
    return word("huizhen.cli", language, "duration.minutes", minutes=minutes, seconds=rest)


class RichProgress:
    """Bars with the time left, one for each task that is under way; a line for each that ends outermost."""

    def __init__(self, *, language: Language, console: Console | None = None) -> None:
        self._language = language
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._open = 0

    @contextmanager
    def track(self, task: str, total: int, *, about: str = "") -> Iterator[Advance]:
        """Show a bar of `total` steps while the context is open."""
        text = task_text(self._language, task, about)
        if self._open == 0:
            self._bars.start()
        self._open += 1
        bar = self._bars.add_task(text, total=total if total > 0 else None)
        started = time.monotonic()
        try:
            yield lambda steps: self._bars.advance(bar, steps)
        finally:
            self._bars.remove_task(bar)
            self._open -= 1
            if self._open == 0:
                self._bars.stop()
        if self._open == 0:
            self.note(_done(self._language, text, time.monotonic() - started))

    def note(self, text: str) -> None:
        """Print one finished line above the bars."""
        self._console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


@dataclass(slots=True, kw_only=True)
class LineProgress:
    """A plain line now and then, for logs: at most one in `every_s` seconds while a task is under way."""

    language: Language
    every_s: float = 10.0
    clock: Callable[[], float] = time.monotonic
    _open: int = field(default=0, init=False)
    _last_s: float = field(default=0.0, init=False)

    @contextmanager
    def track(self, task: str, total: int, *, about: str = "") -> Iterator[Advance]:
        """Print how far the task is, and at the end how long it took."""
        text = task_text(self.language, task, about)
        started = self.clock()
        if self._open == 0:
            self._last_s = started
        self._open += 1
        done = 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            self._tell(text, done, total, started)

        try:
            yield advance
        finally:
            self._open -= 1
        if self._open == 0:
            self.note(_done(self.language, text, self.clock() - started))

    def _tell(self, text: str, done: int, total: int, started: float) -> None:
        """Print one line if the last was long enough ago."""
        now = self.clock()
        if now - self._last_s < self.every_s or not 0 < done < total:
            return
        self._last_s = now
        left = duration_text(self.language, (now - started) / done * (total - done))
        self.note(
            word(
                "huizhen.cli",
                self.language,
                "progress.under_way",
                task=text,
                done=done,
                total=total,
                left=left,
            )
        )

    def note(self, text: str) -> None:
        """Print one line to stderr."""
        print(visible(text), file=sys.stderr, flush=True)


def _done(language: Language, text: str, seconds: float) -> str:
    """Return the line of a finished task."""
    return word("huizhen.cli", language, "progress.done", task=text, took=duration_text(language, seconds))
