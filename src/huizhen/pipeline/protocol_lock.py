"""The protocol's lock: the study under a signature and a time, in a file beside it, before any data is read.

    lock_protocol(Path("study.toml"), key)                        # study.lock.json
    lock_protocol(Path("study.toml"), key, reason="typing error")  # again after a change: an amendment
    deviations_of(read_locks(Path("study.toml")), study)

Locks form a chain: each holds the digest of the one before. What the first one says and a later one, or the
study that is run, doesn't, is a deviation. Whoever has the key can make another file: publish the digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from huizhen.core.digests import canonical_json, digest_value
from huizhen.core.files import write_json
from huizhen.core.study import Study
from huizhen.core.study_file import load_study
from huizhen.errors import StudyError, VerificationError
from huizhen.ledger.records import utc_text
from huizhen.ledger.signing import PublicKey, SigningKey

__all__ = ["Deviation", "ProtocolLock", "deviations_of", "lock_file", "lock_protocol", "read_locks"]

DOMAIN = "protocol"
LONGEST = 200
"""Characters of a value that a deviation shows."""


class ProtocolLock(BaseModel):
    """One lock: the whole study, when, why (empty for the first), and the digest of the lock before."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    study: dict[str, Any]
    digest: str
    time: str
    reason: str
    previous: str
    public_key: str
    signature: str

    @property
    def statement(self) -> dict[str, Any]:
        """What is signed."""
        return self.model_dump(mode="json", exclude={"signature"})

    @property
    def key_id(self) -> str:
        """The short name of the key that signed."""
        return PublicKey(hex=self.public_key).key_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A field that differs from what was locked: both values as JSON, when it was changed, and why."""

    field: str
    locked: str
    now: str
    when: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Return plain values."""
        return {
            "field": self.field,
            "locked": self.locked,
            "now": self.now,
            "when": self.when,
            "reason": self.reason,
        }


def lock_file(study_file: Path) -> Path:
    """Return where a study's locks lie: beside it.

    >>> lock_file(Path("a/study.toml")).as_posix()
    'a/study.lock.json'
    """
    return study_file.with_suffix(".lock.json")


def lock_protocol(
    study_file: Path,
    key: SigningKey,
    *,
    reason: str = "",
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ProtocolLock:
    """Lock the study as it stands, and return the lock; one that is locked already stays as it is.

    Raises `StudyError` on a wrong study, or one that was changed since without a `reason`;
    `VerificationError` on a lock file that was altered.
    """
    study, locks = load_study(study_file), read_locks(study_file)
    if locks and locks[-1].digest == study.digest:
        return locks[-1]
    if locks and not reason:
        changed = ", ".join(place for place, _, _ in _changes(locks[-1].study, study.model_dump(mode="json")))
        raise StudyError(
            f"was changed after it was locked: {changed}",
            remedy="undo the change, or say why with --reason; the amendment stands in the dossier",
            file=study_file.name,
        )
    statement: dict[str, Any] = {
        "study": study.model_dump(mode="json"),
        "digest": study.digest,
        "time": utc_text(clock()),
        "reason": reason if locks else "",
        "previous": digest_value(locks[-1].model_dump(mode="json")) if locks else "",
        "public_key": key.public.hex,
    }
    lock = ProtocolLock(**statement, signature=key.sign(DOMAIN, canonical_json(statement)))
    write_json(lock_file(study_file), {"locks": [one.model_dump(mode="json") for one in (*locks, lock)]})
    return lock


def read_locks(study_file: Path) -> tuple[ProtocolLock, ...]:
    """Return a study's locks, the first one first; none where there is no lock file.

    Raises `VerificationError` when the file isn't as it was signed.
    """
    path = lock_file(study_file)
    if not path.exists():
        return ()
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        locks = tuple(ProtocolLock.model_validate(one) for one in held["locks"])
        for lock in locks:
            PublicKey(hex=lock.public_key).verify(DOMAIN, canonical_json(lock.statement), lock.signature)
    except VerificationError as error:
        raise _altered(path) from error
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise _altered(path) from error
    previous = ["", *(digest_value(lock.model_dump(mode="json")) for lock in locks[:-1])]
    whole = all(digest_value(lock.study) == lock.digest for lock in locks)
    if not locks or not whole or [lock.previous for lock in locks] != previous:
        raise _altered(path)
    return locks


def _altered(path: Path) -> VerificationError:
    return VerificationError(
        "is not as it was signed",
        remedy="put the lock file back from a backup; what was locked can't be changed",
        file=path.name,
    )


def deviations_of(locks: Sequence[ProtocolLock], study: Study, *, when: str) -> list[Deviation]:
    """Return every change since the first lock: by amendments, and without one, seen at `when`."""
    found: list[Deviation] = []
    for before, after in pairwise(locks):
        found += _deviations(before.study, after.study, when=after.time, reason=after.reason)
    if locks:
        found += _deviations(locks[-1].study, study.model_dump(mode="json"), when=when, reason="")
    return found


def _deviations(
    before: Mapping[str, Any], after: Mapping[str, Any], *, when: str, reason: str
) -> list[Deviation]:
    return [
        Deviation(field=place, locked=_text(one), now=_text(other), when=when, reason=reason)
        for place, one, other in _changes(before, after)
    ]


def _text(value: Any) -> str:
    text = "" if value is None else canonical_json(value).decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _changes(before: Any, after: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted place of each value that differs, with both; lists of another length as a whole.

    >>> list(_changes({"a": {"b": 1}, "c": [1]}, {"a": {"b": 2}, "c": [1]}))
    [('a.b', 1, 2)]
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from _changes(before.get(key), after.get(key), f"{place}.{key}".removeprefix("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _changes(*pair, f"{place}[{index}]")
    elif before != after:
        yield place, before, after
