"""One file's work in a preparation: in this process, or in one of several, within a limit of time.

Each file stands alone, so that processes change nothing in what is written. A process that takes too long or
ends, in a decoder of somebody's damaged file, costs that file and no other.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from huizhen.data.deidentify.decisions import UNSAID, Said
from huizhen.data.deidentify.files import deidentify_file
from huizhen.data.deidentify.inspectors import inspector_of
from huizhen.data.deidentify.journal import Entry
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate, Outcome, Reason
from huizhen.data.deidentify.pixels import PixelInspector
from huizhen.data.deidentify.policy import DeidPolicy
from huizhen.data.deidentify.regions import Inspection, region_of
from huizhen.errors import HuizhenError, StorageError

__all__ = ["Job", "Setup", "done_by_processes", "done_here"]

_GRACE_S = 10.0
"""Seconds after its limit at which a process that doesn't heed it is ended."""
_WINDOW = 4
"""Files given out ahead for each process."""
_READY = b"ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One file to do: its path below the folder, keyed name, mark, and what people said of it."""

    file: str
    name: str
    mark: str
    said: Said = UNSAID

    def to_json(self) -> dict[str, Any]:
        """Return the job as plain JSON."""
        seen = self.said.pixels
        return {
            "file": os.fsencode(self.file).hex(),
            "name": self.name,
            "mark": self.mark,
            "refused": self.said.refused,
            "head": self.said.head,
            "regions": None if seen is None else [one.to_json() for one in seen.regions],
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Job:
        """Return what `to_json` wrote."""
        boxes = record["regions"]
        seen = None
        if boxes is not None:
            seen = Inspection(sure=True, regions=tuple(region_of(one) for one in boxes), how="person")
        said = Said(refused=record["refused"], head=record["head"], pixels=seen)
        file = os.fsdecode(bytes.fromhex(record["file"]))
        return cls(file=file, name=record["name"], mark=record["mark"], said=said)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is the same for all files: where they lie, where copies go, the policy and the key."""

    folder: Path
    images: Path
    policy: DeidPolicy
    who: Pseudonymiser

    @cached_property
    def inspector(self) -> PixelInspector | None:
        """The inspector that the policy asks for, loaded on first use."""
        return inspector_of(self.policy.pixels)

    def do(self, job: Job) -> Entry:
        """Release, queue or refuse one file; one that takes too long is refused."""
        try:
            with _limited(self.policy.seconds_per_file):
                outcome = deidentify_file(
                    self.folder / job.file,
                    self.images,
                    policy=self.policy,
                    who=self.who,
                    inspector=self.inspector,
                    said=job.said,
                )
        except _TooSlowError:
            outcome = _TOO_SLOW
        return Entry(file=job.name, mark=job.mark, outcome=outcome)


_TOO_SLOW = Outcome(fate=Fate.REFUSED, reason=Reason.TOO_SLOW)


class _TooSlowError(BaseException):
    """A file's time is over. It passes by whatever catches damaged files' exceptions."""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise `_TooSlowError` in the block after `seconds`, where signals can: in a main thread."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise _TooSlowError


def done_here(setup: Setup, jobs: Iterable[Job]) -> Iterator[Entry]:
    """Yield the entry of each file, one after the other, in this process."""
    for job in jobs:
        yield setup.do(job)


def done_by_processes(setup: Setup, jobs: Iterable[Job], *, processes: int) -> Iterator[Entry]:
    """Yield the entry of each file, in the order given, done by several processes.

    Raises `StorageError` when one of them couldn't write. Memory holds four files' entries for each process.
    """
    crew = _Crew(setup=setup, hands=[_Hand(setup=setup) for _ in range(processes)])
    try:
        yield from crew.entries(iter(jobs))
    finally:
        for hand in crew.hands:
            hand.stop()


@dataclass(slots=True, kw_only=True)
class _Hand:
    """One process, and the file that it is at."""

    setup: Setup
    process: BaseProcess | None = None
    line: Connection | None = None
    at: tuple[int, Job] | None = None
    since: float = 0.0
    ready: bool = False

    def give(self, number: int, job: Job) -> None:
        """Give it a file; it is started if it isn't there."""
        if self.process is None or self.line is None:
            context = get_context("spawn")
            self.line, theirs = context.Pipe()
            made = self.setup
            given = (
                theirs,
                str(made.folder),
                str(made.images),
                made.policy.model_dump_json(),
                made.who.secret,
            )
            self.process = context.Process(target=_serve, args=given, daemon=True)
            self.process.start()
            theirs.close()
        self.at, self.since = (number, job), time.monotonic()
        try:
            self.line.send_bytes(json.dumps(job.to_json()).encode())
        except OSError:  # it has ended: found when its answer is waited for
            return

    def taken(self) -> tuple[int, Entry] | None:
        """Return its answer, None where it only says that it is there; one that ended costs its file.

        Raises `StorageError` that it met, or where it ended before it began.
        """
        assert self.at is not None
        assert self.line is not None
        number, job = self.at
        try:
            message = self.line.recv_bytes()
        except (EOFError, OSError) as error:
            if not self.ready:
                raise StorageError(
                    "a process for the files can't be started",
                    remedy="free memory, or use one process: --jobs 1",
                ) from error
            self.stop()
            return number, Entry(file=job.name, mark=job.mark, outcome=_TOO_SLOW)
        if message == _READY:
            self.ready, self.since = True, time.monotonic()
            return None
        self.at = None
        answer = json.loads(message)
        if "error" in answer:
            raise StorageError(answer["error"], remedy=answer["remedy"], file=answer["file"])
        return number, Entry.from_json(answer)

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process.close()
        if self.line is not None:
            self.line.close()
        self.process, self.line, self.at, self.ready = None, None, None, False


@dataclass(slots=True, kw_only=True)
class _Crew:
    """Several processes, whose answers are put in order."""

    setup: Setup
    hands: list[_Hand]
    waiting: deque[int] = field(default_factory=deque)
    done: dict[int, Entry] = field(default_factory=dict)

    def entries(self, jobs: Iterator[Job]) -> Iterator[Entry]:
        """Yield the entries in the order of the jobs."""
        numbered = enumerate(jobs)
        more = True
        while True:
            while more and len(self.waiting) < _WINDOW * len(self.hands):
                idle = next((hand for hand in self.hands if hand.at is None), None)
                if idle is None:
                    break
                task = next(numbered, None)
                more = task is not None
                if task is not None:
                    self.waiting.append(task[0])
                    idle.give(*task)
            if not self.waiting:
                return
            if self.waiting[0] not in self.done:
                self._collect()
            while self.waiting and self.waiting[0] in self.done:
                yield self.done.pop(self.waiting.popleft())

    def _collect(self) -> None:
        """Wait for answers, and end what is long past its time."""
        limit = self.setup.policy.seconds_per_file + _GRACE_S
        busy = {hand.line: hand for hand in self.hands if hand.at is not None and hand.line is not None}
        left = min(hand.since + limit for hand in busy.values()) - time.monotonic()
        ready = wait(list(busy), timeout=max(0.0, left))
        for line in ready:
            taken = busy[line].taken()  # type: ignore[index]  # what was waited for are these lines
            if taken is not None:
                self.done[taken[0]] = taken[1]
        for hand in busy.values():
            if hand.at is not None and time.monotonic() - hand.since >= limit:
                number, job = hand.at
                self.done[number] = Entry(file=job.name, mark=job.mark, outcome=_TOO_SLOW)
                hand.stop()


def _serve(line: Connection, folder: str, images: str, policy: str, secret: bytes) -> None:
    """Do the files that come over `line`, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that gives out the work ends this one
    setup = Setup(
        folder=Path(folder),
        images=Path(images),
        policy=DeidPolicy.model_validate_json(policy),
        who=Pseudonymiser(secret=secret),
    )
    line.send_bytes(_READY)
    while True:
        try:
            job = Job.from_json(json.loads(line.recv_bytes()))
        except (EOFError, OSError):
            return
        answer: dict[str, Any]
        try:
            answer = setup.do(job).to_json()
        except HuizhenError as error:
            answer = {"error": error.message, "remedy": error.remedy, "file": error.file}
        line.send_bytes(json.dumps(answer).encode())
