"""Start and stop a FLARE server or a site's FLARE client from its kit, as a process of its own."""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from huizhen.core.files import storage_error, write_json, write_text
from huizhen.errors import FederationError
from huizhen.federate.engines.flare_provision import SETTINGS
from huizhen.federate.site.folder import SiteFolder

_started: dict[int, subprocess.Popen[bytes]] = {}
"""What this process started, so that it is collected when it ends."""
PID, LOG, STORE = "huizhen.pid", "huizhen.log", "store"
LEARNER = "huizhen.pipeline.site_learner:open_learner"
"""What opens a study's data at a site, unless the site names another."""
MOST_JOBS = 1024
BEAT_S = 5.0
"""How often a site's FLARE client tells the server that it lives."""
LOST_S = 60
"""The server forgets a client of which it heard nothing for so long."""


def attach(kit: Path, *, site: Path, learner: str = LEARNER) -> None:
    """Enter in a site's kit its own folder, and `learner`, "module:function", which opens its data.

    Done at the site: the study lead knows neither. Raises `FederationError` when there is no such function or
    the folder is another site's, and what opening the folder raises.
    """
    module, _, name = learner.partition(":")
    try:
        getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise FederationError(
            f"there is no {learner} here", remedy="install it, or name another", field="learner"
        ) from error
    folder = SiteFolder.open(site.resolve())
    if folder.name != _name(kit):
        raise FederationError(
            f"the kit is for {_name(kit)}, the folder is of {folder.name}",
            remedy="give both one name",
            field="site",
        )
    write_json(kit / "local" / SETTINGS, {"site": str(folder.path), "learner": learner})


def start_server(kit: Path, *, wait_s: float = 60.0) -> int:
    """Start the FLARE server of a kit and return its process id when its port is open.

    Its jobs and snapshots stay in the kit's folder `store`. Raises `FederationError` when it runs already or
    doesn't come up.
    """
    _keep_store(kit)
    number = _spawn(kit, command(kit))
    host, port = _target(kit)
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and running(kit):
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
            return number
        time.sleep(0.2)
    stop(kit)
    raise FederationError(
        "the FLARE server didn't come up",
        remedy=f"see whether port {port} is in use, and the log",
        file=str(kit / LOG),
    )


def start_site(kit: Path) -> int:
    """Start the FLARE client of a site's kit and return its process id; it finds the server by itself.

    Raises `FederationError` when it runs already or no folder was attached.
    """
    if not (kit / "local" / SETTINGS).exists():
        raise FederationError(
            "no site's folder is attached to the kit", remedy="attach it first", file=str(kit)
        )
    return _spawn(kit, command(kit))


def command(kit: Path) -> list[str]:
    """Return the command that runs the kit's process in the foreground (for a service manager)."""
    kind = "server" if (kit / "startup" / "fed_server.json").exists() else "client"
    name = [] if kind == "server" else [f"uid={_name(kit)}"]
    line = [sys.executable, "-u", "-m", f"nvflare.private.fed.app.{kind}.{kind}_train"]
    line += ["-m", str(kit.resolve()), "-s", f"fed_{kind}.json"]
    line += ["--set", "secure_train=true", *name, f"org={_certified(kit)[1]}", "config_folder=config"]
    return line if kind == "server" else [*line, f"heart_beat_interval={BEAT_S}"]


def running(kit: Path) -> bool:
    """Tell whether the kit's process runs."""
    return _process(kit) is not None


def stop(kit: Path, *, wait_s: float = 20.0) -> bool:
    """Stop the kit's process with all that it started; tell whether there was one."""
    import psutil  # type: ignore[import-untyped]  # it has none

    number = _process(kit)
    if number is None:
        return False
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family = [psutil.Process(number), *psutil.Process(number).children(recursive=True)]
    for how in (signal.SIGTERM, signal.SIGKILL):
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.send_signal(how)
        _, family = psutil.wait_procs(family, timeout=wait_s)
    if number in _started:
        _started.pop(number).wait()
    (kit / PID).unlink(missing_ok=True)
    return True


def _spawn(kit: Path, line: list[str]) -> int:
    """Start a process in a group of its own, its output in the kit's log, and return its id."""
    if running(kit):
        raise FederationError("it runs already", remedy="stop it first", file=str(kit))
    try:
        (kit / "transfer").mkdir(exist_ok=True)
        with (kit / LOG).open("ab") as log:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=kit,
                start_new_session=True,
            )
    except OSError as error:
        raise storage_error(kit, error) from error
    _started[process.pid] = process
    write_text(kit / PID, f"{process.pid}\n")
    return process.pid


def _process(kit: Path) -> int | None:
    """Return the id of the kit's process if it lives, and is it: an id may have been given anew."""
    try:
        number = int((kit / PID).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(number)
        if process.status() != psutil.STATUS_ZOMBIE and str(kit.resolve()) in process.cmdline():
            return number
    return None


def _keep_store(kit: Path) -> None:
    """Have the server keep jobs and snapshots in its kit (FLARE's default is the machine's /tmp)."""
    file = kit / "local" / "resources.json"
    resources = json.loads(file.read_text(encoding="utf-8"))
    store = kit.resolve() / STORE
    resources["servers"][0] |= {"heart_beat_timeout": LOST_S, "max_num_clients": MOST_JOBS}
    resources["snapshot_persistor"]["args"]["storage"]["args"]["root_dir"] = str(store / "snapshots")
    for component in resources["components"]:
        if component["id"] == "job_manager":
            component["args"]["uri_root"] = str(store / "jobs")
        elif component["id"] == "job_scheduler":
            component["args"]["max_jobs"] = MOST_JOBS
    for name in ("snapshots", "jobs"):
        (store / name).mkdir(parents=True, exist_ok=True)
    write_json(file, resources)


def _target(kit: Path) -> tuple[str, int]:
    """Return host and port that a server's kit is for."""
    found = json.loads((kit / "startup" / "fed_server.json").read_text(encoding="utf-8"))
    host, _, port = found["servers"][0]["service"]["target"].rpartition(":")
    return host, int(port)


def _name(kit: Path) -> str:
    return _certified(kit)[0]


def _certified(kit: Path) -> tuple[str, str]:
    """Return the name and the organisation in a kit's certificate."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    for name in ("server.crt", "client.crt"):
        file = kit / "startup" / name
        if file.exists():
            subject = x509.load_pem_x509_certificate(file.read_bytes()).subject
            return tuple(  # type: ignore[return-value]  # two of them
                str(subject.get_attributes_for_oid(oid)[0].value)
                for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
            )
    raise FederationError("is no start-up kit", remedy="name a kit's folder", file=str(kit))
