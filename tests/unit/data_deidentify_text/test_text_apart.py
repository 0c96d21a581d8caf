"""Documents in a process of their own: limits of time and memory, and that time grows with length only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify_text import apart, warm
from huizhen.data.deidentify_text.apart import Cleaner, done_here
from huizhen.data.deidentify_text.cleaning import clean
from huizhen.data.deidentify_text.folding import fold
from huizhen.data.deidentify_text.known import Known
from huizhen.data.deidentify_text.policy import TextPolicy
from huizhen.data.deidentify_text.sources import Document
from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable

NOBODY = Known(patient="p")


def document(*texts: str, path: Path | None = None) -> Document:
    return Document(name="x", mark="", patient="p", path=path, texts=texts)


def test_the_process_does_what_is_done_here_and_outlives_a_slow_document(who: Pseudonymiser) -> None:
    policy = TextPolicy(seconds_per_document=120)
    good = document("Dr. Okonkwo on 2026-03-05", "患者张伟")
    with Cleaner(policy=policy, who=who) as cleaner:
        done = cleaner.done(good, NOBODY)
        assert done == done_here(good, NOBODY, policy=policy, who=who)
        cleaner.policy = TextPolicy(seconds_per_document=0.05)
        with pytest.raises(Unreadable) as caught:
            cleaner.done(document("1/" * 500_000), NOBODY)
        assert caught.value.reason is TextReason.TOO_SLOW
        cleaner.policy = policy
        assert cleaner.done(good, NOBODY) == done
    assert cleaner.process is None


WORKING = """
import sys, time
from multiprocessing import get_context
from huizhen.data.deidentify_text.apart import _end_without_parent

def busy(line, seconds):
    _end_without_parent(line, float(seconds))
    line.send_bytes(b"begun")
    while True:  # as in a library that returns to nobody
        "a" * 1000 in "b" * 1000

if __name__ == "__main__":
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=busy, args=(theirs, sys.argv[1]))
    process.start()
    theirs.close()
    ours.recv_bytes()
    print(process.pid, flush=True)
    time.sleep(60)
"""


def gone(process: int, *, within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        state = Path(f"/proc/{process}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("killed", [True, False], ids=["parent killed", "limit over"])
def test_no_process_stays_with_a_text_that_nobody_waits_for(tmp_path: Path, killed: bool) -> None:
    script = tmp_path / "working.py"
    script.write_text(WORKING)
    seconds = "600" if killed else "-4"  # with what is granted beyond the limit: one
    with subprocess.Popen([sys.executable, script, seconds], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        try:
            if killed:
                assert not gone(process, within=0.5)
                parent.kill()
            assert gone(process, within=20)
        finally:
            parent.kill()
            if not gone(process, within=0):
                os.kill(process, signal.SIGKILL)


def test_what_no_recogniser_foresaw_ends_the_document(
    who: Pseudonymiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(apart, "clean", failing)
    with pytest.raises(Unreadable) as caught:
        done_here(document("x"), NOBODY, policy=TextPolicy(), who=who)
    assert caught.value.reason is TextReason.DAMAGED


def test_a_file_whose_text_is_larger_than_the_policy_allows_is_refused(
    tmp_path: Path, who: Pseudonymiser
) -> None:
    (tmp_path / "a.txt").write_text("x" * ((1 << 20) + 1))
    with pytest.raises(Unreadable) as caught:
        done_here(document(path=tmp_path / "a.txt"), NOBODY, policy=TextPolicy(largest_mib=1), who=who)
    assert caught.value.reason is TextReason.TOO_LARGE
    with pytest.raises(Unreadable):
        done_here(document(path=tmp_path / "b.txt"), NOBODY, policy=TextPolicy(), who=who)


def test_the_server_of_processes_has_the_recognisers_loaded() -> None:
    assert warm.LOADED


def seconds(text: str, who: Pseudonymiser) -> float:
    start = time.process_time()
    clean(text, who=who, known=NOBODY, policy=TextPolicy())
    return time.process_time() - start


@pytest.mark.parametrize(
    "part", ["1", "1-", "a.", "ab12", "x_", "a@", "A-", "A^", "(1", "id "], ids=lambda part: part.strip()
)
def test_time_grows_as_the_length_of_a_text(part: str, who: Pseudonymiser) -> None:
    seconds(part, who)
    assert seconds((part * 20_000)[:20_000], who) < 8


def test_many_names_and_tags_are_read_in_time(who: Pseudonymiser) -> None:
    names = " ".join(f"Dr. Qu{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}zk" for i in range(500))
    assert seconds(names, who) < 20
    assert seconds("[NAME] " * 4_000, who) < 20


def test_a_letter_with_countless_marks_is_folded_in_time() -> None:
    start = time.process_time()
    marked = "a" + "\u0301\u0316" * 100_000
    assert fold(f"{marked}b").text.endswith("b")
    assert time.process_time() - start < 20
