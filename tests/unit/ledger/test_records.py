"""Records have one form: closed fields, bounded sizes, canonical lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from huizhen.core.digests import canonical_json
from huizhen.errors import InvalidInputError, VerificationError
from huizhen.ledger import records
from huizhen.ledger.records import Entry, SignedHead, utc_text
from huizhen.ledger.signing import SigningKey

KEY = SigningKey.generate()
ENTRY = {
    "index": 0,
    "kind": "evidence",
    "time": "2026-01-02T03:04:05Z",
    "version": "0.1.0",
    "body": {"auc": 0.5, "名": [1, None, True]},
}
HEAD = SignedHead.sign(KEY, size=1, root=bytes(32), time="2026-01-02T03:04:05Z", previous=None).to_json()


def test_records_survive_the_round_trip() -> None:
    entry, head = Entry.from_json(ENTRY), SignedHead.from_json(HEAD)
    assert entry.to_json() == ENTRY
    assert Entry.from_line(entry.line(), file="f", field="0") == entry
    assert SignedHead.from_line(head.line(), file="f", field="0") == head
    assert entry.line() == canonical_json(ENTRY)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", -1),
        ("index", True),
        ("index", 1.0),
        ("index", "0"),
        ("index", 2**40 + 1),
        ("kind", ""),
        ("kind", "Evidence"),
        ("kind", "x" * 65),
        ("kind", 3),
        ("time", "2026-01-02T03:04:05"),
        ("time", "2026-01-02 03:04:05Z"),
        ("time", "2026-13-02T03:04:05Z"),
        ("time", "2026-01-02T03:04:05.1Z"),
        ("time", "2026-01-02T03:04:05Z\n"),
        ("time", "２０２６-01-02T03:04:05Z"),
        ("time", None),
        ("version", ""),
        ("version", "0.1 0"),
        ("body", []),
        ("body", None),
        ("body", "text"),
    ],
)
def test_an_ill_typed_entry_is_refused(field: str, value: object) -> None:
    with pytest.raises(VerificationError) as caught:
        Entry.from_json({**ENTRY, field: value}, file="entries.jsonl", field="entry 0")
    assert caught.value.file == "entries.jsonl"
    assert field in caught.value.message
    with pytest.raises(InvalidInputError):
        Entry(**{**ENTRY, field: value})  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0),
        ("size", True),
        ("root", "0" * 63),
        ("root", "A" * 64),
        ("previous", ""),
        ("previous", 0),
        ("key_id", "0" * 17),
        ("public_key", "0" * 62),
        ("signature", "0" * 127),
        ("time", "now"),
    ],
)
def test_an_ill_typed_head_is_refused(field: str, value: object) -> None:
    with pytest.raises(VerificationError, match=field):
        SignedHead.from_json({**HEAD, field: value})


@pytest.mark.parametrize("record", [ENTRY, HEAD])
def test_a_missing_or_unknown_field_is_refused(record: dict[str, Any]) -> None:
    kind = Entry if "body" in record else SignedHead
    for name in record:
        with pytest.raises(VerificationError, match="exactly the fields"):
            kind.from_json({key: value for key, value in record.items() if key != name})
    for wrong in ({**record, "extra": 1}, [], None, "x"):
        with pytest.raises(VerificationError, match="exactly the fields"):
            kind.from_json(wrong)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"nan",
        b"[" * 100_000,
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        canonical_json(ENTRY) + b" ",
        b" " + canonical_json(ENTRY),
        canonical_json(ENTRY).replace(b":0.5", b":0.50"),
        canonical_json(ENTRY).replace(b'"index":0', b'"index":0,"index":0'),
        canonical_json(ENTRY).replace("名".encode(), b"\\u540d"),
    ],
)
def test_only_canonical_lines_are_read(line: bytes) -> None:
    with pytest.raises(VerificationError, match=r"is no JSON|not in canonical form") as caught:
        Entry.from_line(line, file="entries.jsonl", field="entry 7")
    assert (caught.value.file, caught.value.field) == ("entries.jsonl", "entry 7")


def test_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    line = canonical_json(ENTRY)
    monkeypatch.setattr(records, "MAX_ENTRY_BYTES", len(line))
    Entry.from_line(line, file="f", field="0")
    monkeypatch.setattr(records, "MAX_ENTRY_BYTES", len(line) - 1)
    with pytest.raises(VerificationError, match="longer than"):
        Entry.from_line(line, file="f", field="0")
    with pytest.raises(VerificationError, match="longer than 4096"):
        SignedHead.from_line(b" " * 4097, file="f", field="0")


def test_a_heads_signature_covers_every_field() -> None:
    head = SignedHead.from_json(HEAD)
    head.verify()
    other = SigningKey.generate()
    for change in (
        {"size": 2},
        {"root": "1" * 64},
        {"time": "2026-01-02T03:04:06Z"},
        {"previous": "0" * 64},
        {"key_id": other.key_id},
        {"public_key": other.public.hex},
        {"key_id": other.key_id, "public_key": other.public.hex},
        {"signature": "0" * 128},
    ):
        with pytest.raises(VerificationError):
            SignedHead.from_json({**HEAD, **change}).verify()


def test_times_are_written_in_utc() -> None:
    moment = datetime(2026, 1, 2, 8, 4, 5, tzinfo=timezone(timedelta(hours=8)))
    assert utc_text(moment) == "2026-01-02T00:04:05Z"
    assert utc_text(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00Z"
