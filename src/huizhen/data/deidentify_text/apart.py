"""Documents read and cleaned in a process of their own, which is ended when one takes too long.

::

    with Cleaner(policy=policy, who=who) as cleaner:
        done = cleaner.done(document, known.of(document.patient))    # or Unreadable

A damaged or hostile document costs itself and no other: its process ends at the policy's limit of time, and
has so much memory only. It also ends by itself: at that limit, and at once when who gave it the work is
killed, so that no text stays in a process that nobody knows of.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify_text.cleaning import Cleaned, Replaced, clean
from huizhen.data.deidentify_text.kinds import Kind
from huizhen.data.deidentify_text.known import Known
from huizhen.data.deidentify_text.policy import TextPolicy
from huizhen.data.deidentify_text.reading import text_of
from huizhen.data.deidentify_text.sources import Document
from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable
from huizhen.errors import HuizhenError, InvalidInputError, StorageError

__all__ = ["Cleaner", "Done", "done_here"]

_MEMORY = 2 << 30
"""Bytes that a document may take beyond what the process has before."""
_READY = b"ready"
_GRACE_S = 5.0
"""Seconds beyond the limit after which the process ends itself, where nobody did."""
_START_S = 300.0
"""Seconds in which the process must have loaded the recognisers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One text of a document as it was, and cleaned."""

    text: str
    cleaned: Cleaned


def done_here(document: Document, known: Known, *, policy: TextPolicy, who: Pseudonymiser) -> list[Done]:
    """Return a document's texts, read and cleaned in this process without a limit of time.

    Raises `Unreadable`, and `InvalidInputError` where presidio or what reads a kind of file is absent.
    """
    try:
        texts = _texts(document, policy)
        return [Done(text=text, cleaned=clean(text, who=who, known=known, policy=policy)) for text in texts]
    except (Unreadable, HuizhenError):
        raise
    except (
        Exception,
        MemoryError,
    ) as error:  # one text that no recogniser foresaw ends itself, never the run
        raise Unreadable(TextReason.DAMAGED) from error


def _texts(document: Document, policy: TextPolicy) -> list[str]:
    """Return a document's texts; raises `Unreadable` also where they are larger than its file said."""
    texts = list(document.texts)
    if document.path is not None:
        try:
            data = document.path.read_bytes()
        except OSError as error:
            raise Unreadable(TextReason.DAMAGED) from error
        texts = [text_of(data, document.path.suffix.lower(), encoding=policy.encoding)]
    if sum(map(len, texts)) > policy.largest_mib << 20:
        raise Unreadable(TextReason.TOO_LARGE)
    return texts


@dataclass(slots=True, kw_only=True)
class Cleaner:
    """A process that does documents one after the other; another takes over when it had to be ended."""

    policy: TextPolicy
    who: Pseudonymiser
    process: BaseProcess | None = field(default=None, init=False)
    line: Connection | None = field(default=None, init=False)

    def __enter__(self) -> Cleaner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def done(self, document: Document, known: Known) -> list[Done]:
        """Return a document's texts, read and cleaned.

        Raises `Unreadable`: as too slow when the limit of the policy is over or the process has ended;
        `InvalidInputError` where presidio or what reads a kind of file is absent; `StorageError` where no
        process can be started.
        """
        line = self._started()
        try:
            line.send_bytes(_request(document, known))
            if not line.poll(self.policy.seconds_per_document):
                raise EOFError
            answer = json.loads(line.recv_bytes())
        except (EOFError, OSError) as error:
            self.stop()
            raise Unreadable(TextReason.TOO_SLOW) from error
        except BaseException:
            self.stop()
            raise
        return _taken(answer)

    def _started(self) -> Connection:
        """Return the line to the process, which is started where there is none."""
        if self.line is not None:
            return self.line
        context = get_context("forkserver")
        context.set_forkserver_preload(["huizhen.data.deidentify_text.warm"])
        self.line, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, self.policy.model_dump_json(), self.who.secret), daemon=True
        )
        self.process.start()
        theirs.close()
        try:
            if self.line.poll(_START_S) and self.line.recv_bytes() == _READY:
                return self.line
        except (EOFError, OSError):
            pass
        self.stop()
        raise StorageError(
            "a process for the documents can't be started", remedy="free memory, then run again"
        )

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process.close()
        if self.line is not None:
            self.line.close()
        self.process, self.line = None, None


def _request(document: Document, known: Known) -> bytes:
    path = "" if document.path is None else os.fsencode(document.path).hex()
    return json.dumps({"path": path, "texts": document.texts, "known": asdict(known)}).encode()


def _taken(answer: dict[str, Any]) -> list[Done]:
    """Return what a process said. Raises what it met."""
    if reason := answer.get("reason"):
        raise Unreadable(TextReason(reason))
    if message := answer.get("error"):
        raise InvalidInputError(message, remedy=answer["remedy"])
    return [
        Done(
            text=one["text"],
            cleaned=Cleaned(
                text=one["cleaned"]["text"],
                residue=one["cleaned"]["residue"],
                actions=tuple(
                    Replaced(**action | {"kind": Kind(action["kind"])})
                    for action in one["cleaned"]["actions"]
                ),
            ),
        )
        for one in answer["done"]
    ]


def _serve(line: Connection, policy: str, secret: bytes) -> None:
    """Do the documents that come over `line`, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that gives out the work ends this one
    rules, who = TextPolicy.model_validate_json(policy), Pseudonymiser(secret=secret)
    _limit_memory()
    line.send_bytes(_READY)
    while True:
        try:
            asked = json.loads(line.recv_bytes())
            _end_without_parent(line, rules.seconds_per_document)
            answer = _answer(asked, lambda one, known: done_here(one, known, policy=rules, who=who))
            _end_without_parent(line, None)
            line.send_bytes(answer)
        except (EOFError, OSError):
            return


def _end_without_parent(line: Connection, seconds: float | None) -> None:
    """Have the system end this process when `line` breaks or so many seconds pass; None: no more.

    Both signals end a process whatever it does, also within a library that lets no other thread run.
    """
    flags = fcntl.fcntl(line.fileno(), fcntl.F_GETFL) & ~os.O_ASYNC
    if seconds is None:
        fcntl.fcntl(line.fileno(), fcntl.F_SETFL, flags)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_S)
    fcntl.fcntl(line.fileno(), fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(line.fileno(), fcntl.F_SETFL, flags | os.O_ASYNC)
    if line.poll():  # nothing is sent before the answer: the line broke before it was watched
        os._exit(1)


def _answer(asked: dict[str, Any], do: Callable[[Document, Known], list[Done]]) -> bytes:
    """Return what becomes of a request, in JSON."""
    said = asked["known"].items()
    values: dict[str, Any] = {key: value if key == "patient" else tuple(value) for key, value in said}
    path = Path(os.fsdecode(bytes.fromhex(asked["path"]))) if asked["path"] else None
    document = Document(name="", mark="", patient="", path=path, texts=tuple(asked["texts"]))
    answer: dict[str, Any]
    try:
        answer = {"done": [asdict(one) for one in do(document, Known(**values))]}
    except Unreadable as error:
        answer = {"reason": error.reason.value}
    except HuizhenError as error:
        answer = {"error": error.message, "remedy": error.remedy}
    return json.dumps(answer).encode()


def _limit_memory() -> None:
    """Let this process have so much memory more, where the system can say how much it has."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except (OSError, ValueError):  # another system: the limit of time still holds
        return
