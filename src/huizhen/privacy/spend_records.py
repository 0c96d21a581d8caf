"""Lines of a site's spend ledger: what was reserved and what was settled, each chained to the line before.

A line is one record in canonical JSON; `previous` is the SHA-256 of the line before, so that a line that was
changed, taken out or put in breaks the chain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from huizhen.core.digests import Digest, canonical_json, digest_bytes
from huizhen.errors import InvalidInputError, PrivacyError
from huizhen.privacy.events import Spend

__all__ = ["FIRST", "Content", "Reservation", "Settlement", "chained", "parsed", "record_of"]

FIRST: Final = Digest("0" * 64)
"""What stands for the line before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Budget set aside before a round is trained: `number` is its line, from 0.

    `group` names the patients whom it is charged to; `spends` is the most that the round may cost them.
    """

    number: int
    study: Digest
    round_number: int
    attempt: int
    group: str
    spends: tuple[Spend, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return {
            "kind": "reserve",
            "number": self.number,
            "study": self.study,
            "round": self.round_number,
            "attempt": self.attempt,
            "group": self.group,
            "spends": [spend.to_json() for spend in self.spends],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What reservation `of` did cost: at most what was set aside, nothing when no noisy step was taken."""

    number: int
    of: int
    spends: tuple[Spend, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return {
            "kind": "settle",
            "number": self.number,
            "of": self.of,
            "spends": [spend.to_json() for spend in self.spends],
        }


def chained(record: Reservation | Settlement, previous: Digest) -> bytes:
    """Return a record's line (with its newline) after the line whose digest is `previous`."""
    return canonical_json(record.to_json() | {"previous": previous}) + b"\n"


def record_of(line: bytes, *, number: int, previous: Digest, file: str) -> Reservation | Settlement:
    """Return the record of a whole line without its newline. Raises `PrivacyError` if the chain breaks."""
    broken = PrivacyError(
        "the chain of spends is broken: a line was changed, lost or added",
        remedy="stop training on these patients, and restore the ledger from its backup",
        field=f"line {number + 1}",
        file=file,
    )
    try:
        raw: Mapping[str, Any] = json.loads(line)
        if canonical_json(raw) != line or raw["number"] != number or raw["previous"] != previous:
            raise broken
        spends = tuple(Spend.from_json(spend) for spend in raw["spends"])
        if raw["kind"] == "settle":
            return Settlement(number=number, of=int(raw["of"]), spends=spends)
        return Reservation(
            number=number,
            study=Digest(str(raw["study"])),
            round_number=int(raw["round"]),
            attempt=int(raw["attempt"]),
            group=str(raw["group"]),
            spends=spends,
        )
    except (ValueError, KeyError, TypeError, RecursionError, InvalidInputError) as error:
        raise broken from error


def digest_of(line: bytes) -> Digest:
    """Return the digest that the line after this one (with its newline) names."""
    return digest_bytes(line)


def within(done: Sequence[Spend], reserved: Sequence[Spend]) -> bool:
    """Tell whether `done` is at most `reserved`: no other rate or noise, and no more steps of any.

    >>> one = Spend(sampling_rate=0.1, noise_multiplier=1.2, steps=50)
    >>> within([], [one]), within([one, one], [one])
    (True, False)
    """
    left = {(s.sampling_rate, s.noise_multiplier): 0 for s in reserved}
    for spend in reserved:
        left[spend.sampling_rate, spend.noise_multiplier] += spend.steps
    for spend in done:
        key = (spend.sampling_rate, spend.noise_multiplier)
        left[key] = left.get(key, 0) - spend.steps
    return min(left.values(), default=0) >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a ledger's file holds: its records, its bytes of whole lines, and the digest of the last."""

    records: tuple[Reservation | Settlement, ...]
    size: int
    head: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What a ledger's first `size` bytes, of that digest, were found to hold, and the chain's digests."""

    size: int
    digest: Digest
    records: tuple[Reservation | Settlement, ...]
    chain: tuple[Digest, ...]


_NOTHING: Final = _Begun(size=0, digest=digest_bytes(b""), records=(), chain=(FIRST,))
_begun: Final[dict[Path, _Begun]] = {}
"""By file what this process has parsed: a ledger opened for every count is parsed from where it has grown."""


def parsed(data: bytes, path: Path) -> tuple[Content, list[Digest]]:
    """Return the content of whole lines, and the chain's digest after 0, 1, ... of them."""
    size = data.rfind(b"\n") + 1
    begun = _begun.get(path, _NOTHING)
    if begun.size > size or digest_bytes(data[: begun.size]) != begun.digest:
        begun = _NOTHING
    records, digests = list(begun.records), list(begun.chain)
    for number, line in enumerate(data[begun.size : size].split(b"\n")[:-1], len(records)):
        records.append(record_of(line, number=number, previous=digests[-1], file=path.name))
        digests.append(digest_of(line + b"\n"))
    _begun[path] = _Begun(
        size=size, digest=digest_bytes(data[:size]), records=tuple(records), chain=tuple(digests)
    )
    return Content(records=tuple(records), size=size, head=digests[-1]), digests
