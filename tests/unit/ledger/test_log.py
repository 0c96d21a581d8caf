"""The writer: what it writes, what it refuses, and whose key it takes."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import huizhen
from huizhen.core.digests import canonical_json
from huizhen.errors import InvalidInputError, LedgerError, StorageError
from huizhen.ledger import log as log_module
from huizhen.ledger.log import Log
from huizhen.ledger.merkle import leaf_hash, root
from huizhen.ledger.reading import ENTRIES_FILE, HEADS_FILE, read_log
from huizhen.ledger.signing import SigningKey

Scribe = Any  # the fixture of conftest.py
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_a_commit_writes_one_canonical_line_an_entry_and_one_head(tmp_path: Path, scribe: Scribe) -> None:
    scribe.write(tmp_path, 2, 1)
    lines = (tmp_path / ENTRIES_FILE).read_bytes().splitlines()
    records = [json.loads(line) for line in lines]
    assert [canonical_json(record) for record in records] == lines
    assert [record["index"] for record in records] == [0, 1, 2]
    assert {record["time"] for record in records} == {"2026-01-02T12:00:00Z"}
    assert {record["version"] for record in records} == {huizhen.__version__}
    heads = [json.loads(line) for line in (tmp_path / HEADS_FILE).read_text().splitlines()]
    assert [head["size"] for head in heads] == [2, 3]
    assert heads[1]["root"] == root([leaf_hash(line) for line in lines]).hex()


def test_what_is_appended_is_what_is_read(tmp_path: Path, scribe: Scribe) -> None:
    body: dict[str, Any] = {
        "auc": 0.1 + 0.2,
        "interval": (0.25, 1),
        "name": "会诊",
        "none": None,
        "rows": [{}],
    }
    with Log.open(tmp_path, scribe.key) as log:
        entry = log.append("evidence", body)
        body["rows"][0]["later"] = 1
        assert (log.pending, log.entries, log.head) == ((entry,), (), None)
        head = log.commit()
        assert (log.pending, log.entries, log.head, log.heads) == ((), (entry,), head, (head,))
    verified = read_log(tmp_path)
    assert verified.entries == (entry,)
    assert verified.head == head
    assert entry.body == {**body, "interval": [0.25, 1], "rows": [{}]}


def test_reopening_goes_on_where_it_stood(tmp_path: Path, scribe: Scribe) -> None:
    scribe.write(tmp_path / "once", 2, 1)
    scribe.write(tmp_path / "twice", 2)
    scribe.write(tmp_path / "twice", 1)
    assert scribe.contents(tmp_path / "once") == scribe.contents(tmp_path / "twice")
    assert scribe.torn(tmp_path / "twice") == []


def test_a_commit_of_nothing_keeps_the_last_head(tmp_path: Path, scribe: Scribe) -> None:
    with Log.open(tmp_path, scribe.key) as log:
        with pytest.raises(LedgerError, match="empty log"):
            log.commit()
        log.append("study", {})
        head = log.commit()
        assert log.commit() == head
    assert read_log(tmp_path).heads == (head,)


def test_time_never_goes_back(tmp_path: Path, scribe: Scribe) -> None:
    moments = iter(
        [NOON, NOON - timedelta(days=1), NOON - timedelta(days=2), NOON + timedelta(seconds=1)] * 2
    )
    with Log.open(tmp_path, scribe.key, clock=lambda: next(moments)) as log:
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
def test_a_body_without_a_json_form_is_refused_and_leaves_no_trace(
    tmp_path: Path, body: Any, scribe: Scribe
) -> None:
    with Log.open(tmp_path, scribe.key) as log:
        log.append("a", {})
        with pytest.raises(InvalidInputError):
            log.append("a", body)
        with pytest.raises(InvalidInputError, match="kind"):
            log.append("No kind", {})
        log.append("a", {})
        log.commit()
    assert [entry.index for entry in read_log(tmp_path).entries] == [0, 1]


def test_keys_that_would_become_one_are_named(tmp_path: Path, scribe: Scribe) -> None:
    with Log.open(tmp_path, scribe.key) as log:
        with pytest.raises(InvalidInputError, match="same as text"):
            log.append("a", {"inner": [{Text("a"): 1, Text("a"): 2}]})
        assert log.append("a", {"n": {10: "b", 9: "a"}}).body == {"n": {"10": "b", "9": "a"}}
        log.commit()
    read_log(tmp_path)


def test_bodies_too_deep_or_too_long_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scribe: Scribe
) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with Log.open(tmp_path, scribe.key) as log:
        with pytest.raises(InvalidInputError, match="deep"):
            log.append("a", deep)
        monkeypatch.setattr(log_module, "MAX_ENTRY_BYTES", 200)
        with pytest.raises(InvalidInputError, match="over 200"):
            log.append("a", {"text": "x" * 200})
        assert log.pending == ()
    while deep:  # taken apart by hand: freeing so deep a nest at once may overflow the stack
        deep = deep["a"]


def test_leaving_entries_uncommitted_is_said(tmp_path: Path, scribe: Scribe) -> None:
    with (
        pytest.raises(LedgerError, match="1 entries were never committed"),
        Log.open(tmp_path, scribe.key) as log,
    ):
        log.append("a", {})
    with contextlib.suppress(KeyError), Log.open(tmp_path, scribe.key) as log:
        log.append("a", {})
        raise KeyError  # what went wrong is not hidden behind what was lost by it
    with pytest.raises(LedgerError, match="closed"):
        log.append("a", {})
    with pytest.raises(LedgerError, match="closed"):
        log.commit()


def test_another_key_is_refused_and_changes_nothing(tmp_path: Path, scribe: Scribe) -> None:
    scribe.write(tmp_path, 1)
    with (tmp_path / ENTRIES_FILE).open("ab") as stream:
        stream.write(b"torn")
    before = scribe.contents(tmp_path)
    with pytest.raises(LedgerError, match="use the key that began this log"):
        Log.open(tmp_path, SigningKey.generate())
    assert scribe.contents(tmp_path) == before
    assert scribe.torn(tmp_path) == []
    scribe.write(tmp_path, 1)  # the refusal released the lock


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path, scribe: Scribe) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        Log.open(tmp_path / "file" / "log", scribe.key)


def test_a_log_at_rest_is_written_on_where_nobody_else_wrote(tmp_path: Path, scribe: Scribe) -> None:
    log = scribe.open(tmp_path)
    log.append("evidence", {"n": 0})
    with pytest.raises(LedgerError, match="not committed"):
        log.rest()
    log.commit()
    log.rest()
    with pytest.raises(LedgerError, match="closed"):
        log.append("evidence", {"n": 1})
    assert log.wake()
    assert log.wake()
    with pytest.raises(LedgerError, match="another writer"):
        scribe.open(tmp_path)
    log.append("evidence", {"n": 1})
    log.commit()
    log.close()
    assert [entry.body["n"] for entry in read_log(tmp_path).entries] == [0, 1]


def test_a_log_at_rest_in_which_another_wrote_is_not_written_on(tmp_path: Path, scribe: Scribe) -> None:
    log = scribe.open(tmp_path)
    log.append("evidence", {"n": 0})
    log.commit()
    log.rest()
    with scribe.open(tmp_path) as other:
        other.append("evidence", {"n": 1})
        other.commit()
        with pytest.raises(LedgerError, match="another writer"):
            log.wake()
    assert not log.wake()
    scribe.open(tmp_path).close()  # nobody holds the lock


@pytest.mark.parametrize("name", [ENTRIES_FILE, HEADS_FILE])
def test_a_log_at_rest_whose_end_was_changed_is_not_written_on(
    tmp_path: Path, scribe: Scribe, name: str
) -> None:
    log = scribe.open(tmp_path)
    log.append("evidence", {"n": 0})
    log.commit()
    log.rest()
    held = (tmp_path / name).read_bytes()
    changed = held + b"x" if name == ENTRIES_FILE else held[:-4] + b"0" + held[-3:]
    (tmp_path / name).write_bytes(changed)
    assert not log.wake()
    (tmp_path / name).unlink()
    assert not log.wake()
