"""Calls to a login server: given up, refused for a while, and begun again."""

from __future__ import annotations

import asyncio
import threading

import pytest

from huizhen.errors import PolicyError, StageError
from huizhen.portal.patience import AT_ONCE, MOST_WAITING, PAUSE_S, Patience, away


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_call_that_takes_too_long_is_given_up_and_the_next_refused_at_once() -> None:
    clock, released, calls = Clock(), threading.Event(), []
    patience = Patience(0.1, clock=clock)

    def silent() -> int:
        calls.append(1)
        released.wait(20)
        return 1

    async def run() -> None:
        for _ in range(3):
            with pytest.raises(StageError, match="can't be reached"):
                await patience.call(silent)
        assert len(calls) == 1
        clock.now = PAUSE_S + 1
        assert await patience.call(lambda: 2) == 2

    try:
        asyncio.run(run())
    finally:
        released.set()
        patience.close()


def test_a_server_that_is_away_is_left_alone_for_a_while_a_refusal_is_none() -> None:
    patience = Patience(5.0, clock=Clock())

    def refused() -> int:
        raise PolicyError("the login is refused", remedy="begin again")

    def unreachable() -> int:
        raise away()

    async def run() -> None:
        with pytest.raises(PolicyError):
            await patience.call(refused)
        assert await patience.call(lambda: 1) == 1
        with pytest.raises(StageError):
            await patience.call(unreachable)
        with pytest.raises(StageError):
            await patience.call(lambda: 1)
        patience.open_again()
        assert await patience.call(lambda: 1) == 1

    asyncio.run(run())
    patience.close()


def test_few_call_at_once_and_not_everybody_may_wait() -> None:
    released, most, here = threading.Event(), [0], [0]
    patience = Patience(20.0)

    def slow() -> int:
        here[0] += 1
        most[0] = max(most[0], here[0])
        released.wait(20)
        here[0] -= 1
        return 1

    async def run() -> None:
        calls = [asyncio.create_task(patience.call(slow)) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0.1)
        with pytest.raises(StageError):
            await patience.call(slow)
        released.set()
        assert sum(await asyncio.gather(*calls)) == MOST_WAITING

    asyncio.run(run())
    patience.close()
    assert most[0] <= AT_ONCE
