"""The writer: what it writes, who may write, and that no crash or full disk leaves half a commit."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import huizhen
from huizhen.core.digests import canonical_json
from huizhen.errors import InvalidInputError, LedgerError, StorageError, VerificationError
from huizhen.ledger import growing
from huizhen.ledger import log as log_module
from huizhen.ledger.log import Log
from huizhen.ledger.merkle import leaf_hash, root
from huizhen.ledger.reading import ENTRIES_FILE, HEADS_FILE, read_log
from huizhen.ledger.signing import SigningKey

KEY = SigningKey.generate()
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def at_noon() -> datetime:
    return NOON


def write(folder: Path, *commits: int, key: SigningKey = KEY) -> None:
    """Write commits of so many entries each."""
    with Log.open(folder, key, clock=at_noon) as log:
        for count in commits:
            for _ in range(count):
                log.append("evidence", {"n": log.size + len(log.pending), "text": "会诊"})
            log.commit()


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (ENTRIES_FILE, HEADS_FILE)}


def torn(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.torn-*"))]


def test_a_commit_writes_one_canonical_line_an_entry_and_one_head(tmp_path: Path) -> None:
    write(tmp_path, 2, 1)
    lines = (tmp_path / ENTRIES_FILE).read_bytes().splitlines()
    records = [json.loads(line) for line in lines]
    assert [canonical_json(record) for record in records] == lines
    assert [record["index"] for record in records] == [0, 1, 2]
    assert {record["time"] for record in records} == {"2026-01-02T12:00:00Z"}
    assert {record["version"] for record in records} == {huizhen.__version__}
    heads = [json.loads(line) for line in (tmp_path / HEADS_FILE).read_text().splitlines()]
    assert [head["size"] for head in heads] == [2, 3]
    assert heads[1]["root"] == root([leaf_hash(line) for line in lines]).hex()


def test_what_is_appended_is_what_is_read(tmp_path: Path) -> None:
    body: dict[str, Any] = {
        "auc": 0.1 + 0.2,
        "interval": (0.25, 1),
        "name": "会诊",
        "none": None,
        "rows": [{}],
    }
    with Log.open(tmp_path, KEY) as log:
        entry = log.append("evidence", body)
        body["rows"][0]["later"] = 1
        assert (log.pending, log.entries, log.head) == ((entry,), (), None)
        head = log.commit()
        assert (log.pending, log.entries, log.head, log.heads) == ((), (entry,), head, (head,))
    verified = read_log(tmp_path)
    assert verified.entries == (entry,)
    assert verified.head == head
    assert entry.body == {**body, "interval": [0.25, 1], "rows": [{}]}


def test_reopening_goes_on_where_it_stood(tmp_path: Path) -> None:
    write(tmp_path / "once", 2, 1)
    write(tmp_path / "twice", 2)
    write(tmp_path / "twice", 1)
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")
    assert torn(tmp_path / "twice") == []


def test_a_commit_of_nothing_keeps_the_last_head(tmp_path: Path) -> None:
    with Log.open(tmp_path, KEY) as log:
        with pytest.raises(LedgerError, match="empty log"):
            log.commit()
        log.append("study", {})
        head = log.commit()
        assert log.commit() == head
    assert read_log(tmp_path).heads == (head,)


def test_time_never_goes_back(tmp_path: Path) -> None:
    moments = iter(
        [NOON, NOON - timedelta(days=1), NOON - timedelta(days=2), NOON + timedelta(seconds=1)] * 2
    )
    with Log.open(tmp_path, KEY, clock=lambda: next(moments)) as log:
        times = [
            log.append("a", {}).time,
            log.append("a", {}).time,
            log.commit().time,
            log.append("a", {}).time,
        ]
        times.append(log.commit().time)
    assert times == sorted(times)
    assert times[:3] == ["2026-01-02T12:00:00Z"] * 3
    assert len(read_log(tmp_path).heads) == 2


class Text(str):
    """A text whose equality is its own, so that two of them make two keys."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


@pytest.mark.parametrize(
    "body",
    [
        {"a": float("nan")},
        {"a": {1, 2}},
        {"a": "\ud800"},
        {Text("a"): 1, Text("a"): 2},
        {1: "a", "1": "b"},
        [1],
        None,
        {"a": b"bytes"},
    ],
)
def test_a_body_without_a_json_form_is_refused_and_leaves_no_trace(tmp_path: Path, body: Any) -> None:
    with Log.open(tmp_path, KEY) as log:
        log.append("a", {})
        with pytest.raises(InvalidInputError):
            log.append("a", body)
        with pytest.raises(InvalidInputError, match="kind"):
            log.append("No kind", {})
        log.append("a", {})
        log.commit()
    assert [entry.index for entry in read_log(tmp_path).entries] == [0, 1]


def test_keys_that_would_become_one_are_named(tmp_path: Path) -> None:
    with Log.open(tmp_path, KEY) as log:
        with pytest.raises(InvalidInputError, match="same as text"):
            log.append("a", {"inner": [{Text("a"): 1, Text("a"): 2}]})
        assert log.append("a", {"n": {10: "b", 9: "a"}}).body == {"n": {"10": "b", "9": "a"}}
        log.commit()
    read_log(tmp_path)


def test_bodies_too_deep_or_too_long_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with Log.open(tmp_path, KEY) as log:
        with pytest.raises(InvalidInputError, match="deep"):
            log.append("a", deep)
        monkeypatch.setattr(log_module, "MAX_ENTRY_BYTES", 200)
        with pytest.raises(InvalidInputError, match="over 200"):
            log.append("a", {"text": "x" * 200})
        assert log.pending == ()
    while deep:  # taken apart by hand: freeing so deep a nest at once may overflow the stack
        deep = deep["a"]


def test_leaving_entries_uncommitted_is_said(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="1 entries were never committed"), Log.open(tmp_path, KEY) as log:
        log.append("a", {})
    with pytest.raises(KeyError), Log.open(tmp_path, KEY) as log:
        log.append("a", {})
        raise KeyError
    with pytest.raises(LedgerError, match="closed"):
        log.append("a", {})
    with pytest.raises(LedgerError, match="closed"):
        log.commit()


def test_another_key_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 1)
    before = contents(tmp_path)
    with pytest.raises(LedgerError, match="use the key that began this log"):
        Log.open(tmp_path, SigningKey.generate())
    assert contents(tmp_path) == before
    write(tmp_path, 1)  # the refusal released the lock


def test_a_second_writer_is_refused_with_the_remedy(tmp_path: Path) -> None:
    first = Log.open(tmp_path, KEY)
    with pytest.raises(LedgerError, match=rf"process {os.getpid()}\) has this log open.*wait until"):
        Log.open(tmp_path, KEY)
    first.close()
    Log.open(tmp_path, KEY).close()


HOLD = """
import sys, time
from pathlib import Path
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
log = Log.open(Path(sys.argv[1]), SigningKey.generate())
log.append("a", {})
print("open", flush=True)
time.sleep(60)
"""


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    source = str(Path(huizhen.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )


def test_a_killed_writer_of_another_process_leaves_the_log_free(tmp_path: Path) -> None:
    with python(HOLD, tmp_path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(LedgerError, match=rf"process {other.pid}\)"):
            Log.open(tmp_path, KEY)
        other.send_signal(signal.SIGKILL)
        other.wait()
    write(tmp_path, 1)


def _try_in_child(log: Log, folder: Path, answers: Any) -> None:
    for act in (lambda: log.append("a", {}), lambda: Log.open(folder, KEY)):
        try:
            act()
        except LedgerError as error:
            answers.put(error.message)


def test_a_forked_child_neither_writes_nor_holds_the_log(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    log = Log.open(tmp_path, KEY)
    child = fork.Process(target=_try_in_child, args=(log, tmp_path, answers))
    child.start()
    said = [answers.get(timeout=30), answers.get(timeout=30)]
    child.join()
    assert "opened by another process" in said[0]
    assert f"process {os.getpid()}" in said[1]
    log.append("a", {})
    log.commit()
    log.close()


def cases_of_a_torn_commit(folder: Path) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield what a crash during the last commit may leave: entries cut anywhere, then the head cut anywhere."""
    write(folder, 2)
    before = contents(folder)
    write(folder, 3)
    after = contents(folder)
    for end in range(len(before[ENTRIES_FILE]), len(after[ENTRIES_FILE]) + 1):
        yield f"entries cut at {end}", after[ENTRIES_FILE][:end], before[HEADS_FILE]
    for end in range(len(before[HEADS_FILE]), len(after[HEADS_FILE])):
        yield f"head cut at {end}", after[ENTRIES_FILE], after[HEADS_FILE][:end]


def test_a_commit_torn_at_any_byte_is_dropped_whole_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # some thousand flushes would take half a minute
    source, folder = tmp_path / "source", tmp_path / "log"
    for case, entries, heads in cases_of_a_torn_commit(source):
        folder.mkdir()
        (folder / ENTRIES_FILE).write_bytes(entries)
        (folder / HEADS_FILE).write_bytes(heads)
        with Log.open(folder, KEY, clock=at_noon) as log:
            assert log.size == 2, case
            aside = b"".join(path.read_bytes() for path in log.set_aside)
        assert len(read_log(folder).entries) == 2, case
        kept = contents(folder)
        assert len(aside) == len(entries) + len(heads) - sum(map(len, kept.values())), case
        write(folder, 3)
        assert contents(folder) == contents(source), case
        shutil.rmtree(folder)


def test_a_head_block_that_the_disk_never_wrote_is_torn(tmp_path: Path) -> None:
    write(tmp_path, 1, 1)
    heads = (tmp_path / HEADS_FILE).read_bytes()
    middle = heads.index(b"\n") + 100
    (tmp_path / HEADS_FILE).write_bytes(heads[:middle] + bytes(50) + heads[middle + 50 :])
    with Log.open(tmp_path, KEY) as log:
        assert log.size == 1
        assert [path.name for path in log.set_aside] == ["heads.jsonl.torn-1", "entries.jsonl.torn-1"]


def test_entries_that_no_head_covers_are_kept_aside_each_time(tmp_path: Path) -> None:
    for number in (1, 2):
        with (tmp_path / ENTRIES_FILE).open("ab") as stream:
            stream.write(b"unsigned %d\n" % number)
        Log.open(tmp_path, KEY).close()
    assert torn(tmp_path) == [b"unsigned 1\n", b"unsigned 2\n"]
    assert (tmp_path / ENTRIES_FILE).read_bytes() == b""


@pytest.mark.parametrize("name", [ENTRIES_FILE, HEADS_FILE])
def test_a_signed_prefix_that_was_altered_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    write(tmp_path, 2, 2)
    good = contents(tmp_path)[name]
    for place in range(0, len(good), 7):
        bad = bytearray(good)
        bad[place] ^= 4
        (tmp_path / name).write_bytes(bad)
        with pytest.raises(VerificationError) as caught:
            Log.open(tmp_path, KEY)
        assert str(tmp_path) in str(caught.value.file)
        assert (tmp_path / name).read_bytes() == bad
    assert torn(tmp_path) == []


def test_a_signed_entry_that_is_missing_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 2, 2)
    good = contents(tmp_path)[ENTRIES_FILE]
    for end in range(len(good)):
        (tmp_path / ENTRIES_FILE).write_bytes(good[:end])
        with pytest.raises(VerificationError):
            Log.open(tmp_path, KEY)


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


def test_a_process_killed_at_random_loses_nothing_that_was_committed(tmp_path: Path) -> None:
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
    """Stands for `os` in the growing files: fails at the `at`-th write, flush or cut, and maybe ever after."""

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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: float, recovers: bool
) -> None:
    source = tmp_path / "source"
    write(source, 2)
    before = contents(source)
    failed = 0
    for at in range(1, 100):
        folder = tmp_path / str(at)
        shutil.copytree(source, folder)
        log = Log.open(folder, KEY, clock=at_noon)
        log.append("evidence", {"n": log.size, "text": "会诊"})
        with monkeypatch.context() as patch:
            patch.setattr(growing, "os", FailingDisk(at, part=part, recovers=recovers))
            try:
                log.commit()
            except StorageError as error:
                failed += 1
                assert "free space" in error.remedy
            else:
                break
        with pytest.raises(LedgerError, match="closed"):
            log.commit()
        if recovers:
            assert contents(folder) == before
        with Log.open(folder, KEY, clock=at_noon) as again:
            whole = again.size == 3
        if whole:  # everything was written, only the last flush and the cut failed
            assert not recovers
        else:
            assert contents(folder) == before
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


def test_a_real_limit_on_file_size_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    key = SigningKey.create_or_load(tmp_path / "key.pem")
    with python(FULL, tmp_path / "log", tmp_path / "key.pem") as process:
        assert process.stdout is not None
        assert "HZ80" in process.stdout.read()
    assert len(read_log(tmp_path / "log").entries) == 1
    assert torn(tmp_path / "log") == []
    write(tmp_path / "log", 1, key=key)


def test_something_else_that_writes_meanwhile_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, 1)
    log = Log.open(tmp_path, KEY)
    with (tmp_path / ENTRIES_FILE).open("ab") as stream:
        stream.write(b"foreign\n")
    log.append("a", {})
    with pytest.raises(VerificationError, match="changed by something else"):
        log.commit()
    with Log.open(tmp_path, KEY) as again:
        assert again.size == 1
    assert torn(tmp_path) == [b"foreign\n"]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        Log.open(tmp_path / "file" / "log", KEY)
