"""No crash and no full disk leaves half a commit, and none is counted in."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from huizhen.errors import LedgerError, StorageError, VerificationError
from huizhen.ledger import growing
from huizhen.ledger.log import Log
from huizhen.ledger.reading import ENTRIES_FILE, HEADS_FILE, read_log
from huizhen.ledger.signing import SigningKey

Scribe = Any  # the fixtures of conftest.py
Python = Any


def test_what_no_head_covers_is_split_off_by_bytes_alone(tmp_path: Path, scribe: Scribe) -> None:
    scribe.write(tmp_path, 1)
    entries, heads = scribe.contents(tmp_path).values()
    whole = growing.Parts(entries=entries, heads=heads, torn_entries=b"", torn_heads=b"")
    assert growing.split_torn(entries, heads) == whole
    torn = growing.split_torn(entries + b"x\ny", heads + heads[:-1])
    assert torn == replace(whole, torn_entries=b"x\ny", torn_heads=heads[:-1])
    assert growing.split_torn(entries[:-1], heads) == replace(whole, entries=entries[:-1])
    with pytest.raises(VerificationError, match=r"heads\.jsonl: head 1"):
        growing.split_torn(entries, heads + b"\n")


def torn_commits(scribe: Scribe, folder: Path) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield what a crash in the last commit may leave: entries cut anywhere, or the head cut anywhere."""
    scribe.write(folder, 2)
    before = scribe.contents(folder)
    scribe.write(folder, 2)
    after = scribe.contents(folder)
    for end in range(len(before[ENTRIES_FILE]), len(after[ENTRIES_FILE]) + 1):
        yield f"entries cut at {end}", after[ENTRIES_FILE][:end], before[HEADS_FILE]
    for end in range(len(before[HEADS_FILE]), len(after[HEADS_FILE])):
        yield f"head cut at {end}", after[ENTRIES_FILE], after[HEADS_FILE][:end]


@pytest.mark.usefixtures("no_flush")
def test_a_commit_torn_at_any_byte_is_dropped_whole_and_can_be_repeated(
    tmp_path: Path, scribe: Scribe
) -> None:
    source, folder = tmp_path / "source", tmp_path / "log"
    for case, entries, heads in torn_commits(scribe, source):
        folder.mkdir()
        (folder / ENTRIES_FILE).write_bytes(entries)
        (folder / HEADS_FILE).write_bytes(heads)
        with scribe.open(folder) as log:
            assert log.size == 2, case
            aside = b"".join(path.read_bytes() for path in log.set_aside)
        kept = scribe.contents(folder)
        assert len(aside) == len(entries) + len(heads) - sum(map(len, kept.values())), case
        scribe.write(folder, 2)
        assert scribe.contents(folder) == scribe.contents(source), case
        shutil.rmtree(folder)


def test_a_head_block_that_the_disk_never_wrote_is_torn(tmp_path: Path, scribe: Scribe) -> None:
    scribe.write(tmp_path, 1, 1)
    heads = (tmp_path / HEADS_FILE).read_bytes()
    middle = heads.index(b"\n") + 100
    (tmp_path / HEADS_FILE).write_bytes(heads[:middle] + bytes(50) + heads[middle + 50 :])
    with Log.open(tmp_path, scribe.key) as log:
        assert log.size == 1
        assert [path.name for path in log.set_aside] == ["heads.jsonl.torn-1", "entries.jsonl.torn-1"]


def test_entries_that_no_head_covers_are_kept_aside_each_time(tmp_path: Path, scribe: Scribe) -> None:
    for number in (1, 2):
        with (tmp_path / ENTRIES_FILE).open("ab") as stream:
            stream.write(b"unsigned %d\n" % number)
        Log.open(tmp_path, scribe.key).close()
    assert scribe.torn(tmp_path) == [b"unsigned 1\n", b"unsigned 2\n"]
    assert (tmp_path / ENTRIES_FILE).read_bytes() == b""


@pytest.mark.usefixtures("no_flush")
@pytest.mark.parametrize("name", [ENTRIES_FILE, HEADS_FILE])
def test_a_signed_prefix_that_was_altered_is_refused_and_left_alone(
    tmp_path: Path, scribe: Scribe, name: str
) -> None:
    scribe.write(tmp_path, 2, 2)
    good = scribe.contents(tmp_path)[name]
    for place in range(0, len(good), 7):
        bad = bytearray(good)
        bad[place] ^= 4
        (tmp_path / name).write_bytes(bad)
        with pytest.raises(VerificationError) as caught:
            Log.open(tmp_path, scribe.key)
        assert str(tmp_path) in str(caught.value.file)
        assert (tmp_path / name).read_bytes() == bad
    assert scribe.torn(tmp_path) == []


@pytest.mark.usefixtures("no_flush")
def test_a_signed_entry_that_is_missing_is_refused(tmp_path: Path, scribe: Scribe) -> None:
    scribe.write(tmp_path, 2, 2)
    good = scribe.contents(tmp_path)[ENTRIES_FILE]
    for end in range(len(good)):
        (tmp_path / ENTRIES_FILE).write_bytes(good[:end])
        with pytest.raises(VerificationError):
            Log.open(tmp_path, scribe.key)


KILLED = """
import os, random, signal, sys, threading
from pathlib import Path
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
log = Log.open(Path(sys.argv[1]), SigningKey.load(Path(sys.argv[2])))
threading.Timer(float(sys.argv[3]), os.kill, (os.getpid(), signal.SIGKILL)).start()
while True:
    for _ in range(random.randrange(1, 200)):
        log.append("evidence", {"n": log.size + len(log.pending), "text": "x" * 300})
    print(log.commit().size, flush=True)
"""


def test_a_process_killed_at_random_loses_nothing_that_was_committed(tmp_path: Path, python: Python) -> None:
    key = SigningKey.create_or_load(tmp_path / "key.pem")
    said = 0
    for delay_s in (0.01, 0.03, 0.07, 0.15):
        with python(KILLED, tmp_path / "log", tmp_path / "key.pem", delay_s) as process:
            assert process.stdout is not None
            said = max([said, *map(int, process.stdout.read().split())])
        with Log.open(tmp_path / "log", key) as log:
            assert log.size >= said
            assert [entry.body["n"] for entry in log.entries] == list(range(log.size))
        if said:
            assert len(read_log(tmp_path / "log").entries) == log.size
    assert said > 0


class FailingDisk:
    """Stands for `os` in the growing files: fails at the `at`-th act on the disk, and maybe ever after."""

    def __init__(self, at: int, *, part: float, recovers: bool) -> None:
        self.left, self.part, self.recovers = at, part, recovers

    def _fails(self) -> bool:
        self.left -= 1
        return self.left == 0 or (self.left < 0 and not self.recovers)

    def write(self, handle: int, data: memoryview) -> int:
        if self._fails():
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(handle, data[: max(1, int(len(data) * self.part))])

    def fsync(self, handle: int) -> None:
        if self._fails():
            raise OSError(errno.EIO, "Input/output error")

    def ftruncate(self, handle: int, length: int) -> None:
        if self._fails():
            raise OSError(errno.EIO, "Input/output error")
        os.ftruncate(handle, length)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@pytest.mark.parametrize("recovers", [True, False])
@pytest.mark.parametrize("part", [0.4, 1.0])
def test_a_failing_disk_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scribe: Scribe, part: float, recovers: bool
) -> None:
    source = tmp_path / "source"
    scribe.write(source, 2)
    before = scribe.contents(source)
    failed = 0
    for at in range(1, 100):
        folder = tmp_path / str(at)
        shutil.copytree(source, folder)
        log = scribe.open(folder)
        log.append("evidence", {"n": log.size, "text": "会诊"})
        with monkeypatch.context() as patch:
            patch.setattr(growing, "os", FailingDisk(at, part=part, recovers=recovers))
            try:
                log.commit()
                break
            except StorageError:
                failed += 1
        with pytest.raises(LedgerError, match="closed"):
            log.commit()
        if recovers:
            assert scribe.contents(folder) == before
        with scribe.open(folder) as again:
            whole = again.size == 3
        if whole:  # everything was written, only the last flush and the cut failed
            assert not recovers
        else:
            assert scribe.contents(folder) == before
    assert failed >= 4


FULL = """
import resource, sys
from pathlib import Path
from huizhen.errors import StorageError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
key = SigningKey.load(Path(sys.argv[2]))
log = Log.open(Path(sys.argv[1]), key)
log.append("a", {"text": "x" * 1000})
log.commit()
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
for _ in range(20):
    log.append("a", {"text": "x" * 1000})
try:
    log.commit()
except StorageError as error:
    print(error)
"""


def test_a_real_limit_on_file_size_leaves_the_log_as_it_was(
    tmp_path: Path, scribe: Scribe, python: Python
) -> None:
    key = SigningKey.create_or_load(tmp_path / "key.pem")
    with python(FULL, tmp_path / "log", tmp_path / "key.pem") as process:
        assert process.stdout is not None
        assert re.match("HZ80 .*entries.jsonl: can't be written .*free space", process.stdout.read())
    assert len(read_log(tmp_path / "log").entries) == 1
    assert scribe.torn(tmp_path / "log") == []
    with Log.open(tmp_path / "log", key) as log:
        log.append("a", {})
        assert log.commit().size == 2


def test_something_else_that_writes_meanwhile_is_noticed(tmp_path: Path, scribe: Scribe) -> None:
    scribe.write(tmp_path, 1)
    log = Log.open(tmp_path, scribe.key)
    with (tmp_path / ENTRIES_FILE).open("ab") as stream:
        stream.write(b"foreign\n")
    log.append("a", {})
    with pytest.raises(VerificationError, match="changed by something else"):
        log.commit()
    with Log.open(tmp_path, scribe.key) as again:
        assert again.size == 1
    assert scribe.torn(tmp_path) == [b"foreign\n"]
