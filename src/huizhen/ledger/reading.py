"""Reading a log as anybody can: fetched, verified, and proofs that an entry or an earlier head is in it.

A regulator needs this module, the log's folder and a head from elsewhere:

    log = read_log(Path("run/ledger"), external_head=read_head(Path("head.json")))
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huizhen.errors import LedgerError
from huizhen.ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from huizhen.ledger.records import Entry, SignedHead, altered
from huizhen.ledger.verification import ENTRIES_FILE, HEADS_FILE, VerifiedLog, verify_bytes

__all__ = [
    "ENTRIES_FILE",
    "HEADS_FILE",
    "Entry",
    "SignedHead",
    "VerifiedLog",
    "check_entry_proof",
    "check_growth_proof",
    "entry_proof",
    "growth_proof",
    "located",
    "read_head",
    "read_log",
    "read_part",
    "verify_bytes",
]


def read_log(
    folder: Path,
    *,
    expected_key_id: str | None = None,
    external_head: SignedHead | None = None,
    exact: bool = False,
) -> VerifiedLog:
    """Return the log in `folder`, verified as `verify_bytes` says.

    Raises also `LedgerError` when it can't be read.
    """
    with located(folder):
        return verify_bytes(
            read_part(folder / ENTRIES_FILE),
            read_part(folder / HEADS_FILE),
            expected_key_id=expected_key_id,
            external_head=external_head,
            exact=exact,
        )


def read_part(path: Path) -> bytes:
    """Return the bytes of one of a log's files. Raises `LedgerError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise LedgerError(
            f"can't be read ({error.strerror})", remedy="name the folder that holds the log", file=path.name
        ) from error


@contextmanager
def located(folder: Path) -> Iterator[None]:
    """Let errors raised inside name the file within `folder`."""
    try:
        yield
    except LedgerError as error:
        error.file = str(folder / error.file) if error.file else str(folder)
        raise


def read_head(path: Path) -> SignedHead:
    """Return the head in a JSON file, in any layout: one that was published, to verify a log against.

    Its signature is checked. Raises `VerificationError`, or `LedgerError` when it can't be read.
    """
    with located(path.parent):
        try:
            record = json.loads(read_part(path))
        except (ValueError, RecursionError) as error:
            raise altered("is no JSON", file=path.name) from error
        head = SignedHead.from_json(record, file=path.name)
        head.verify()
    return head


def entry_proof(log: VerifiedLog, index: int) -> dict[str, Any]:
    """Return the JSON proof that entry `index` is in the log under its last head; O(log n) after the first.

    Raises `InvalidInputError` on an index that the log lacks.
    """
    path = log.tree.inclusion_proof(index)
    return {"index": index, "size": log.head.size, "path": [node.hex() for node in path]}


def check_entry_proof(entry: Entry, proof: object, head: SignedHead) -> None:
    """Check that `entry` is in the log of `head`, by a proof that `entry_proof` made; and head's signature.

    Raises `VerificationError`, also on an ill-formed proof. Whose key signed the head is for the caller to
    check, by `head.key_id`.
    """
    place = f"entry {entry.index}"
    path = _path(proof, {"index": entry.index, "size": head.size}, place)
    head.verify()
    verify_inclusion(
        leaf_hash(entry.line()),
        index=entry.index,
        size=head.size,
        proof=path,
        root=bytes.fromhex(head.root),
    )


def growth_proof(log: VerifiedLog, first: int) -> dict[str, Any]:
    """Return the JSON proof that the log under its last head begins with its first `first` entries.

    For who holds an earlier head, but may not see the entries. Raises `InvalidInputError` on a size that the
    log never had.
    """
    path = log.tree.consistency_proof(first)
    return {"first": first, "second": log.head.size, "path": [node.hex() for node in path]}


def check_growth_proof(earlier: SignedHead, later: SignedHead, proof: object) -> None:
    """Check that the log of `later` only added to that of `earlier`, by a proof that `growth_proof` made.

    Both signatures are checked, and that they are by one key. Raises `VerificationError`.
    """
    path = _path(proof, {"first": earlier.size, "second": later.size}, "growth proof")
    if earlier.public_key != later.public_key:
        raise altered("the two heads are signed by different keys", field="public_key")
    earlier.verify()
    later.verify()
    verify_consistency(
        first=earlier.size,
        second=later.size,
        first_root=bytes.fromhex(earlier.root),
        second_root=bytes.fromhex(later.root),
        proof=path,
    )


def _path(proof: object, about: Mapping[str, int], place: str) -> tuple[bytes, ...]:
    """Return the hashes of a JSON `proof` that must be `about` these numbers. Raises `VerificationError`."""
    if not isinstance(proof, Mapping) or set(proof) != {*about, "path"}:
        raise altered(f"the proof has not exactly the fields {', '.join(about)}, path", field=place)
    for name, number in about.items():
        if type(proof[name]) is not int or proof[name] != number:
            raise altered(f"the proof is for another {name}", field=place)
    nodes = proof["path"]
    if type(nodes) is not list or len(nodes) > 64 or any(type(node) is not str for node in nodes):
        raise altered("the proof has no list of hashes", field=place)
    try:
        return tuple(bytes.fromhex(node) for node in nodes)
    except ValueError as error:
        raise altered("the proof holds what is no hash", field=place) from error
