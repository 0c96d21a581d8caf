"""Calls to a login server that may be silent: a few at once, none for long, and none for a while after.

They have threads of their own, so that pages are served whatever the login server does. A call that takes too
long is given up; its thread ends with its connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from huizhen.errors import StageError

__all__ = ["Patience", "away"]

AT_ONCE = 4
MOST_WAITING = 64
PAUSE_S = 10.0

Answer = TypeVar("Answer")


class Patience:
    """How long one login server is waited for. Its method belongs to one event loop."""

    def __init__(self, longest_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest, self._clock = longest_s, clock
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="login")
        self._under_way = 0
        self._closed_until = 0.0

    async def call(self, function: Callable[[], Answer]) -> Answer:
        """Return what `function` does in a thread.

        Raises `StageError` when that takes too long, too many wait, or a call failed so a while ago.
        """
        if self._clock() < self._closed_until or self._under_way >= MOST_WAITING:
            raise away()
        self._under_way += 1
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, function)
            return await asyncio.wait_for(running, self._longest)
        except StageError:
            self._closed_until = self._clock() + PAUSE_S
            raise
        except TimeoutError as error:
            self._closed_until = self._clock() + PAUSE_S
            raise away() from error
        finally:
            self._under_way -= 1

    def open_again(self) -> None:
        """Call at once again, after a pause was begun."""
        self._closed_until = 0.0

    def close(self) -> None:
        """Take no more calls, and wait for none."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def away() -> StageError:
    """Return the error of a login server that doesn't answer."""
    return StageError(
        "the login server can't be reached",
        remedy="try again in some minutes; if it lasts, tell whoever runs the portal",
        field="login.issuer",
    )
