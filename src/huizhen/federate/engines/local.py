"""Sites on this machine, each its own process and folder, over a Unix socket: the default engine.

The lead listens; each site connects, proves who it is by signing the lead's nonce, and answers frames one at
a time. A site that dies and comes back connects again and is sent the question that is still open. Over the
socket goes nothing but frames: the lead never learns where a site's folder is.

Each packet is its length, the number of the question, and the frame.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

from huizhen.errors import FederationError, MessageError, VerificationError
from huizhen.federate.engines.interface import Answer
from huizhen.federate.frames import MAX_ARRAYS
from huizhen.federate.messages import MAX_HEADER
from huizhen.ledger.signing import PublicKey, SigningKey

HELLO = "hello"
HEAD = struct.Struct("<QQ")
MOST_BYTES = MAX_ARRAYS + MAX_HEADER + 4096
HANDSHAKE_S = 20.0


@final
class LocalEngine:
    """Listens at `path` for the sites whose public keys are `peers`."""

    def __init__(self, path: Path, peers: Mapping[str, PublicKey]) -> None:
        self._peers = dict(sorted(peers.items()))
        self._lock = threading.Condition()
        self._links: dict[str, socket.socket] = {}
        self._open: dict[str, tuple[int, bytes]] = {}
        self._answers: dict[str, bytes] = {}
        self._number = 0
        self._closed = False
        self._server = _listening(path)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def sites(self) -> Sequence[str]:
        """The sites' names, sorted."""
        return list(self._peers)

    def wait_for(self, sites: Sequence[str], *, timeout_s: float) -> set[str]:
        """Wait until `sites` are connected, or the time is over; return those that are."""
        with self._lock:
            self._lock.wait_for(lambda: set(sites) <= set(self._links), timeout_s)
            return set(sites) & set(self._links)

    def ask(self, frames: Mapping[str, bytes], *, timeout_s: float) -> dict[str, bytes]:
        """Send each site its frame and return the answers that came in time."""
        with self._lock:
            self._number += 1
            self._answers = {}
            self._open = {site: (self._number, frame) for site, frame in frames.items()}
            self._lock.notify_all()
            self._lock.wait_for(lambda: not self._open, timeout_s)
            self._open = {}
            return dict(self._answers)

    def _deliver(self, site: str, link: socket.socket) -> None:
        """Send a site each question that is open for it, once, until its link is gone.

        A thread a link: a site that doesn't read holds up nobody else, and no two frames mix.
        """
        sent = 0

        def due() -> bool:
            return self._links.get(site) is not link or self._open.get(site, (0, b""))[0] > sent

        while True:
            with self._lock:
                self._lock.wait_for(due)
                if self._links.get(site) is not link:
                    return
                sent, frame = self._open[site]
            try:
                send(link, sent, frame)
            except OSError:  # its reader notices that the link is gone
                return

    def _accept(self) -> None:
        """Take connections in until the engine is closed."""
        while not self._closed:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        """Check who is there, then read the site's answers until the link is gone."""
        try:
            site = self._welcomed(link)
        except (OSError, MessageError, VerificationError, ValueError):
            link.close()
            return
        with self._lock:
            old, self._links[site] = self._links.get(site), link
            self._lock.notify_all()
        if old is not None:
            _hang_up(old)
        threading.Thread(target=self._deliver, args=(site, link), daemon=True).start()
        try:
            while True:
                number, frame = receive(link)
                self._take(site, number, frame)
        except (OSError, MessageError):
            with self._lock:
                if self._links.get(site) is link:
                    del self._links[site]
                self._lock.notify_all()
            _hang_up(link)

    def _welcomed(self, link: socket.socket) -> str:
        """Return the name of the site that signed this connection's nonce."""
        link.settimeout(HANDSHAKE_S)
        nonce = secrets.token_bytes(32)
        link.sendall(nonce)
        _, hello = receive(link, most=1024)
        name, _, signature = hello.decode().partition(" ")
        if name not in self._peers:
            raise MessageError("an unknown site connected", remedy="name it in the study", field=name)
        self._peers[name].verify(HELLO, nonce + name.encode(), signature)
        link.settimeout(None)
        return name

    def _take(self, site: str, number: int, frame: bytes) -> None:
        """Note an answer, unless it is to another question than the open one."""
        with self._lock:
            if self._open.get(site, (0, b""))[0] == number:
                del self._open[site]
                self._answers[site] = frame
                self._lock.notify_all()

    def close(self) -> None:
        """Stop listening and hang up."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            for link in self._links.values():
                _hang_up(link)
            self._links = {}
            self._lock.notify_all()


def _hang_up(link: socket.socket) -> None:
    """Close a link, and wake whoever reads from it."""
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
    link.close()


def _listening(path: Path) -> socket.socket:
    """Return a socket that listens at `path`, for this user only. Raises `FederationError`."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    try:
        server.bind(str(path))
        path.chmod(0o600)
        server.listen(64)
    except OSError as error:
        server.close()
        raise FederationError(
            f"can't listen ({error.strerror or error})",
            remedy="choose a run folder with a shorter path (a socket's is at most about 100 characters)",
            file=str(path),
        ) from error
    return server


def serve(
    path: Path, *, name: str, key: SigningKey, answer: Answer, until: threading.Event | None = None
) -> None:
    """Answer the lead's frames at a site, connecting again when the link is lost, until `until` is set."""
    while until is None or not until.is_set():
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.connect(str(path))
                nonce = _exactly(link, 32)
                send(link, 0, f"{name} {key.sign(HELLO, nonce + name.encode())}".encode())
                while True:
                    number, frame = receive(link)
                    send(link, number, answer(frame))
        except (OSError, MessageError):
            time.sleep(0.1)


def send(link: socket.socket, number: int, frame: bytes) -> None:
    """Send one packet."""
    link.sendall(HEAD.pack(len(frame), number))
    link.sendall(frame)


def receive(link: socket.socket, *, most: int = MOST_BYTES) -> tuple[int, bytes]:
    """Return the next packet's number and frame. Raises `MessageError` on one that is too large."""
    size, number = HEAD.unpack(_exactly(link, HEAD.size))
    if size > most:
        raise MessageError(f"a packet of {size} bytes", remedy="nothing of this protocol is that large")
    return number, _exactly(link, size)


def _exactly(link: socket.socket, size: int) -> bytes:
    """Return `size` bytes from `link`. Raises `ConnectionError` when it ends before."""
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        read = link.recv_into(view[got:], size - got)
        if not read:
            raise ConnectionError("the link is closed")
        got += read
    return bytes(data)
