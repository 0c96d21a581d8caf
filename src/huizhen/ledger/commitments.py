"""Commitments: what files hold is fixed in the log now and shown later, without telling anything in between.

committed = {"sealed.json": commitment(salt, "sealed.json", digest)}   # entered before the model is fitted
check_opening(committed, salt, {"sealed.json": digest})                # entered when outcomes are opened
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from huizhen.core.digests import Digest, digest_bytes
from huizhen.errors import InvalidInputError, VerificationError

DOMAIN = b"huizhen/commitment\0"
_SALT = re.compile(r"[0-9a-f]{64}")


def commitment(salt: str, name: str, digest: Digest) -> Digest:
    """Return the SHA-256 of domain, `salt` (64 hexadecimal digits), `name` and `digest`.

    Binding as long as SHA-256 has no collisions; hiding as long as the salt is secret. Raises
    `InvalidInputError` on a salt of another form.

    >>> commitment("00" * 32, "a", digest_bytes(b"")) == commitment("00" * 32, "b", digest_bytes(b""))
    False
    """
    if not _SALT.fullmatch(salt):
        raise InvalidInputError(
            "a salt is 64 hexadecimal digits", remedy="give 32 bytes as hex", field="salt"
        )
    return digest_bytes(DOMAIN + b"\0".join([salt.encode(), name.encode(), digest.encode()]))


def check_opening(committed: Any, salt: Any, opened: Any) -> None:
    """Check that `opened` (name -> digest) with `salt` is all that `committed` (name -> commitment) fixed.

    Arguments come from log entries and may be of any form. Raises `VerificationError`.
    """
    if not isinstance(committed, Mapping) or not isinstance(opened, Mapping) or not committed:
        raise _broken("nothing was committed to, or nothing opened")
    if set(committed) != set(opened):
        raise _broken("other files were opened than were committed to")
    for name, digest in opened.items():
        if not isinstance(salt, str) or not _SALT.fullmatch(salt) or not isinstance(digest, str):
            raise _broken("the opening has another form")
        if commitment(salt, name, Digest(digest)) != committed[name]:
            raise _broken(f"{name} is not what was committed to")


def _broken(why: str) -> VerificationError:
    return VerificationError(why, remedy="trust no result that was made after the outcomes were opened")
