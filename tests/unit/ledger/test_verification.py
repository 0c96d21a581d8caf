"""Each check of a log, by a log that is right but for that one thing, signed by the key it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from huizhen.core.digests import canonical_json
from huizhen.errors import InvalidInputError, VerificationError
from huizhen.ledger.merkle import leaf_hash, root
from huizhen.ledger.records import Entry, SignedHead
from huizhen.ledger.signing import SigningKey
from huizhen.ledger.verification import VerifiedLog, verify_bytes

KEY, OTHER = SigningKey.generate(), SigningKey.generate()


def at(second: int) -> str:
    return f"2026-01-02T03:04:{second:02d}Z"


def entry(index: int, **changes: Any) -> Entry:
    values = {"index": index, "kind": "a", "time": at(index), "version": "0.1.0", "body": {"n": index}}
    return Entry(**{**values, **changes})


def lines(records: Sequence[Entry | SignedHead]) -> bytes:
    return b"".join(record.line() + b"\n" for record in records)


def heads_over(entries: Sequence[Entry], *sizes: int, key: SigningKey = KEY) -> list[SignedHead]:
    leaves = [leaf_hash(item.line()) for item in entries]
    heads: list[SignedHead] = []
    for size in sizes:
        time, before = entries[size - 1].time, heads[-1] if heads else None
        heads.append(SignedHead.sign(key, size=size, root=root(leaves[:size]), time=time, previous=before))
    return heads


def resign(head: SignedHead, **changes: Any) -> SignedHead:
    """Return the head with changes, signed again by its own key."""
    values = {name: value for name, value in head.to_json().items() if name != "signature"} | changes
    return SignedHead(**values, signature=KEY.sign("head", canonical_json(values)))


FIVE = [entry(index) for index in range(5)]
HEADS = heads_over(FIVE, 2, 3, 5)


def verify(
    entries: Sequence[Entry] = FIVE, heads: Sequence[SignedHead] = HEADS, **options: Any
) -> VerifiedLog:
    return verify_bytes(lines(entries), lines(heads), **options)


def refused(message: str, place: str | None, file: str, **options: Any) -> None:
    with pytest.raises(VerificationError, match=message) as caught:
        verify(**options)
    assert (caught.value.file, caught.value.field) == (file, place)


def test_a_whole_log_verifies() -> None:
    log = verify()
    assert log.entries == tuple(FIVE)
    assert log.heads == tuple(HEADS)
    assert log.head == HEADS[-1]
    assert log.tree.root().hex() == log.head.root
    assert "leaves" not in repr(log)


def test_every_head_given_from_outside_is_found() -> None:
    for head in HEADS:
        assert verify(external_head=head, expected_key_id=KEY.key_id).head == HEADS[-1]
    verify(external_head=HEADS[-1], exact=True)
    refused(
        "goes on after the external head of size 3", None, "heads.jsonl", external_head=HEADS[1], exact=True
    )
    with pytest.raises(InvalidInputError, match="needs an external head"):
        verify(exact=True)


def test_another_log_does_not_fit_the_external_head() -> None:
    others = [entry(index, body={}) for index in range(5)]
    mine = heads_over(others, 2, 3, 5)
    refused(
        "external head in root, previous, signature",
        "head 2",
        "heads.jsonl",
        entries=others,
        heads=mine,
        external_head=HEADS[2],
    )
    theirs = heads_over(FIVE, 2, 3, 5, key=OTHER)
    refused(
        "external head in previous, key_id, public_key, signature",
        "head 2",
        "heads.jsonl",
        heads=theirs,
        external_head=HEADS[2],
    )
    refused(
        "no head of size 5.*the last has 3",
        None,
        "heads.jsonl",
        entries=FIVE[:3],
        heads=HEADS[:2],
        external_head=HEADS[2],
    )


def test_only_the_expected_key_is_taken() -> None:
    refused(
        f"signed by key {KEY.key_id}, not {OTHER.key_id}",
        "head 0",
        "heads.jsonl",
        expected_key_id=OTHER.key_id,
    )


def test_a_log_without_a_head_is_not_verified() -> None:
    for entries in (FIVE, []):
        refused("no signed head", None, "heads.jsonl", entries=entries, heads=[])


def test_lines_end_with_a_newline() -> None:
    for entries, heads, file, place in (
        (lines(FIVE)[:-1], lines(HEADS), "entries.jsonl", "entry 4"),
        (lines(FIVE), lines(HEADS)[:-1], "heads.jsonl", "head 2"),
        (lines(FIVE), lines(HEADS) + b"x", "heads.jsonl", "head 3"),
    ):
        with pytest.raises(VerificationError, match="cut short") as caught:
            verify_bytes(entries, heads)
        assert (caught.value.file, caught.value.field) == (file, place)


def test_heads_follow_one_another() -> None:
    refused("does not name the head before", "head 0", "heads.jsonl", heads=HEADS[1:])
    refused("does not name the head before", "head 1", "heads.jsonl", heads=[HEADS[0], HEADS[2]])
    again = resign(HEADS[2], previous=HEADS[2].digest)
    refused("has size 5 after 5", "head 3", "heads.jsonl", heads=[*HEADS, again])
    smaller = resign(HEADS[0], previous=HEADS[2].digest)
    refused("has size 2 after 5", "head 3", "heads.jsonl", heads=[*HEADS, smaller])
    foreign = SignedHead.sign(OTHER, size=5, root=bytes.fromhex(HEADS[2].root), time=at(4), previous=HEADS[1])
    refused("another key than the head before", "head 2", "heads.jsonl", heads=[*HEADS[:2], foreign])


def test_the_last_head_covers_every_entry() -> None:
    refused("not covered by the last signed head", "entry 5", "entries.jsonl", entries=[*FIVE, entry(5)])
    refused("missing: the last signed head has size 5", "entry 4", "entries.jsonl", entries=FIVE[:4])


def test_indices_run_from_nought() -> None:
    wrong = [*FIVE[:3], entry(4), entry(4)]
    refused(
        "says that it is entry 4", "entry 3", "entries.jsonl", entries=wrong, heads=heads_over(wrong, 2, 5)
    )


def test_times_never_go_back() -> None:
    wrong = [*FIVE[:3], entry(3, time=at(1)), entry(4)]
    refused(
        "has time .*01Z after .*02Z",
        "entry 3",
        "entries.jsonl",
        entries=wrong,
        heads=heads_over(wrong, 1, 5),
    )
    late = resign(HEADS[2], time=at(3))
    refused("has time .*03Z after .*04Z", "head 2", "heads.jsonl", heads=[*HEADS[:2], late])
    after = resign(HEADS[0], time=at(2))
    follow = [resign(HEADS[1], previous=after.digest)]
    follow.append(resign(HEADS[2], previous=follow[0].digest))
    verify(heads=[after, *follow])
    after = resign(HEADS[0], time=at(3))
    follow = [resign(HEADS[1], previous=after.digest, time=at(3))]
    follow.append(resign(HEADS[2], previous=follow[0].digest))
    refused("has time .*02Z after .*03Z", "entry 2", "entries.jsonl", heads=[after, *follow])


@pytest.mark.parametrize(
    ("index", "place"), [(0, "entries 0 to 1"), (1, "entries 0 to 1"), (2, "entry 2"), (4, "entries 3 to 4")]
)
def test_an_altered_entry_is_placed_between_two_heads(index: int, place: str) -> None:
    wrong = [*FIVE[:index], replace(FIVE[index], body={"n": 7}), *FIVE[index + 1 :]]
    refused("the Merkle root differs from that of head", place, "entries.jsonl", entries=wrong)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_heads_signature_is_checked(number: int) -> None:
    heads = list(HEADS)
    for place in range(number, 3):  # later heads are signed again, so that only this signature is wrong
        heads[place] = resign(heads[place], previous=heads[place - 1].digest if place else None)
        if place == number:
            heads[place] = replace(heads[place], signature=OTHER.sign("head", b"something else"))
    refused("signature of key .* does not hold", f"head {number}", "heads.jsonl", heads=heads)


def test_a_short_name_of_another_key_is_refused() -> None:
    heads = heads_over(FIVE, 5)
    wrong = resign(heads[0], key_id=OTHER.key_id)
    refused(
        "not that of its public key", "head 0", "heads.jsonl", heads=[wrong], expected_key_id=OTHER.key_id
    )
