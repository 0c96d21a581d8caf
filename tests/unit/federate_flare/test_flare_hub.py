"""The line between the lead's process and a job's controller at the server."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from huizhen.federate.engines.flare_hub import HUB, Hub, Line, call_hub

SOON_S = 20.0


@pytest.fixture
def hopeless() -> set[str]:
    return set()


@pytest.fixture
def hub(tmp_path: Path, hopeless: set[str]) -> Iterator[Hub]:
    hub = Hub(tmp_path, hopeless=hopeless.__contains__)
    yield hub
    hub.close()


def call(folder: Path, site: str, *, back: bool = True) -> Line:
    """Return the line of a controller whose site gave a sign of life."""
    line = call_hub(folder, site=site, job=f"job-{site}")
    assert line is not None
    if back:
        line.send({"kind": "back"})
    return line


def until(true) -> None:
    deadline = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def answering(line: Line, how) -> threading.Thread:
    """Answer the asks of a line by `how(number, frame)`, which sends."""

    def run() -> None:
        try:
            while (got := line.receive())[0]["kind"] == "ask":
                how(int(got[0]["number"]), got[1])
        except (OSError, EOFError):
            pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def reply(line: Line, text: bytes):
    return lambda number, frame: line.send({"kind": "answer", "number": number}, text + frame)


def test_each_site_gets_its_frame_and_gives_its_answer(tmp_path, hub):
    for site in ("north", "south"):
        line = call(tmp_path, site)
        answering(line, reply(line, site.encode()))
    until(lambda: set(hub.present()) == {"north", "south"})
    assert hub.present()["north"] == "job-north"
    answers = hub.ask({"north": b"-1", "south": b"-2"}, timeout_s=SOON_S)
    assert answers == {"north": b"north-1", "south": b"south-2"}


def test_large_frames_pass_whole(tmp_path, hub):
    frame = bytes(range(256)) * 40_000
    line = call(tmp_path, "north")
    answering(line, reply(line, b""))
    assert hub.ask({"north": frame}, timeout_s=SOON_S) == {"north": frame}


def test_late_and_repeated_answers_are_dropped(tmp_path, hub):
    line = call(tmp_path, "north")

    def how(number: int, frame: bytes) -> None:
        if frame == b"first":
            return
        line.send({"kind": "answer", "number": number - 1}, b"late")
        line.send({"kind": "answer", "number": number}, b"right")
        line.send({"kind": "answer", "number": number}, b"again")

    answering(line, how)
    assert hub.ask({"north": b"first"}, timeout_s=0.2) == {}
    assert hub.ask({"north": b"second"}, timeout_s=SOON_S) == {"north": b"right"}


def test_an_unknown_line_and_a_refused_ask_are_no_answer(tmp_path, hub):
    line = call(tmp_path, "north")
    answering(line, lambda number, frame: line.send({"kind": "failed", "number": number}))
    started = time.monotonic()
    assert hub.ask({"north": b"?"}, timeout_s=SOON_S) == {}
    assert time.monotonic() - started < SOON_S / 2


def test_a_site_that_comes_back_gets_the_open_ask(tmp_path, hub):
    first = call(tmp_path, "north")
    until(lambda: hub.present())

    def return_later() -> None:
        assert first.receive()[1] == b"work"
        first.close()
        line = call(tmp_path, "north")
        answering(line, reply(line, b"did "))

    threading.Thread(target=return_later, daemon=True).start()
    assert hub.ask({"north": b"work"}, timeout_s=SOON_S) == {"north": b"did work"}


def test_the_newest_caller_speaks_for_a_site(tmp_path, hub):
    old = call(tmp_path, "north")
    until(lambda: hub.present())
    new = call_hub(tmp_path, site="north", job="job-2")
    assert new is not None
    new.send({"kind": "back"})
    until(lambda: hub.present() == {"north": "job-2"})
    with pytest.raises((OSError, EOFError)):
        old.receive()


def test_nobody_waits_for_a_site_that_cannot_be_reached(tmp_path, hub, hopeless):
    line = call(tmp_path, "north")
    answering(line, reply(line, b""))
    hopeless.add("south")
    started = time.monotonic()
    assert hub.ask({"north": b"1", "south": b"1"}, timeout_s=SOON_S) == {"north": b"1"}
    assert time.monotonic() - started < SOON_S / 2


def test_a_silent_site_is_not_present_until_it_is_back(tmp_path, hub):
    line = call(tmp_path, "north", back=False)
    time.sleep(0.1)
    assert hub.present() == {}
    line.send({"kind": "back"})
    until(lambda: "north" in hub.present())
    line.send({"kind": "silent"})
    until(lambda: not hub.present())


def test_who_does_not_know_the_token_is_not_heard(tmp_path, hub):
    other = tmp_path / "other"
    found = json.loads((tmp_path / HUB).read_text())
    other.mkdir()
    (other / HUB).write_text(json.dumps({**found, "token": "00" * 32}))
    assert call_hub(other, site="north", job="x") is None
    assert hub.present() == {}
    assert stat.S_IMODE((tmp_path / HUB).stat().st_mode) == 0o600


def test_closing_ends_the_jobs_and_leaves_nothing(tmp_path, hub):
    line = call(tmp_path, "north")
    until(lambda: hub.present())
    hub.close()
    assert line.receive()[0]["kind"] == "end"
    assert not (tmp_path / HUB).exists()
    assert call_hub(tmp_path, site="north", job="x") is None


def test_what_is_no_note_ends_the_line(tmp_path, hub):
    line = call(tmp_path, "north")
    until(lambda: hub.present())
    line._connection.send_bytes(b"not json")
    until(lambda: not hub.present())
