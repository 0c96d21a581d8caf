"""Verification: every byte of a log is re-hashed and every signature checked, in memory and without torch.

Without an `external_head` a
verified log is whole in itself; only a head kept elsewhere (printed in the dossier, sent to a regulator)
shows that its owner did not write another one instead, or leave out the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from huizhen.errors import InvalidInputError, VerificationError
from huizhen.ledger.merkle import Frontier, Tree, leaf_hash
from huizhen.ledger.records import Entry, SignedHead, altered

ENTRIES_FILE = "entries.jsonl"
HEADS_FILE = "heads.jsonl"


@dataclass(frozen=True, kw_only=True)  # without slots: the tree is built once, when a proof is asked for
class VerifiedLog:
    """A log that verified: its entries in order, and its heads, the last of which covers them all."""

    entries: tuple[Entry, ...]
    heads: tuple[SignedHead, ...]
    leaves: tuple[bytes, ...] = field(repr=False)

    @property
    def head(self) -> SignedHead:
        """The last head: what to publish, and to give to the next verification as `external_head`."""
        return self.heads[-1]

    @cached_property
    def tree(self) -> Tree:
        """The Merkle tree over all entries, for proofs."""
        return Tree.over(self.leaves)


def verify_bytes(
    entries: bytes,
    heads: bytes,
    *,
    expected_key_id: str | None = None,
    external_head: SignedHead | None = None,
    exact: bool = False,
) -> VerifiedLog:
    """Return the log whose files hold `entries` and `heads`, if every check holds.

    Every line is canonical; indices run from 0; times never go back; sizes grow; each head names the one
    before, its root is that over its entries (so all heads are consistent), and one key signed them all; the
    last head covers every entry. `expected_key_id`: the key must be this one. `external_head`: this very head
    must be one of the log's, or the last with `exact`. Raises `VerificationError` that names file, line and
    what differs, `InvalidInputError` on `exact` without an external head. Cheap checks come first.
    """
    if exact and external_head is None:
        raise InvalidInputError("exact needs an external head", remedy="give one, or leave exact out")
    signed = [
        SignedHead.from_line(line, file=HEADS_FILE, field=f"head {number}")
        for number, line in enumerate(_lines(heads, HEADS_FILE, "head"))
    ]
    _check_heads(signed, expected_key_id)
    _check_external(signed, external_head, exact)
    lines = _lines(entries, ENTRIES_FILE, "entry")
    recorded = [
        Entry.from_line(line, file=ENTRIES_FILE, field=f"entry {index}") for index, line in enumerate(lines)
    ]
    _check_entries(recorded, signed)
    _check_times(recorded, signed)
    leaves = tuple(map(leaf_hash, lines))
    _check_roots(leaves, signed)
    for number, head in enumerate(signed):
        _check_signature(number, head)
    return VerifiedLog(entries=tuple(recorded), heads=tuple(signed), leaves=leaves)


def _lines(data: bytes, file: str, what: str) -> list[bytes]:
    """Return the lines of `data` without their newlines; each must have one."""
    *lines, rest = data.split(b"\n")
    if rest:
        raise altered("the last line is cut short", file=file, field=f"{what} {len(lines)}")
    return lines


def _check_heads(heads: Sequence[SignedHead], expected_key_id: str | None) -> None:
    """Check that there are heads, that they follow one another, and that one key, the expected, made them."""
    if not heads:
        raise altered("no signed head: nothing vouches for the entries", file=HEADS_FILE)
    first = heads[0]
    if expected_key_id is not None and first.key_id != expected_key_id:
        raise altered(f"signed by key {first.key_id}, not {expected_key_id}", file=HEADS_FILE, field="head 0")
    before: SignedHead | None = None
    for number, head in enumerate(heads):
        _check_follows(before, head, f"head {number}")
        before = head


def _check_follows(before: SignedHead | None, head: SignedHead, place: str) -> None:
    if head.previous != (before.digest if before else None):
        raise altered("does not name the head before it", file=HEADS_FILE, field=place)
    if before is None:
        return
    if head.public_key != before.public_key:
        raise altered("is signed by another key than the head before", file=HEADS_FILE, field=place)
    if head.size <= before.size:
        raise altered(f"has size {head.size} after {before.size}", file=HEADS_FILE, field=place)


def _check_external(heads: Sequence[SignedHead], external: SignedHead | None, exact: bool) -> None:
    """Check that the head given from outside is one of the log's, or its last if `exact`."""
    if external is None:
        return
    number = next((number for number, head in enumerate(heads) if head.size == external.size), None)
    if number is None:
        raise altered(
            f"no head of size {external.size}, which the external head has (the last has {heads[-1].size})",
            file=HEADS_FILE,
        )
    ours, theirs = heads[number].to_json(), external.to_json()
    if differs := [name for name in theirs if ours[name] != theirs[name]]:
        raise altered(
            f"differs from the external head in {', '.join(differs)}", file=HEADS_FILE, field=f"head {number}"
        )
    if exact and number != len(heads) - 1:
        raise altered(f"goes on after the external head of size {external.size}", file=HEADS_FILE)


def _check_entries(entries: Sequence[Entry], heads: Sequence[SignedHead]) -> None:
    """Check that there is every entry that the heads cover and no other, each in its place."""
    size = heads[-1].size
    if len(entries) > size:
        raise VerificationError(
            f"not covered by the last signed head, of size {size}",
            remedy="if a run was interrupted, run it again; else take the log from its owner again",
            file=ENTRIES_FILE,
            field=f"entry {size}",
        )
    if len(entries) < size:
        raise altered(
            f"missing: the last signed head has size {size}", file=ENTRIES_FILE, field=f"entry {len(entries)}"
        )
    for index, entry in enumerate(entries):
        if entry.index != index:
            raise altered(f"says that it is entry {entry.index}", file=ENTRIES_FILE, field=f"entry {index}")


def _check_times(entries: Sequence[Entry], heads: Sequence[SignedHead]) -> None:
    """Check that time never goes back, from entry to entry and over the head that closes each commit."""
    time, first = "", 0
    for number, head in enumerate(heads):
        for index in range(first, head.size):
            time = _not_before(time, entries[index].time, ENTRIES_FILE, f"entry {index}")
        time, first = _not_before(time, head.time, HEADS_FILE, f"head {number}"), head.size


def _not_before(earlier: str, time: str, file: str, place: str) -> str:
    if time < earlier:
        raise altered(f"has time {time} after {earlier}", file=file, field=place)
    return time


def _check_roots(leaves: Sequence[bytes], heads: Sequence[SignedHead]) -> None:
    """Check each head's root against the leaves, which also shows that the heads are consistent."""
    frontier = Frontier()
    for number, head in enumerate(heads):
        first = frontier.size
        frontier = frontier.extend(leaves[first : head.size])
        if frontier.root().hex() != head.root:
            raise altered(
                f"the Merkle root differs from that of head {number} (size {head.size})",
                file=ENTRIES_FILE,
                field=f"entry {first}" if head.size - first == 1 else f"entries {first} to {head.size - 1}",
            )


def _check_signature(number: int, head: SignedHead) -> None:
    try:
        head.verify()
    except VerificationError as error:
        raise altered(error.message, file=HEADS_FILE, field=f"head {number}") from error
