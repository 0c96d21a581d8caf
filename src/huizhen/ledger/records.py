"""What a line of the log is: an `Entry`, or a `SignedHead` over all entries up to it.

A record has one form only, its canonical JSON; anything else that would mean the same is refused, so that
every byte of a log is covered by a hash or a signature.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from huizhen.core.digests import Digest, canonical_json, digest_bytes
from huizhen.errors import InvalidInputError, VerificationError
from huizhen.ledger.signing import PublicKey, SigningKey

MAX_ENTRY_BYTES = 16 * 1024 * 1024
"""The longest line of an entry; larger things are kept in files and entered by digest."""
MAX_HEAD_BYTES = 4096
MAX_SIZE = 2**40
HEAD_DOMAIN = "head"

_KIND = re.compile(r"[a-z][a-z0-9_./-]{0,63}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!-]{0,63}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_HEX_16 = re.compile(r"[0-9a-f]{16}")
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_HEX_128 = re.compile(r"[0-9a-f]{128}")


def utc_text(moment: datetime) -> str:
    """Return a moment as the log writes it: UTC, ISO 8601, whole seconds.

    >>> utc_text(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def altered(what: str, *, file: str | None = None, field: str | None = None) -> VerificationError:
    """Return the error for a record that is not as it was written."""
    return VerificationError(
        what, remedy="take the log from its owner or a backup again; don't edit it", file=file, field=field
    )


def _check_text(name: str, value: object, form: re.Pattern[str]) -> None:
    if type(value) is not str or not form.fullmatch(value):
        raise InvalidInputError(
            f"{name} is not of the form {form.pattern}", remedy="give it in that form", field=name
        )


def _check_count(name: str, value: object, *, least: int) -> None:
    if type(value) is not int or not least <= value <= MAX_SIZE:
        raise InvalidInputError(
            f"{name} is not a whole number in {least}..{MAX_SIZE}", remedy="count again", field=name
        )


def _check_time(value: object) -> None:
    _check_text("time", value, _TIME)
    try:
        datetime.fromisoformat(str(value))
    except ValueError as error:
        raise InvalidInputError(
            f"time is no moment ({error})", remedy="write it with utc_text", field="time"
        ) from error


def _parse(line: bytes, most: int, file: str, field: str) -> Any:
    """Return the value of a canonical JSON `line` (without its newline). Raises `VerificationError`."""
    if len(line) > most:
        raise altered(f"is longer than {most} bytes", file=file, field=field)
    try:
        value = json.loads(line)
        canonical = canonical_json(value) == line
    except (ValueError, RecursionError) as error:  # also: not UTF-8, lone surrogates, NaN, endless numbers
        raise altered("is no JSON", file=file, field=field) from error
    if not canonical:
        raise altered("is not in canonical form", file=file, field=field)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What both records share: their fields are exactly those of the JSON object that stands for them."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values, all fields present."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_json(cls, record: object, *, file: str | None = None, field: str | None = None) -> Self:
        """Return the record that `to_json` wrote; `file` and `field` say where it stands, for messages.

        Raises `VerificationError` on a missing, unknown or ill-typed field.
        """
        names = {item.name for item in fields(cls)}
        if not isinstance(record, Mapping) or set(record) != names:
            raise altered(f"has not exactly the fields {', '.join(sorted(names))}", file=file, field=field)
        try:
            return cls(**record)
        except InvalidInputError as error:
            raise altered(error.message, file=file, field=field) from error

    def line(self) -> bytes:
        """Return the record's canonical bytes, without the newline that ends its line in the log."""
        return canonical_json(self.to_json())


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(_Record):
    """One entry of the log: its place `index` from 0, the `kind` and JSON `body` of what is recorded.

    `time` is UTC in whole seconds, `version` that of the huizhen that wrote it. Raises `InvalidInputError`
    on an ill-typed field.
    """

    index: int
    kind: str
    time: str
    version: str
    body: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check_count("index", self.index, least=0)
        _check_text("kind", self.kind, _KIND)
        _check_time(self.time)
        _check_text("version", self.version, _VERSION)
        if type(self.body) is not dict:
            raise InvalidInputError("body is no JSON object", remedy="give a dict", field="body")

    @classmethod
    def from_line(cls, line: bytes, *, file: str, field: str) -> Entry:
        """Return the entry of one line of the log. Raises `VerificationError` naming `file` and `field`."""
        return cls.from_json(_parse(line, MAX_ENTRY_BYTES, file, field), file=file, field=field)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead(_Record):
    """The signed state of the log at one commit: the Merkle `root` over its first `size` entries.

    `previous` is the digest of the head before (None for the first), so that a head vouches for all earlier
    heads too. `signature` is by `public_key` over the canonical JSON of the other fields, in domain "head".
    Raises `InvalidInputError` on an ill-typed field; `verify` checks the signature.
    """

    size: int
    root: str
    time: str
    previous: str | None
    key_id: str
    public_key: str
    signature: str

    def __post_init__(self) -> None:
        _check_count("size", self.size, least=1)
        _check_text("root", self.root, _HEX_64)
        _check_time(self.time)
        if self.previous is not None:
            _check_text("previous", self.previous, _HEX_64)
        _check_text("key_id", self.key_id, _HEX_16)
        _check_text("public_key", self.public_key, _HEX_64)
        _check_text("signature", self.signature, _HEX_128)

    @classmethod
    def sign(
        cls, key: SigningKey, *, size: int, root: bytes, time: str, previous: SignedHead | None
    ) -> SignedHead:
        """Return the head over `size` entries with Merkle `root` (32 bytes), signed by `key`."""
        values: dict[str, Any] = {
            "size": size,
            "root": root.hex(),
            "time": time,
            "previous": previous.digest if previous else None,
            "key_id": key.key_id,
            "public_key": key.public.hex,
        }
        return cls(**values, signature=key.sign(HEAD_DOMAIN, canonical_json(values)))

    @classmethod
    def from_line(cls, line: bytes, *, file: str, field: str) -> SignedHead:
        """Return the head of one line of the log. Raises `VerificationError` naming `file` and `field`."""
        return cls.from_json(_parse(line, MAX_HEAD_BYTES, file, field), file=file, field=field)

    @property
    def digest(self) -> Digest:
        """The digest of the whole head, signature included: what the next head and a printout refer to."""
        return digest_bytes(self.line())

    def verify(self) -> None:
        """Check the signature and that `key_id` belongs to `public_key`. Raises `VerificationError`."""
        key = PublicKey(hex=self.public_key)
        if key.key_id != self.key_id:
            raise altered("the key's short name is not that of its public key", field="key_id")
        signed = {name: value for name, value in self.to_json().items() if name != "signature"}
        key.verify(HEAD_DOMAIN, canonical_json(signed), self.signature)
