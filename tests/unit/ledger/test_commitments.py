"""Commitments: bound to salt, name and digest; anything else opened is refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from huizhen.core.digests import digest_bytes
from huizhen.errors import InvalidInputError, VerificationError
from huizhen.ledger.commitments import check_opening, commitment

SALT = "ab" * 32
OPENED = {"a": digest_bytes(b"a"), "b": digest_bytes(b"b")}
COMMITTED = {name: commitment(SALT, name, digest) for name, digest in OPENED.items()}


def test_a_commitment_is_the_hash_that_is_written_down() -> None:
    text = b"huizhen/commitment\0" + SALT.encode() + b"\0a\0" + OPENED["a"].encode()
    assert COMMITTED["a"] == hashlib.sha256(text).hexdigest()


def test_what_was_committed_to_opens() -> None:
    check_opening(COMMITTED, SALT, OPENED)


@pytest.mark.parametrize(
    ("committed", "salt", "opened"),
    [
        (COMMITTED, "00" * 32, OPENED),
        (COMMITTED, None, OPENED),
        (COMMITTED, SALT.upper(), OPENED),
        (COMMITTED, SALT, {"a": OPENED["a"]}),
        (COMMITTED, SALT, {"a": OPENED["b"], "b": OPENED["a"]}),
        (COMMITTED, SALT, OPENED | {"b": 3}),
        ({}, SALT, {}),
        (None, SALT, OPENED),
        (COMMITTED, SALT, "ab"),
    ],
)
def test_anything_else_is_refused(committed: Any, salt: Any, opened: Any) -> None:
    with pytest.raises(VerificationError):
        check_opening(committed, salt, opened)


@pytest.mark.parametrize("salt", ["", "ab", "AB" * 32, "ab" * 33])
def test_a_short_salt_is_no_salt(salt: str) -> None:
    with pytest.raises(InvalidInputError, match="64 hexadecimal"):
        commitment(salt, "a", OPENED["a"])
