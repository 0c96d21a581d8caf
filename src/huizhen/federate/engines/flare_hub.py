"""How the study lead's process and the FLARE server's job processes talk: a socket on the server's host.

The lead listens on a port of the loopback interface and leaves the port and a fresh token in a file that only
the server's user can read. A job's controller connects, proves by HMAC that it knows the token, says which
site it speaks for, and takes asks and gives answers. Nothing is pickled: a note (JSON) and a frame (bytes).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, cast, final

from huizhen.core.files import write_json

HUB = "hub.json"
MOST_NOTE = 4096
MOST_FRAME = 2**31 - 1
TICK_S = 0.5

Note = Mapping[str, Any]


@final
class Line:
    """One end of a connection: notes, each with a frame that may be empty."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, note: Note, frame: bytes = b"") -> None:
        """Send a note and its frame. Raises `OSError` when the other end is gone."""
        with self._sending:
            self._connection.send_bytes(json.dumps({**note, "frame": len(frame) > 0}).encode())
            if frame:
                self._connection.send_bytes(frame)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Wait for a note and its frame. Raises `OSError` or `EOFError` when the other end is gone."""
        try:
            note = json.loads(self._connection.recv_bytes(MOST_NOTE))
            frame = self._connection.recv_bytes(MOST_FRAME) if note["frame"] else b""
        except (ValueError, KeyError, TypeError) as error:
            raise OSError("not a note of this protocol") from error
        return note, frame

    def waiting(self, seconds: float) -> bool:
        """Tell whether a note is there within so many seconds."""
        return self._connection.poll(seconds)

    def close(self) -> None:
        """Hang up, also on a thread that waits for a note here."""
        with contextlib.suppress(OSError):
            with socket.socket(fileno=os.dup(self._connection.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)
            self._connection.close()


def call_hub(workspace: Path, *, site: str, job: str) -> Line | None:
    """Return a line to the lead whose hub file is in `workspace`, or None when nobody listens there."""
    try:
        found = json.loads((workspace / HUB).read_text(encoding="utf-8"))
        connection = Client(("127.0.0.1", int(found["port"])), authkey=bytes.fromhex(found["token"]))
        line = Line(connection)
        line.send({"kind": "hello", "site": site, "job": job})
    except (OSError, EOFError, ValueError, KeyError, TypeError, AuthenticationError):
        return None
    return line


@dataclass(slots=True, kw_only=True)
class _Caller:
    """A controller that called: its line and job, the last ask sent to it, and whether its site is silent.

    A site is silent until it gives the first sign of life.
    """

    line: Line
    job: str
    sent: int = 0
    silent: bool = True


@final
class Hub:
    """The lead's end: asks go to the sites that called, also to those that call while an ask is open.

    `hopeless` tells of a site that isn't here whether it is not to be waited for either.
    """

    def __init__(self, workspace: Path, *, hopeless: Callable[[str], bool]) -> None:
        token = secrets.token_bytes(32)
        self._listener = Listener(("127.0.0.1", 0), authkey=token)
        port = cast(tuple[str, int], self._listener.address)[1]
        self._file, self._hopeless = workspace / HUB, hopeless
        self._changed = threading.Condition()
        self._callers: dict[str, _Caller] = {}
        self._number, self._deadline = 0, 0.0
        self._wanted: dict[str, tuple[int, bytes]] = {}
        self._answers: dict[str, bytes | None] = {}
        self._closed = False
        write_json(self._file, {"port": port, "token": token.hex()})
        threading.Thread(target=self._accept, name="hub", daemon=True).start()

    def present(self) -> dict[str, str]:
        """Return site -> job of the sites that are here and not silent."""
        with self._changed:
            return {site: caller.job for site, caller in self._callers.items() if not caller.silent}

    def ask(self, frames: Mapping[str, bytes], *, timeout_s: float) -> dict[str, bytes]:
        """Return the answers that came in time, by site."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._number += 1
            self._answers = {}
            self._wanted = {site: (self._number, frame) for site, frame in frames.items()}
            self._deadline = deadline
            self._changed.notify_all()
            while (left := deadline - time.monotonic()) > 0 and self._open():
                self._changed.wait(min(left, TICK_S))
            self._wanted = {}
            return {site: answer for site, answer in sorted(self._answers.items()) if answer is not None}

    def _open(self) -> bool:
        """Tell whether an answer may still come."""
        missing = [site for site in self._wanted if site not in self._answers]
        here = [s for s in missing if s in self._callers and not self._callers[s].silent]
        return bool(here) or any(not self._hopeless(site) for site in missing)

    def close(self) -> None:
        """End the jobs that called, and stop listening."""
        with self._changed:
            self._closed = True
            callers = list(self._callers.values())
            self._changed.notify_all()
        self._file.unlink(missing_ok=True)
        for caller in callers:
            with contextlib.suppress(OSError, ValueError):
                caller.line.send({"kind": "end"})
            caller.line.close()
        with contextlib.suppress(OSError):
            self._listener.close()

    def _accept(self) -> None:
        """Take calls until the hub closes."""
        while not self._closed:
            try:
                line = Line(self._listener.accept())
            except (OSError, EOFError, AuthenticationError):
                time.sleep(0.05)
                continue
            threading.Thread(target=self._listen, args=(line,), daemon=True).start()

    def _listen(self, line: Line) -> None:
        """Hear one controller out until it hangs up."""
        site, caller = "", None
        try:
            note, _ = line.receive()
            site, caller = str(note["site"]), _Caller(line=line, job=str(note["job"]))
            self._welcome(site, caller)
            while True:
                self._heard(site, caller, *line.receive())
        except (OSError, EOFError, KeyError, ValueError):
            line.close()
        with self._changed:
            if caller is not None and self._callers.get(site) is caller:
                del self._callers[site]
            self._changed.notify_all()

    def _welcome(self, site: str, caller: _Caller) -> None:
        """Take a caller in; one that spoke for the same site before is hung up on."""
        with self._changed:
            before = self._callers.get(site)
            self._callers[site] = caller
            self._changed.notify_all()
        if before is not None:
            before.line.close()
        threading.Thread(target=self._deliver, args=(site, caller), daemon=True).start()

    def _heard(self, site: str, caller: _Caller, note: Note, frame: bytes) -> None:
        """Take a note in: an answer, or whether the site is silent. What isn't asked for is dropped."""
        with self._changed:
            if note["kind"] in ("silent", "back"):
                caller.silent = note["kind"] == "silent"
            elif site in self._wanted and self._wanted[site][0] == note["number"]:
                self._answers.setdefault(site, frame if note["kind"] == "answer" else None)
            self._changed.notify_all()

    def _deliver(self, site: str, caller: _Caller) -> None:
        """Send a caller each ask once, the open one first."""
        while True:
            with self._changed:
                while not (self._closed or self._callers.get(site) is not caller or self._due(site, caller)):
                    self._changed.wait()
                if self._closed or self._callers.get(site) is not caller:
                    return
                number, frame = self._wanted[site]
                caller.sent, left = number, max(self._deadline - time.monotonic(), 0.0)
            with contextlib.suppress(OSError, ValueError):  # the listening thread sees it, too
                caller.line.send({"kind": "ask", "number": number, "timeout_s": left}, frame)

    def _due(self, site: str, caller: _Caller) -> bool:
        return site in self._wanted and site not in self._answers and self._wanted[site][0] > caller.sent
