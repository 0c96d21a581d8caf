"""Where questions wait for sites that only connect outwards, and answers for who asked.

The portal can't read more into either than their signatures allow, and can't change them: it keeps a question
until its site fetches it, and an answer until the asker's time is over. Waiting holds no thread; everything
runs in the server's one event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from huizhen.errors import StageError
from huizhen.federate.catalogue.envelopes import VALID, Question

__all__ = ["Mailbox", "Seen"]

MOST_OPEN = 500
"""Searches under way in all."""
MOST_POLLS = 4
"""Requests of one site that wait for a question."""


class Mailbox:
    """Questions and answers under way, in memory. Its methods belong to one event loop."""

    def __init__(self) -> None:
        self._change = asyncio.Condition()
        self._waiting: dict[str, list[Question]] = {}
        self._answers: dict[str, bytes] = {}
        self._expected: dict[str, str] = {}
        self._open: Counter[str] = Counter()
        self._polls: Counter[str] = Counter()

    async def ask(
        self, questions: Mapping[str, Question], *, asker: str, wait_s: float, most: int = 1
    ) -> dict[str, bytes]:
        """Return the answers, by site, that came within `wait_s`.

        Raises `StageError` when `asker` has `most` questions under way, or too many others have one.
        """
        if self._open[asker] >= most or self._open.total() >= MOST_OPEN:
            raise StageError(
                "an earlier question is still under way", remedy="wait for its answer, then ask again"
            )
        digests = {site: str(question.digest()) for site, question in questions.items()}
        self._open[asker] += 1
        try:
            await self._put_up(questions, digests)
            await self._until(lambda: all(d in self._answers for d in digests.values()), wait_s)
        finally:
            came = self._taken_down(questions, digests)
            self._open -= Counter([asker])
        return came

    async def fetch(self, site: str, *, wait_s: float) -> Question | None:
        """Return the next question for a site, taken out; None when none comes within `wait_s`."""
        if self._polls[site] < MOST_POLLS:
            self._polls[site] += 1
            try:
                await self._until(lambda: bool(self._waiting.get(site)), wait_s)
            finally:
                self._polls -= Counter([site])
        queue = self._waiting.get(site)
        return queue.pop(0) if queue else None

    async def put(self, question: str, answer: bytes, *, site: str) -> bool:
        """Keep `site`'s answer to a question to it that somebody waits for; return whether anybody does."""
        if self._expected.get(question) != site or question in self._answers:
            return False
        self._answers[question] = answer
        await self._tell()
        return True

    async def _put_up(self, questions: Mapping[str, Question], digests: Mapping[str, str]) -> None:
        self._expected |= {digest: site for site, digest in digests.items()}
        for site, question in questions.items():
            self._waiting.setdefault(site, []).append(question)
        await self._tell()

    def _taken_down(self, questions: Mapping[str, Question], digests: Mapping[str, str]) -> dict[str, bytes]:
        """Forget questions; return the answers that came."""
        for digest in digests.values():
            self._expected.pop(digest, None)
        for site, question in questions.items():
            if question in (queue := self._waiting.get(site, [])):
                queue.remove(question)
        came = {site: self._answers.pop(digest, None) for site, digest in digests.items()}
        return {site: answer for site, answer in came.items() if answer is not None}

    async def _tell(self) -> None:
        async with self._change:
            self._change.notify_all()

    async def _until(self, met: Callable[[], bool], wait_s: float) -> None:
        """Wait until something is so, at most `wait_s` seconds."""
        try:
            async with asyncio.timeout(wait_s), self._change:
                await self._change.wait_for(met)
        except TimeoutError:
            return


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
