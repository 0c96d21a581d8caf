"""Sessions kept at the server: a browser holds a random number, which is hashed before it is looked up.

A login begins a new session, so a number that somebody set before it is worth nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from huizhen.portal.roles import Person

__all__ = ["Flow", "Session", "Sessions"]

FLOW_S = 600.0
MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A login under way: what the provider's answer must fit."""

    state: str
    nonce: str
    verifier: str
    onward: str
    """The path to go to afterwards."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One browser's session. `flow` is there between going to the provider and coming back."""

    began: float
    seen: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    person: Person | None = None
    id_token: str = ""
    flow: Flow | None = None


class Sessions:
    """All sessions of a portal, in memory: a restart ends them."""

    def __init__(
        self, *, idle_s: float, longest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._idle, self._longest, self._clock = idle_s, longest_s, clock
        self._held: dict[str, Session] = {}
        self._lock = threading.Lock()

    def begin(self) -> tuple[str, Session]:
        """Return a new session and the number that the browser gets."""
        token, now = secrets.token_urlsafe(32), self._clock()
        session = Session(began=now, seen=now)
        with self._lock:
            self._tidy(now)
            self._held[_hashed(token)] = session
        return token, session

    def find(self, token: str | None) -> Session | None:
        """Return the session of a browser's number, unless it is over."""
        if not token or len(token) > 200:
            return None
        now = self._clock()
        with self._lock:
            session = self._held.get(_hashed(token))
            if session is None or self._over(session, now):
                self._held.pop(_hashed(token), None)
                return None
            session.seen = now
            return session

    def end(self, token: str | None) -> None:
        """End a session."""
        if token:
            with self._lock:
                self._held.pop(_hashed(token), None)

    def _over(self, session: Session, now: float) -> bool:
        idle = self._idle if session.person is not None else FLOW_S
        return now - session.seen > idle or now - session.began > self._longest

    def _tidy(self, now: float) -> None:
        """Drop what is over, and the oldest where there are too many."""
        for token in [token for token, session in self._held.items() if self._over(session, now)]:
            del self._held[token]
        guests = [token for token, session in self._held.items() if session.person is None]
        for token in guests[: max(0, len(self._held) - MOST + 1)]:
            del self._held[token]


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
