"""A federation over NVIDIA FLARE on this machine: a server and three sites, each a process, and the lead."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "federate"))
from flare_toy import open_learner
from toy_federation import SITES, WEIGHTS, study

from huizhen.core.study import Study
from huizhen.errors import FederationError
from huizhen.federate import messages as wire
from huizhen.federate.engines.flare import (
    Deployment,
    FlareEngine,
    attach,
    end_jobs,
    provision,
    start_server,
    start_site,
    status,
    stop,
)
from huizhen.federate.engines.flare_console import Console, write_job
from huizhen.federate.engines.flare_processes import PID
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.engines.interface import Engine
from huizhen.federate.frames import seal
from huizhen.federate.journal import Journal
from huizhen.federate.lead import Lead
from huizhen.federate.outbox import read_outbox
from huizhen.federate.policy import SitePolicy
from huizhen.federate.rounds import Training
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.worker import Worker
from huizhen.ledger.signing import SigningKey

pytestmark = [
    pytest.mark.slow,
    # FLARE's gRPC threads may outlive a session for a moment
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
PATIENCE_S = 240.0
"""Loaded machines start a dozen Python processes slowly; an idle one needs a tenth of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A deployment that runs, its lead's key, the sites' folders, and copies of them that no process uses."""

    deployment: Deployment
    key: SigningKey
    folders: dict[str, SiteFolder]
    copies: dict[str, SiteFolder]
    engine: FlareEngine

    def lead(self, engine: Engine, study: Study, folder: Path) -> Lead:
        return Lead(
            study=study,
            engine=engine,
            key=self.key,
            peers={name: site.key.public for name, site in self.folders.items()},
            journal=Journal(folder),
            patience_s=PATIENCE_S,
            quorum=study.federation.quorum,
        )

    def in_process(self) -> InProcess:
        return InProcess({name: Worker(site, open_learner).answer for name, site in self.copies.items()})


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("flare")
    key = SigningKey.generate()
    rules = SitePolicy(signers=(key.public.hex,), plain_updates=True)
    deployment = provision(
        root / "lead", lead="lead@centre.org", sites=SITES, host="localhost", port=free_port()
    )
    folders, copies = {}, {}
    paths = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, [paths])])
    try:
        for name in SITES:
            place = root / "hospitals" / name
            SiteFolder.create(place, name=name, data=Path("data"), policy=rules)
            shutil.copytree(place, root / "copies" / name)
            folders[name] = SiteFolder.open(place)
            copies[name] = SiteFolder.open(root / "copies" / name)
            attach(deployment.site(name), site=place, learner="flare_toy:open_learner")
        start_server(deployment.server, wait_s=PATIENCE_S)
        for name in SITES:
            start_site(deployment.site(name))
        with FlareEngine(deployment) as engine:
            assert engine.wait_for(SITES, timeout_s=PATIENCE_S) == set(SITES)
            yield World(deployment=deployment, key=key, folders=folders, copies=copies, engine=engine)
    finally:
        os.environ["PYTHONPATH"] = paths
        for name in SITES:
            stop(deployment.site(name))
        stop(deployment.server)


def kill(kit: Path) -> None:
    """Kill a kit's process as a power cut would, with the jobs that it started."""
    process = psutil.Process(int((kit / PID).read_text()))
    for one in [process, *process.children(recursive=True)]:
        one.send_signal(signal.SIGKILL)
    stop(kit)


def training(lead: Lead, folder: Path) -> Training:
    return Training(
        lead=lead,
        federation=lead.study.federation,
        model="cman/fold0/member0",
        folder=folder,
        sites=lead.invite(),
        patients=200,
    )


def test_the_same_frames_have_the_same_answers_as_in_one_process(world: World) -> None:
    one = study()
    lead = world.lead(world.engine, one, world.deployment.path / "a")
    train = wire.Train(study=one.digest, sender=wire.LEAD, model="m", round=0, secure=False)
    invited = []
    for engine in (world.engine, world.in_process()):
        lead.engine = engine
        invited.append(lead.invite())
        frames = dict.fromkeys(SITES, seal(train, world.key, WEIGHTS))
        invited.append(engine.ask(frames, timeout_s=PATIENCE_S))
    assert invited[0] == invited[2] == SITES
    assert invited[1] == invited[3]
    assert set(invited[1]) == set(SITES)


def test_a_frame_of_twenty_megabytes_passes(world: World) -> None:
    frames = dict.fromkeys(SITES, os.urandom(20_000_000))
    answers = world.engine.ask(frames, timeout_s=PATIENCE_S)
    assert set(answers) == set(SITES)
    assert all(len(answer) < 1000 for answer in answers.values())  # refusals: it is no message


def test_the_jobs_are_small_and_hold_no_code_and_no_path(world: World) -> None:
    job = write_job(world.deployment.lead_kit / "jobs", "north")
    text = {str(file.relative_to(job)): file.read_text() for file in job.rglob("*") if file.is_file()}
    configs = {"app/config/config_fed_server.json", "app/config/config_fed_client.json"}
    assert set(text) - {"app/.__nvfl_sig.json", "app/.__nvfl_submitter.crt"} >= {"meta.json", *configs}
    assert not [name for name in text if name.endswith(".py") or "custom" in name]
    whole = "".join(text[name] for name in configs)
    assert str(world.folders["north"].path) not in whole
    assert whole.count('"path"') == 2
    assert whole.count("huizhen.federate.engines.flare_") == 2


def test_a_job_with_code_is_refused(world: World) -> None:
    job = world.deployment.path / "stranger"
    write_job(world.deployment.path, "north").rename(job)
    meta = json.loads((job / "meta.json").read_text())
    (job / "meta.json").write_text(json.dumps({**meta, "name": "stranger"}))
    (job / "app" / "custom").mkdir()
    (job / "app" / "custom" / "code.py").write_text("print('here')\n")
    console = Console(world.deployment)
    try:
        number = console._do(lambda session: session.submit_job(str(job)))
        deadline = time.monotonic() + PATIENCE_S
        state = "SUBMITTED"
        while state in ("SUBMITTED", "DISPATCHED", "RUNNING") and time.monotonic() < deadline:
            time.sleep(0.5)
            state = console._do(lambda session: session.get_job_meta(number))["status"]
        assert state == "FINISHED:FAILED_TO_RUN"
    finally:
        console.close()
    assert not list(world.deployment.site("north").rglob("code.py"))


def test_one_leads_at_a_time(world: World) -> None:
    with pytest.raises(FederationError, match="another process leads"):
        FlareEngine(world.deployment)


def test_strangers_are_refused(world: World, tmp_path: Path) -> None:
    port, own = world.deployment.port, world.deployment.site("north") / "startup"
    other = provision(tmp_path, lead="lead@centre.org", sites=["north"], host="localhost", port=port)
    foreign = other.site("north") / "startup"
    outdated = expired(world.deployment, tmp_path / "outdated")
    assert handshake(port, own, own / "rootCA.pem")
    assert not handshake(port, outdated, own / "rootCA.pem")
    assert not handshake(port, foreign, own / "rootCA.pem")
    assert not handshake(port, None, own / "rootCA.pem")
    assert not handshake(port, own, foreign / "rootCA.pem")  # and a site refuses another project's server
    with pytest.raises(FederationError, match="the FLARE server can't be used"):
        status(other)


def handshake(port: int, kit: Path | None, root: Path) -> bool:
    """Tell whether the server speaks with the holder of a kit's certificate."""
    context = ssl.create_default_context(cafile=str(root))
    context.set_alpn_protocols(["h2"])
    if kit is not None:
        context.load_cert_chain(kit / "client.crt", kit / "client.key")
    try:
        with (
            socket.create_connection(("localhost", port), timeout=30.0) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as line,
        ):
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            return bool(line.recv(1))
    except (ssl.SSLError, ConnectionError):
        return False


def expired(deployment: Deployment, folder: Path) -> Path:
    """Return a folder with a certificate of this deployment that held until yesterday, for site north."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from nvflare.lighter.utils import (
        Identity,
        generate_cert,
        generate_keys,
        serialize_cert,
        serialize_pri_key,
    )

    (state,) = (deployment.path / "authority").rglob("cert.json")
    found = json.loads(state.read_text())
    root = x509.load_pem_x509_certificate(found["root_cert"].encode())
    private, public = generate_keys()
    now = datetime.now(UTC)
    certificate = generate_cert(
        Identity("north", "north"),
        Identity(root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value),
        load_pem_private_key(found["root_pri_key"].encode(), password=None),
        public,
        not_valid_before=now - timedelta(days=2),
        not_valid_after=now - timedelta(days=1),
    )
    folder.mkdir()
    (folder / "client.crt").write_bytes(serialize_cert(certificate))
    (folder / "client.key").write_bytes(serialize_pri_key(private))
    return folder


def test_a_killed_site_is_missing_and_then_used_again(world: World) -> None:
    frames = dict.fromkeys(SITES, b"hello")
    kill(world.deployment.site("north"))
    started = time.monotonic()
    assert set(world.engine.ask(frames, timeout_s=PATIENCE_S)) == set(SITES) - {"north"}
    assert time.monotonic() - started < PATIENCE_S / 2  # nobody waits for it to the end
    start_site(world.deployment.site("north"))
    assert world.engine.wait_for(SITES, timeout_s=PATIENCE_S) == set(SITES)
    assert set(world.engine.ask(frames, timeout_s=PATIENCE_S)) == set(SITES)


def test_training_over_a_killed_server_ends_with_the_same_weights(world: World, tmp_path: Path) -> None:
    one = study({"rounds": 3, "round_timeout_s": PATIENCE_S})
    expected = training(world.lead(world.in_process(), one, tmp_path / "a"), tmp_path / "a").run(WEIGHTS)
    lead = world.lead(world.engine, one, tmp_path / "b")
    rounds = training(lead, tmp_path / "b")
    killer = threading.Thread(target=cut_power, args=(world.deployment, tmp_path / "b"))
    killer.start()
    done = rounds.run(WEIGHTS)
    killer.join()
    assert done.sites == expected.sites == (SITES,) * 3
    for name in WEIGHTS:
        np.testing.assert_array_equal(done.weights[name], expected.weights[name])
    kinds = {sent.kind for sent in read_outbox(world.folders["north"].path)}
    assert {"masked", "unmasked"} <= kinds


def cut_power(deployment: Deployment, folder: Path) -> None:
    """Kill the server when the first round is done, and start it again."""
    deadline = time.monotonic() + PATIENCE_S
    while not list(folder.glob("round-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    kill(deployment.server)
    start_server(deployment.server, wait_s=PATIENCE_S)


def test_jobs_can_be_seen_and_ended(world: World) -> None:
    assert world.engine.wait_for(SITES, timeout_s=PATIENCE_S) == set(SITES)
    known = status(world.deployment)
    assert set(known.silent_s) == set(SITES)
    assert set(known.jobs.values()) == set(SITES)
    world.engine.close()
    assert set(end_jobs(world.deployment)) <= set(known.jobs)
