"""The mailbox: questions and answers under way, and who may hold how many."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import cast

import httpx
import pytest
from portal_at_work import House

from huizhen.data.catalogue.criteria import parse_query
from huizhen.errors import StageError
from huizhen.federate.catalogue.asking import asked_of
from huizhen.federate.catalogue.envelopes import Question
from huizhen.ledger.signing import SigningKey
from huizhen.portal.mailbox import MOST_POLLS, Mailbox
from huizhen.portal.post import poll_of

LEAD = SigningKey.generate()
SITES = {"north": LEAD.public}


def questions() -> dict[str, Question]:
    """Return a new question to a site."""
    query = parse_query(b'{"operand": "AND", "children": [], "within": "series"}')
    return asked_of(query, SITES, key=LEAD, asker="a" * 16)


def test_nothing_is_kept_that_nobody_waits_for() -> None:
    async def run() -> None:
        mailbox = Mailbox()
        assert not await mailbox.put("unknown", b"x", site="north")
        assert await mailbox.fetch("north", wait_s=0.0) is None
        assert await mailbox.ask({}, asker="a", wait_s=0.0) == {}
        assert await mailbox.ask(questions(), asker="a", wait_s=0.01) == {}
        assert mailbox._answers == {}
        assert mailbox._waiting == {"north": []}
        assert (mailbox._expected, mailbox._open.total(), mailbox._polls.total()) == ({}, 0, 0)

    asyncio.run(run())


def test_an_answer_comes_to_who_asked() -> None:
    async def run() -> None:
        mailbox, asked = Mailbox(), questions()
        waits = asyncio.create_task(mailbox.fetch("north", wait_s=5.0))
        search = asyncio.create_task(mailbox.ask(asked, asker="a", wait_s=5.0))
        assert await waits == asked["north"]
        assert await mailbox.put(str(asked["north"].digest()), b"answer", site="north")
        assert await search == {"north": b"answer"}

    asyncio.run(run())


def test_another_sites_answer_is_none_and_the_first_stands() -> None:
    async def run() -> None:
        mailbox, asked = Mailbox(), questions()
        digest = str(asked["north"].digest())
        search = asyncio.create_task(mailbox.ask(asked, asker="a", wait_s=5.0))
        await asyncio.sleep(0)
        assert not await mailbox.put(digest, b"of another", site="south")
        assert await mailbox.put(digest, b"answer", site="north")
        assert not await mailbox.put(digest, b"again", site="north")
        assert await search == {"north": b"answer"}

    asyncio.run(run())


def test_who_asks_much_holds_one_place_and_drops_nobody() -> None:
    async def run() -> None:
        mailbox, other = Mailbox(), questions()
        first = asyncio.create_task(mailbox.ask(other, asker="rosa", wait_s=1.0))
        await asyncio.sleep(0)
        flood = await asyncio.gather(
            *(mailbox.ask(questions(), asker="rita", wait_s=0.2) for _ in range(120)), return_exceptions=True
        )
        assert sum(isinstance(one, StageError) for one in flood) == 119
        assert await mailbox.fetch("north", wait_s=0.0) == other["north"]
        assert await first == {}
        assert await mailbox.ask(questions(), asker="rita", wait_s=0.0) == {}

    asyncio.run(run())


def test_a_search_given_up_frees_its_place() -> None:
    async def run() -> None:
        mailbox = Mailbox()
        search = asyncio.create_task(mailbox.ask(questions(), asker="a", wait_s=30.0))
        await asyncio.sleep(0.01)
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        assert (mailbox._open.total(), mailbox._expected, mailbox._waiting) == (0, {}, {"north": []})

    asyncio.run(run())


def test_a_site_waits_so_many_times_at_once() -> None:
    async def run() -> None:
        mailbox = Mailbox()
        held = [asyncio.create_task(mailbox.fetch("north", wait_s=5.0)) for _ in range(MOST_POLLS)]
        await asyncio.sleep(0.01)
        started = time.monotonic()
        assert await mailbox.fetch("north", wait_s=5.0) is None
        assert time.monotonic() - started < 2.0
        for one in held:
            one.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        assert mailbox._polls.total() == 0

    asyncio.run(run())


def test_silent_sites_and_one_researcher_stop_nobody(house: House) -> None:
    """Searches and polls, more than there are threads, that wait, and the portal still answers others."""
    rita = house.logged_in("rita")
    token = rita.get("/requests").text.split('name="csrf" value="')[1].split('"')[0]
    portal, ends = house.office.settings.portal, list[int]()
    cookies = cast("dict[str, str]", dict(rita.cookies))

    def searching() -> None:
        with httpx.Client(base_url=house.address, timeout=60, cookies=cookies) as client:
            ends.append(client.post("/search", data={"csrf": token, "modality": "MR"}).status_code)

    def polling() -> None:
        poll = poll_of(house.site, wait_s=8.0).model_dump_json()
        with httpx.Client(base_url=house.address, timeout=60) as client:
            client.post("/exchange/next", content=poll)

    object.__setattr__(portal, "wait_s", 8.0)
    try:
        threads = [threading.Thread(target=one) for _ in range(45) for one in (searching, polling)]
        for thread in threads:
            thread.start()
        while len(ends) < 44:
            time.sleep(0.02)
        vera = house.logged_in("vera")
        assert vera.get("/").status_code == 200
        assert any(thread.is_alive() for thread in threads)
        for thread in threads:
            thread.join()
    finally:
        object.__setattr__(portal, "wait_s", 0.3)
    assert sorted(ends) == [200] + [503] * 44
