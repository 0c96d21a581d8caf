"""The keeper of jobs: what it submits, ends, and gives up on, at a server that is only played."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.errors import FederationError
from huizhen.federate.engines import flare
from huizhen.federate.engines.flare_console import Status


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Server:
    """Plays the server: which sites it knows, its jobs, and what runs at the sites."""

    def __init__(self) -> None:
        self.silent_s = {"north": 1.0}
        self.jobs: dict[str, str] = {}
        self.waiting: dict[str, str] = {}
        self.running: frozenset[str] | None = frozenset()
        self.submitted: list[str] = []
        self.aborted: list[str] = []

    def status(self) -> Status:
        return Status(silent_s=self.silent_s, jobs=self.jobs, waiting=self.waiting)

    def at_work(self, site: str) -> frozenset[str] | None:
        return self.running

    def submit(self, site: str) -> str:
        self.submitted.append(site)
        return f"job-{len(self.submitted)}"

    def abort(self, job: str) -> None:
        self.aborted.append(job)
        raise FederationError("it ended already", remedy="nothing")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(flare, "time", clock)
    return clock


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def keeper(server: Server, clock: Clock, tmp_path: Path) -> flare._Keeper:
    deployment = flare.Deployment(
        path=tmp_path, project="p", host="h", port=1, lead="a@b.org", sites=("north",)
    )
    keeper = flare._Keeper(deployment, ("north",), None)
    keeper._console = server
    return keeper


def look(keeper: flare._Keeper) -> bool:
    """Look after site north; tell whether it can be reached."""
    keeper.unreachable = keeper._look_after(["north"])
    return "north" not in keeper.unreachable


def test_a_connected_site_without_a_job_gets_one(keeper, server):
    assert look(keeper)
    assert server.submitted == ["north"]


def test_a_job_on_its_way_is_left_alone(keeper, server, clock):
    look(keeper)
    server.waiting = {"job-1": "north"}
    clock.now += flare.WAITING_S - 1
    assert look(keeper)
    assert (server.submitted, server.aborted) == (["north"], [])


def test_a_job_that_never_reaches_its_site_is_ended_and_made_anew(keeper, server, clock):
    look(keeper)
    server.jobs = {"job-1": "north"}
    clock.now += flare.STARTING_S + 1
    look(keeper)
    assert server.aborted == ["job-1"]
    look(keeper)
    assert server.submitted == ["north", "north"]  # also while the server still shows the ended one


def test_a_restarted_site_gets_a_new_job_at_once(keeper, server, clock):
    keeper._ran.add("old")
    server.jobs = {"old": "north"}
    assert look(keeper)
    assert server.aborted == ["old"]
    assert look(keeper)
    assert server.submitted == ["north"]


def test_a_job_at_work_is_never_ended(keeper, server, clock):
    keeper._ran.add("old")
    server.jobs, server.running = {"old": "north"}, frozenset({"old"})
    clock.now += 10_000
    assert look(keeper)
    assert server.aborted == server.submitted == []


def test_a_silent_site_is_given_up_until_it_speaks(keeper, server):
    server.silent_s = {"north": flare.LOST_S + 1}
    assert not look(keeper)
    server.silent_s = {}
    assert not look(keeper)  # the server forgot it
    server.silent_s = {"north": 0.5}
    assert look(keeper)


def test_sites_have_time_to_meet_a_server_that_came_up(keeper, server, clock):
    server.silent_s = {}
    assert look(keeper)
    clock.now += flare.RETURN_S - 1
    assert look(keeper)
    clock.now += 2
    assert not look(keeper)


def test_nothing_is_ended_at_a_site_that_is_slow_to_say_what_runs(keeper, server, clock):
    keeper._ran.add("job")
    server.jobs, server.running = {"job": "north"}, None
    clock.now += 10_000
    assert look(keeper)
    assert server.aborted == server.submitted == []


def test_a_job_that_falls_at_once_is_tried_more_and_more_rarely(keeper, server, clock):
    for _ in range(600):
        look(keeper)
        clock.now += 1.0
    assert 5 <= len(server.submitted) <= 20
