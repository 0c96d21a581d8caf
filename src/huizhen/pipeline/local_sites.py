"""A federation on this machine: a folder and a process for each site, one for the study lead.

The process that starts them knows where the data lies and hands that to the sites alone. The lead's process
gets the study file, its own run folder and a socket; neither its arguments nor its environment name the data.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from huizhen.core.files import private_folder, write_json
from huizhen.core.study import Study
from huizhen.errors import FederationError
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SITE, SiteFolder
from huizhen.ledger.signing import PublicKey, SigningKey

HUIZHEN = (sys.executable, "-m", "huizhen.cli.tied")
"""A process that ends with the one that started it."""
RESTART_S = 0.5
PEERS = "peers.json"
HIDDEN = ("HUIZHEN_DATA",)
"""What of the environment would tell the lead where data lies."""


def prepare_sites(study: Study, folder: Path, *, data: Path, lead: SigningKey) -> dict[str, SiteFolder]:
    """Make, where it isn't there, a folder for each site under `folder`, and accept the lead's key in it.

    Their folders name a jurisdiction only where the study says something of transfers: all are one machine's.
    Raises `FederationError` when a site's folder is of another name, and what making one raises.
    """
    found: dict[str, SiteFolder] = {}
    for site in study.site:
        path = folder / site.name
        if not (path / SITE).exists():
            policy = SitePolicy(signers=(lead.public.hex,), studies=(study.name,))
            place = site.jurisdiction if study.transfer else ""
            SiteFolder.create(path, name=site.name, data=data, jurisdiction=place, policy=policy)
        found[site.name] = SiteFolder.open(path)
        if found[site.name].name != site.name:
            raise FederationError(
                f"is the folder of {found[site.name].name}",
                remedy="choose another run folder",
                file=str(path),
            )
    return found


def write_peers(path: Path, sites: Mapping[str, SiteFolder]) -> None:
    """Write every site's public key, for the lead."""
    write_json(path, {name: site.key.public.hex for name, site in sites.items()})


def read_peers(path: Path) -> dict[str, PublicKey]:
    """Return every site's public key. Raises `FederationError` on another file."""
    import json

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): PublicKey(hex=str(key)) for name, key in sorted(found.items())}
    except (OSError, ValueError, AttributeError) as error:
        raise FederationError(
            "is no file of sites' public keys", remedy="write it with: huizhen site join", file=str(path)
        ) from error


@dataclass(slots=True)
class Supervisor:
    """Keeps one process a site running: whichever dies is started again."""

    commands: Mapping[str, Sequence[str]]
    logs: Path
    env: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start every site and watch over them."""
        private_folder(self.logs)
        for name in self.commands:
            self._spawn(name)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _spawn(self, name: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                list(self.commands[name]),
                stdin=subprocess.PIPE,  # never written to: it ends when this process does
                stdout=log,
                stderr=log,
                env=dict(self.env),
            )

    def _watch(self) -> None:
        while not self._stopping.wait(RESTART_S):
            for name, process in list(self.processes.items()):
                if process.poll() is not None and not self._stopping.is_set():
                    if process.stdin is not None:
                        process.stdin.close()
                    self._spawn(name)

    def stop(self) -> None:
        """End every site's process."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + 10
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            finally:
                if process.stdin is not None:
                    process.stdin.close()


@contextmanager
def running_sites(sites: Mapping[str, SiteFolder], socket: Path, logs: Path) -> Iterator[Supervisor]:
    """Run a process for each site that answers at `socket`, while the block lasts."""
    commands = {
        name: [*HUIZHEN, "site", "serve", str(site.path), "--socket", str(socket)]
        for name, site in sites.items()
    }
    supervisor = Supervisor(commands=commands, logs=logs, env=dict(os.environ))
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def run_local(
    study_file: Path,
    study: Study,
    *,
    out: Path,
    data: Path,
    home: Path,
    arguments: Sequence[str],
    options: Sequence[str] = (),
) -> int:
    """Run a federated study on this machine and return the lead's exit code.

    `arguments`: the global options (language, json) that the lead's process is given too; `options`: those of
    its command.
    """
    private_folder(out)
    lead = SigningKey.create_or_load(home / "signing_key.pem")
    sites = prepare_sites(study, out / "sites", data=data.resolve(), lead=lead)
    write_peers(out / PEERS, sites)
    with tempfile.TemporaryDirectory(prefix="huizhen-") as scratch:
        socket = Path(scratch) / "lead.sock"
        with running_sites(sites, socket, out / "logs"):
            command = [*HUIZHEN, *arguments, "federation", "lead", str(study_file)]
            command += ["--out", str(out), "--peers", str(out / PEERS), "--socket", str(socket), *options]
            env = {name: value for name, value in os.environ.items() if name not in HIDDEN}
            env["HUIZHEN_HOME"] = str(home)
            with subprocess.Popen(command, env=env, stdin=subprocess.PIPE) as process:
                return process.wait()
