"""The local engine over real sockets: late, doubled, hanging, killed, returning and false sites."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toy_federation import SITES, WEIGHTS, toy

from huizhen.errors import FederationError
from huizhen.federate.engines.local import HELLO, LocalEngine, _exactly, receive, send, serve
from huizhen.federate.rounds import Training
from huizhen.ledger.signing import SigningKey

SOON_S = 30.0
KEYS = {name: SigningKey.generate() for name in ("east", "west")}


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        yield Path(folder) / "lead.sock"


@pytest.fixture
def engine(path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(path, {name: key.public for name, key in KEYS.items()})
    yield engine
    engine.close()


def dial(path: Path, name: str, key: SigningKey | None = None) -> socket.socket:
    """Connect as a site and say who it is."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(str(path))
        nonce = _exactly(link, 32)
        send(link, 0, f"{name} {(key or KEYS[name]).sign(HELLO, nonce + name.encode())}".encode())
    except OSError:
        link.close()
        raise
    return link


@contextlib.contextmanager
def serving(path: Path, name: str, answer: Callable[[bytes], bytes], key: SigningKey | None = None):
    """Serve a site in a thread."""
    until = threading.Event()
    thread = threading.Thread(
        target=serve,
        args=(path,),
        kwargs={"name": name, "key": key or KEYS[name], "answer": answer, "until": until},
        daemon=True,
    )
    thread.start()
    yield
    until.set()


def later(seconds: float, what: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, what)
    timer.daemon = True
    timer.start()


def test_questions_reach_their_sites_and_answers_come_back(engine, path):
    with serving(path, "east", lambda f: b"e:" + f), serving(path, "west", lambda f: b"w:" + f):
        assert engine.wait_for(["east", "west"], timeout_s=SOON_S) == {"east", "west"}
        for i in range(20):
            frames = {"east": b"%d" % i, "west": os.urandom(70_000)}
            found = engine.ask(frames, timeout_s=SOON_S)
            assert found == {"east": b"e:" + frames["east"], "west": b"w:" + frames["west"]}
    assert engine.sites == ["east", "west"]


def test_a_late_answer_is_dropped(engine, path):
    link = dial(path, "east")
    engine.wait_for(["east"], timeout_s=SOON_S)
    assert engine.ask({"east": b"one"}, timeout_s=0.2) == {}
    number, frame = receive(link)
    assert frame == b"one"
    send(link, number, b"late")

    def second() -> None:
        again, frame = receive(link)
        send(link, number, b"late once more")
        send(link, again, b"to " + frame)

    later(0.0, second)
    assert engine.ask({"east": b"two"}, timeout_s=SOON_S) == {"east": b"to two"}
    link.close()


def test_a_doubled_answer_counts_once(engine, path):
    link = dial(path, "east")
    engine.wait_for(["east"], timeout_s=SOON_S)

    def double() -> None:
        number, _ = receive(link)
        send(link, number, b"first")
        send(link, number, b"second")

    for _ in range(3):
        later(0.0, double)
        assert engine.ask({"east": b"?"}, timeout_s=SOON_S) == {"east": b"first"}
    link.close()


def test_an_answer_nobody_asked_for_is_dropped(engine, path):
    link = dial(path, "east")
    engine.wait_for(["east"], timeout_s=SOON_S)
    send(link, 99, b"early")
    later(0.3, lambda: send(link, receive(link)[0], b"right"))
    assert engine.ask({"east": b"?"}, timeout_s=SOON_S) == {"east": b"right"}
    link.close()


def test_a_site_that_returns_gets_the_open_question(engine, path):
    first = dial(path, "east")
    engine.wait_for(["east"], timeout_s=SOON_S)

    def die_and_return() -> None:
        receive(first)
        first.close()
        second = dial(path, "east")
        number, frame = receive(second)
        send(second, number, b"back: " + frame)
        second.close()

    later(0.0, die_and_return)
    assert engine.ask({"east": b"train"}, timeout_s=SOON_S) == {"east": b"back: train"}


def test_a_site_that_does_not_read_holds_up_nobody(engine, path):
    """A busy or stopped process leaves its socket full; others are asked and the time limit holds."""
    hanging = dial(path, "east")
    big = os.urandom(8 * 2**20)  # more than a socket takes in
    with serving(path, "west", lambda f: b"w%d" % len(f)):
        engine.wait_for(["east", "west"], timeout_s=SOON_S)
        started = time.monotonic()
        assert engine.ask({"east": big, "west": big}, timeout_s=0.5) == {"west": b"w8388608"}
        assert engine.ask({"east": b"small", "west": b"small"}, timeout_s=0.5) == {"west": b"w5"}
        assert time.monotonic() - started < SOON_S / 2
    assert receive(hanging) == (1, big)  # whole, and not mixed with the next question
    hanging.close()


def test_reconnecting_under_fire_never_mixes_frames(engine, path):
    """Each connection is sent whole frames only, whatever moment it comes at."""
    stop = threading.Event()
    wrong: list[bytes] = []

    def come_and_go() -> None:
        while not stop.is_set():
            try:
                with dial(path, "east") as link:
                    for _ in range(2):
                        number, frame = receive(link)
                        if frame != bytes([number % 251]) * 60_000:
                            wrong.append(frame[:10])
                        send(link, number, frame[:8])
            except OSError:
                time.sleep(0.001)

    threads = [threading.Thread(target=come_and_go, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    answered = 0
    for number in range(1, 40):
        found = engine.ask({"east": bytes([number % 251]) * 60_000}, timeout_s=5.0)
        answered += "east" in found
        assert all(value == bytes([number % 251]) * 8 for value in found.values())
    stop.set()
    engine.close()
    for thread in threads:
        thread.join(SOON_S)
    assert wrong == []
    assert answered > 30


@pytest.mark.parametrize("claim", ["east", "stranger", "", "east extra"])
def test_who_cannot_prove_to_be_a_site_is_hung_up_on(engine, path, claim):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(SOON_S)
    link.connect(str(path))
    nonce = _exactly(link, 32)
    forged = SigningKey.generate().sign(HELLO, nonce + claim.encode())
    send(link, 0, f"{claim} {forged}".encode())
    assert link.recv(1) == b""
    link.close()
    assert engine.wait_for(["east"], timeout_s=0.0) == set()


def test_a_signature_of_an_earlier_connection_proves_nothing(engine, path):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(SOON_S)
    link.connect(str(path))
    nonce = _exactly(link, 32)
    old = KEYS["east"].sign(HELLO, bytes(32) + b"east")
    assert nonce != bytes(32)
    send(link, 0, f"east {old}".encode())
    assert link.recv(1) == b""
    link.close()


@pytest.mark.parametrize("rubbish", [b"\xff" * 16, b"\xff\xfe" * 20, b"x" * 2000])
def test_rubbish_for_a_greeting_is_hung_up_on(engine, path, rubbish):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(SOON_S)
    link.connect(str(path))
    _exactly(link, 32)
    with contextlib.suppress(ConnectionError):  # hung up on before all of it was sent
        link.sendall(rubbish)
        link.shutdown(socket.SHUT_WR)
        assert link.recv(1) == b""
    assert engine.wait_for(["east"], timeout_s=0.0) == set()
    link.close()


def test_a_packet_of_impossible_size_ends_the_link(engine, path):
    link = dial(path, "east")
    link.settimeout(SOON_S)
    engine.wait_for(["east"], timeout_s=SOON_S)
    link.sendall(b"\xff" * 16)
    with contextlib.suppress(ConnectionResetError):
        assert link.recv(1) == b""
    link.close()


def test_two_processes_with_one_identity_are_one_site(engine, path):
    """The later connection takes the place of the earlier, which is hung up on."""
    first = dial(path, "east")
    first.settimeout(SOON_S)
    engine.wait_for(["east"], timeout_s=SOON_S)
    second = dial(path, "east")
    assert first.recv(1) == b""
    later(0.0, lambda: send(second, receive(second)[0], b"second"))
    assert engine.ask({"east": b"?"}, timeout_s=SOON_S) == {"east": b"second"}
    first.close()
    second.close()


def test_a_path_that_is_too_long_is_named(tmp_path):
    with pytest.raises(FederationError, match="can't listen"):
        LocalEngine(tmp_path / ("x" * 120), {})


def test_the_socket_is_for_this_user_only(engine, path):
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("secure", [True, False])
def test_over_sockets_the_weights_are_those_of_one_process(tmp_path, path, secure):
    whole = run(toy(tmp_path / "a", {"secure": secure}, policy={"plain_updates": True}), tmp_path / "a")
    one = toy(tmp_path / "b", {"secure": secure}, policy={"plain_updates": True})
    engine = LocalEngine(path, one.lead.peers)
    one.lead.engine = engine
    with contextlib.ExitStack() as stack:
        stack.callback(engine.close)
        for name in SITES:
            stack.enter_context(serving(path, name, one.workers[name].answer, one.folders[name].key))
        engine.wait_for(SITES, timeout_s=SOON_S)
        over_sockets = run(one, tmp_path / "b")
    assert over_sockets.sites == whole.sites == (SITES,) * 3
    for name in WEIGHTS:
        np.testing.assert_array_equal(over_sockets.weights[name], whole.weights[name])
        assert np.abs(whole.weights[name]).max() > 0


def run(one, folder: Path):
    return Training(
        lead=one.lead,
        federation=one.study.federation,
        model="cman/member0",
        folder=folder / "rounds",
        sites=one.lead.invite(),
        patients=120,
    ).run(WEIGHTS)
