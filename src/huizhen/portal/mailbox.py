"""Where questions wait for sites that only connect outwards, and answers for who asked.

The portal can't read more into either than their signatures allow, and can't change them: it keeps a question
until its site fetches it, and an answer until the asker's time is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from huizhen.federate.catalogue.envelopes import VALID, Question

__all__ = ["Mailbox", "Seen"]

MOST_WAITING = 100
"""Questions that wait for one site; beyond, the oldest is dropped."""


class Mailbox:
    """Questions and answers under way, in memory."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._waiting: dict[str, list[Question]] = {}
        self._answers: dict[str, bytes] = {}
        self._expected: set[str] = set()

    def ask(self, questions: Mapping[str, Question], *, wait_s: float) -> dict[str, bytes]:
        """Return the answers, by site, that came within `wait_s`."""
        digests = {site: str(question.digest()) for site, question in questions.items()}
        with self._change:
            self._expected |= set(digests.values())
            for site, question in questions.items():
                queue = self._waiting.setdefault(site, [])
                queue.append(question)
                del queue[:-MOST_WAITING]
            self._change.notify_all()
            self._change.wait_for(lambda: all(d in self._answers for d in digests.values()), wait_s)
            self._expected -= set(digests.values())
            for site, question in questions.items():
                if question in (queue := self._waiting.get(site, [])):
                    queue.remove(question)
            came = {site: self._answers.pop(d, None) for site, d in digests.items()}
        return {site: answer for site, answer in came.items() if answer is not None}

    def fetch(self, site: str, *, wait_s: float) -> Question | None:
        """Return the next question for a site, taken out; None when none comes within `wait_s`."""
        deadline = time.monotonic() + wait_s
        with self._change:
            while not self._waiting.get(site):
                rest = deadline - time.monotonic()
                if rest <= 0 or not self._change.wait(rest):
                    break
            queue = self._waiting.get(site)
            return queue.pop(0) if queue else None

    def put(self, question: str, answer: bytes) -> bool:
        """Keep the answer to a question that somebody still waits for; return whether anybody does."""
        with self._change:
            if question not in self._expected:
                return False
            self._answers[question] = answer
            self._change.notify_all()
            return True


class Seen:
    """Numbers of signed requests that were taken, as long as they could be sent again."""

    def __init__(self) -> None:
        self._held: dict[str, float] = {}
        self._lock = threading.Lock()

    def once(self, number: str) -> bool:
        """Return whether a number comes for the first time."""
        now, longest = time.monotonic(), 2 * VALID.total_seconds()
        with self._lock:
            self._held = {one: at for one, at in self._held.items() if now - at < longest}
            return self._held.setdefault(number, now) is now
