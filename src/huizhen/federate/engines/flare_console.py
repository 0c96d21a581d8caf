"""The study lead's console at the FLARE server: submit a job for a site, see what runs, end it.

It logs in with the lead's own certificate, and signs each job with it. What FLARE raises becomes
`FederationError` here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final

from huizhen.core.files import write_json
from huizhen.errors import FederationError
from huizhen.federate.engines.flare_provision import CONTROLLER, EXECUTOR, Deployment

WAITING, RUNNING = frozenset({"SUBMITTED", "APPROVED", "DISPATCHED"}), "RUNNING"
PREFIX = "huizhen-"
LOGIN_S = 10.0
TASK_INTERVAL_S = 0.1
"""How often a site asks the server for its next task."""
TRANSFER_S = 600.0
"""How long one large frame may be under way between site and server."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the server knows: seconds since each connected site's last sign of life, and job -> site.

    `jobs` run at the server, `waiting` are about to.
    """

    silent_s: Mapping[str, float]
    jobs: Mapping[str, str]
    waiting: Mapping[str, str]


@final
class Console:
    """One user's session at the server, made when it is first needed and again after it broke."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._session: Any = None
        logging.getLogger("nvflare").addHandler(logging.NullHandler())  # or it writes to standard error

    def status(self) -> Status:
        """Return which sites are connected, and which jobs of huizhen wait or run.

        A job that a server began before it was killed stays in its store as running for ever: it isn't here.
        """
        info = self._do(lambda session: session.get_system_info())
        found = self._do(lambda session: session.list_jobs(name_prefix=PREFIX))
        at_work, now = {job.job_id for job in info.job_info}, time.time()
        sites = {str(job["job_id"]): str(job["job_name"]).removeprefix(PREFIX) for job in found}
        states = {str(job["job_id"]): job["status"] for job in found}
        return Status(
            silent_s={c.name: max(now - float(c.last_connect_time), 0.0) for c in info.client_info},
            jobs={j: site for j, site in sites.items() if states[j] == RUNNING and j in at_work},
            waiting={j: site for j, site in sites.items() if states[j] in WAITING},
        )

    def at_work(self, site: str) -> frozenset[str] | None:
        """Return the jobs whose processes run at `site`, as the site says; None when it doesn't answer."""
        found = self._do(lambda session: session.get_client_job_status([site]))
        if not found:
            return None
        entries = [entry for entry in found if isinstance(entry, Mapping)]
        if not entries or any("job_id" not in entry and "status" not in entry for entry in entries):
            return None
        return frozenset(str(entry["job_id"]) for entry in entries if entry.get("job_id"))

    def submit(self, site: str) -> str:
        """Submit the job of one site and return its number."""
        folder = write_job(self._deployment.lead_kit / "jobs", site)
        return str(self._do(lambda session: session.submit_job(str(folder))))

    def abort(self, job: str) -> None:
        """End a job."""
        self._do(lambda session: session.abort_job(job))

    def close(self) -> None:
        """Log out."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(Exception):
                session.close()

    def _do(self, what: Callable[[Any], T]) -> T:
        """Return what a session does. Raises `FederationError`."""
        from nvflare.apis.fl_exception import FLCommunicationError
        from nvflare.fuel.common.excepts import ConfigError

        try:
            if self._session is None:
                self._session = _by_daemon(self._login)
            return what(self._session)
        except (FLCommunicationError, ConfigError, RuntimeError, ValueError, KeyError, OSError) as error:
            self.close()
            raise _trouble(error) from error
        except Exception as error:  # FLARE's own exceptions derive from Exception alone
            self.close()
            if type(error).__module__.startswith("nvflare."):
                raise _trouble(error) from error
            raise

    def _login(self) -> Any:
        """Return a new session."""
        from nvflare.fuel.flare_api.flare_api import Session

        kit = self._deployment.lead_kit
        _keep_transfers(kit)
        session = Session(username=self._deployment.lead, startup_path=str(kit))
        session.api._print_hci = _quiet  # it would write to this process's output
        try:
            session.try_connect(LOGIN_S)
        except Exception:
            with contextlib.suppress(Exception):
                session.close()
            raise
        return session


def _by_daemon(make: Callable[[], T]) -> T:
    """Return what `make` returns in a daemon thread, so that threads it starts never keep the process."""
    made: Future[T] = Future()

    def run() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return made.result()


def _trouble(error: Exception) -> FederationError:
    return FederationError(
        f"the FLARE server can't be used ({type(error).__name__}: {str(error)[:200]})",
        remedy="see whether it runs, and whether the lead's certificate is of this deployment and holds",
        field="server",
    )


def _quiet(message: str) -> None:
    """Say nothing."""


def _keep_transfers(kit: Path) -> None:
    """Have the session keep its files in the kit (by default it makes a folder where the process stands)."""
    file = kit / "startup" / "fed_admin.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    place = str(kit.resolve() / "transfer")
    if settings["admin"]["upload_dir"] != place:
        settings["admin"] |= {"upload_dir": place, "download_dir": place}
        write_json(file, settings)


def write_job(folder: Path, site: str) -> Path:
    """Write the job of one site: which two classes of huizhen run, and where. No code, no path, no data."""
    job = folder / f"{PREFIX}{site}"
    write_json(
        job / "meta.json",
        {
            "name": job.name,
            "resource_spec": {},
            "min_clients": 1,
            "mandatory_clients": [site],
            "deploy_map": {"app": ["server", site]},
        },
    )
    server = {
        "format_version": 2,
        "server": {"task_request_interval": TASK_INTERVAL_S},
        "task_data_filters": [],
        "task_result_filters": [],
        "components": [],
        "workflows": [{"id": "frames", "path": CONTROLLER, "args": {}}],
        "dead_client_grace_period": 10.0,
        "client_outcome_wait_timeout": 20.0,
    }
    client = {
        "format_version": 2,
        "default_task_fetch_interval": TASK_INTERVAL_S,
        "executors": [{"tasks": ["huizhen"], "executor": {"path": EXECUTOR, "args": {}}}],
        "task_data_filters": [],
        "task_result_filters": [],
        "components": [],
        "get_task_timeout": TRANSFER_S,
        "submit_task_result_timeout": TRANSFER_S,
    }
    write_json(job / "app" / "config" / "config_fed_server.json", server)
    write_json(job / "app" / "config" / "config_fed_client.json", client)
    return job
