"""The engine for real hospitals: NVIDIA FLARE 2.9 carries the frames, under mutual TLS.

On the server's host, in the study lead's process::

    deployment = provision(folder, lead="lead@centre.org", sites=["north", "south"], host="fl.centre.org")
    start_server(deployment.server)
    with FlareEngine(deployment) as engine:      # submits one job a site, keeps them running
        engine.wait_for(engine.sites, timeout_s=300)
        answers = engine.ask(frames, timeout_s=600)

At each site, with the kit that was carried there: ``attach(kit, site=folder)`` and ``start_site(kit)``.
FLARE sees frames and nothing in them: signatures, policies and masks are huizhen's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Self, final

from huizhen.core.files import storage_error
from huizhen.errors import FederationError
from huizhen.federate.engines.flare_console import Console, Status
from huizhen.federate.engines.flare_hub import Hub
from huizhen.federate.engines.flare_processes import attach, start_server, start_site, stop
from huizhen.federate.engines.flare_provision import Deployment, provision

__all__ = [
    "Deployment",
    "FlareEngine",
    "Status",
    "attach",
    "end_jobs",
    "provision",
    "start_server",
    "start_site",
    "status",
    "stop",
]

LOOK_S = 2.0
"""How often the jobs are looked after while a site is missing."""
LOST_S = 20.0
"""A site whose FLARE client gave no sign of life for so long, of one every 5 s, can't be reached."""
RETURN_S = 60.0
"""How long sites may take to connect to a server that came up."""
STARTING_S, WAITING_S = 15.0, 90.0
"""How long a job that runs at the server may take until it runs at the site; and to be scheduled."""


def status(deployment: Deployment) -> Status:
    """Return what the server of a deployment knows. Raises `FederationError` when it can't be reached."""
    console = Console(deployment)
    try:
        return console.status()
    finally:
        console.close()


def end_jobs(deployment: Deployment) -> tuple[str, ...]:
    """End all jobs of huizhen at the server and return their numbers. Raises `FederationError`."""
    console = Console(deployment)
    try:
        known = console.status()
        jobs = tuple(sorted({**known.jobs, **known.waiting}))
        for job in jobs:
            console.abort(job)
        return jobs
    finally:
        console.close()


@final
class FlareEngine:
    """Carries frames over the FLARE server of `deployment`, which runs on this host, to `sites`."""

    def __init__(self, deployment: Deployment, sites: Sequence[str] | None = None) -> None:
        """Take the lead over `sites` (all of the deployment), and begin to start their jobs.

        Raises `FederationError` when a site isn't of the deployment, or another process leads over it.
        """
        self._sites = tuple(sorted(deployment.sites if sites is None else sites))
        if unknown := set(self._sites) - set(deployment.sites):
            raise FederationError(
                f"the deployment has no site {', '.join(sorted(unknown))}",
                remedy="provision it with all sites of the study",
                field="sites",
            )
        self._lock = _take_lead(deployment)
        self._hub = Hub(deployment.server, hopeless=self._hopeless)
        self._keeper = _Keeper(deployment, self._sites, self._hub)
        self._keeper.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def sites(self) -> Sequence[str]:
        """The sites' names, sorted."""
        return list(self._sites)

    def present(self) -> Sequence[str]:
        """Return the sites that could be asked now, sorted."""
        return sorted(self._hub.present())

    def wait_for(self, sites: Sequence[str], *, timeout_s: float) -> set[str]:
        """Wait until `sites` are present, or the time is over; return those that are."""
        deadline = time.monotonic() + timeout_s
        while not set(sites) <= set(self.present()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return set(sites) & set(self.present())

    def ask(self, frames: Mapping[str, bytes], *, timeout_s: float) -> dict[str, bytes]:
        """Bring each site its frame and return the answers that came in time, by site.

        A site that returns while the ask is open gets its frame then. Raises `FederationError` when nobody
        answered because the server is gone.
        """
        if unknown := set(frames) - set(self._sites):
            raise FederationError(
                f"no site {', '.join(sorted(unknown))} here", remedy="ask the engine's sites", field="sites"
            )
        answers = self._hub.ask(frames, timeout_s=timeout_s)
        if not answers and self._keeper.trouble is not None and not self._hub.present():
            raise self._keeper.trouble
        return answers

    def close(self) -> None:
        """End the jobs, and let others lead."""
        self._keeper.stop()
        self._hub.close()
        self._lock.close()

    def _hopeless(self, site: str) -> bool:
        return site in self._keeper.unreachable


class _Keeper(threading.Thread):
    """Keeps one job a site running: submits it, and again when the site was killed and is back.

    FLARE itself never gives a running job to a client that comes back.
    """

    def __init__(self, deployment: Deployment, sites: Sequence[str], hub: Hub) -> None:
        super().__init__(name="keeper", daemon=True)
        self._console, self._sites, self._hub = Console(deployment), sites, hub
        self._ending = threading.Event()
        self._since: dict[str, float] = {}
        self._tries: dict[str, tuple[float, float]] = {}
        self._unknown: dict[str, float] = {}
        self._ran: set[str] = set()
        self._ended: set[str] = set()
        self.unreachable: frozenset[str] = frozenset()
        """Sites that FLARE can't reach: there is no sense in waiting for their answers."""
        self.trouble: FederationError | None = None
        """Why the server couldn't be used the last time."""

    def run(self) -> None:
        """Look after the sites that are missing until stopped."""
        while not self._ending.is_set():
            present = self._hub.present()
            self._ran |= set(present.values())
            missing = [site for site in self._sites if site not in present]
            try:
                self.unreachable = self._look_after(missing) if missing else frozenset()
                self.trouble = None
            except FederationError as error:
                self.trouble, self.unreachable = error, frozenset()
                self._unknown.clear()
            self._ending.wait(LOOK_S if missing else LOOK_S / 4)
        self._console.close()

    def stop(self) -> None:
        """Stop, and wait for what is under way."""
        self._ending.set()
        self.join(timeout=30.0)

    def _look_after(self, missing: Sequence[str]) -> frozenset[str]:
        """Start the jobs that are missing and return the sites that can't be reached."""
        known, unreachable = self._console.status(), set()
        for site in missing:
            limits = {job: STARTING_S for job, of in known.jobs.items() if of == site}
            limits |= {job: WAITING_S for job, of in known.waiting.items() if of == site}
            own = {job: limit for job, limit in limits.items() if job not in self._ended}
            if self._lost(site, known.silent_s.get(site)):
                unreachable.add(site)
            elif not own:
                self._submit(site)
            else:
                self._end_lost(site, own)
        return frozenset(unreachable)

    def _lost(self, site: str, silent_s: float | None) -> bool:
        """Tell whether a site is out of reach: silent, or unknown to a server that had time to meet it."""
        if silent_s is not None:
            self._unknown.pop(site, None)
            return silent_s > LOST_S
        since = self._unknown.setdefault(site, time.monotonic())
        return site in self.unreachable or time.monotonic() - since > RETURN_S

    def _end_lost(self, site: str, jobs: Mapping[str, float]) -> None:
        """End jobs that aren't at work at a site: at once if they were, or after their limit in seconds."""
        running = self._console.at_work(site)
        if running is None:
            return
        for job, limit in jobs.items():
            age = time.monotonic() - self._since.setdefault(job, time.monotonic())
            if job not in running and (job in self._ran or age > limit):
                self._ended.add(job)
                with contextlib.suppress(FederationError):
                    self._console.abort(job)

    def _submit(self, site: str) -> None:
        """Submit a site's job; if the last one fell at once, wait longer from time to time."""
        before, pause = self._tries.get(site, (-math.inf, 0.0))
        now = time.monotonic()
        if now - before < pause:
            return
        pause = min(max(2 * pause, LOOK_S), WAITING_S) if now - before < 2 * WAITING_S else LOOK_S
        self._tries[site] = now, pause
        self._since[self._console.submit(site)] = now


def _take_lead(deployment: Deployment) -> IO[bytes]:
    """Lock a deployment for this process. Raises `FederationError` when another one leads."""
    try:
        stream = (deployment.path / "lead.lock").open("ab")
    except OSError as error:
        raise storage_error(deployment.path, error) from error
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise FederationError(
            "another process leads over this deployment", remedy="wait until it is done, or end it"
        ) from error
    return stream
