"""A site's part in secure sums: one client a sum, numbers that only grow, keys that are used once."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import canonical_json
from huizhen.core.files import open_private, storage_error, write_json
from huizhen.errors import MessageError
from huizhen.federate import messages as wire
from huizhen.federate.secure_wire import blobs, pairs, place_of, roster_of, terms_of, wire_keys
from huizhen.federate.strategies.interface import Weights
from huizhen.ledger.signing import SigningKey
from huizhen.privacy.secure_aggregation.client import Client
from huizhen.privacy.secure_aggregation.coding import Encoded, FixedPoint, Residues
from huizhen.privacy.secure_aggregation.interface import Delivery, Endorsements, Survivors, Terms

LAST, RELEASED = "last_sum.json", "released.jsonl"
Pairs = set[tuple[str, str]]
"""Sites: each one's name and public key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What waits for its secure sum: a change of weights over `patients`, or the words of an aggregate."""

    weights: Weights | None = None
    patients: int = 1
    words: NDArray[np.uint32] | None = None
    keys: tuple[str, ...] = ()
    """What the numbers depend on, besides where they were asked for (`huizhen.federate.site.questions`)."""

    @property
    def length(self) -> int:
        """How many numbers the sum has; the weight of a change is one of them."""
        if self.words is not None:
            return len(self.words)
        return sum(array.size for array in (self.weights or {}).values()) + 1

    def encoded(self, terms: Terms) -> Encoded:
        """Return the numbers as the terms want them. Raises `MessageError` on a coding of the other kind."""
        if self.words is not None and isinstance(terms.coding, Residues):
            return terms.coding.encoded(self.words)
        if self.weights is not None and isinstance(terms.coding, FixedPoint):
            parts = [self.weights[name] for name in sorted(self.weights)]
            return terms.coding.encoded(parts, weight=self.patients)
        raise refused("its coding is not for what it asks for")


@final
class SecureSums:
    """The secure sums of one study at one site; at most one is open."""

    def __init__(self, *, name: str, key: SigningKey, folder: Path) -> None:
        self._name, self._key, self._file = name, key, folder / LAST
        self._released = Released(folder / RELEASED)
        self._keys: tuple[str, ...] = ()
        self._terms: Terms | None = None
        self._client: Client | None = None
        self._pending: Pending | None = None

    def advertise(self, ask: wire.Advertise, pending: Pending, known: Mapping[str, str]) -> wire.Keys:
        """Open a sum over `pending` and return fresh public keys.

        `known`: the sites, with their public keys, that this one was told of when the study began; another is
        refused, since a lead could else invent the sites that a sum is over. A number and attempt that were
        used before are refused, also after a restart. Raises `MessageError`.
        """
        terms = terms_of(ask)
        if terms.length != pending.length:
            raise refused(f"it is over {terms.length} numbers, this site has {pending.length}")
        if dict(ask.sites).get(self._name) != self._key.public.hex:
            raise refused("this site, with its own key, is not among its sites")
        if not ask.sites.items() <= known.items():
            raise refused("it names a site whose key this site was not told of")
        if [ask.number, ask.attempt] <= self._last():
            raise refused("its number was used before")
        write_json(self._file, [ask.number, ask.attempt])
        self._terms, self._pending = terms, pending
        self._keys = (place_of(ask.task), *pending.keys)
        self._client = Client(terms=terms, name=self._name, key=self._key)
        return wire_keys(self._client.advertise())

    @property
    def terms(self) -> str:
        """The digest of the open sum's terms; empty without one."""
        return self._terms.digest.hex() if self._terms else ""

    @property
    def accused(self) -> str:
        """The site whose sealed shares didn't open in the open sum; empty when all did."""
        return self._client.accused if self._client else ""

    def _last(self) -> list[int]:
        if not self._file.exists():
            return [-1, -1]
        return [int(value) for value in json.loads(self._file.read_text(encoding="utf-8"))]

    def _open(self, stated: str) -> tuple[Client, Terms]:
        """Return the open sum. Raises `MessageError` when it is another one, or none."""
        if self._client is None or self._terms is None or self._terms.digest.hex() != stated:
            raise refused("this site has no such sum open")
        return self._client, self._terms

    def share(self, ask: wire.Share) -> tuple[str, dict[str, str]]:
        """Return the commitment and the sealed shares for the other sites."""
        client, terms = self._open(ask.terms)
        found = client.share(roster_of(terms, ask.roster))
        return found.commitment.hex(), blobs(found.boxes)

    def mask(self, ask: wire.Deliver) -> NDArray[np.uint32]:
        """Return the masked input."""
        client, terms = self._open(ask.terms)
        if self._pending is None:
            raise refused("its input left already")
        delivery = Delivery(terms=terms.digest, site=self._name, boxes=pairs(ask.boxes))
        pending, self._pending = self._pending, None
        return client.mask(delivery, pending.encoded(terms)).vector

    def endorse(self, ask: wire.Endorse) -> str:
        """Return the signature on the survivors.

        What is summed is unmasked over one set of sites only, whatever may leave by itself: of two sums over
        different sets, the difference would be a single site's. Raises `MessageError`.
        """
        client, terms = self._open(ask.terms)
        asked = _with_keys(terms, ask.survivors)
        for key in self._keys:
            before = self._released.over(key)
            if before is not None and before != asked:
                raise refused(f"it was unmasked over {', '.join(sorted(name for name, _ in before))} before")
        return client.endorse(Survivors(terms=terms.digest, sites=tuple(ask.survivors))).signature.hex()

    def unmask(self, ask: wire.Unmask) -> tuple[dict[str, str], dict[str, str]]:
        """Return the shares of survivors' seeds and of dropped sites' keys."""
        client, terms = self._open(ask.terms)
        found = client.unmask(Endorsements(terms=terms.digest, signatures=pairs(ask.signatures)))
        self._released.note(self._keys, _with_keys(terms, [name for name, _ in found.seed_shares]))
        self._client = self._terms = None
        return blobs(found.seed_shares), blobs(found.key_shares)


def _with_keys(terms: Terms, names: Collection[str]) -> Pairs:
    """Return those of the terms' sites that are named, with their keys."""
    return {(name, key.hex) for name, key in terms.sites if name in names}


@final
class Released:
    """Over which sites what was unmasked, in a file that only grows, one line a key.

    A site is its name and its public key: a name alone could be given to somebody else.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines()

    def over(self, key: str) -> Pairs | None:
        """Return the sites of the sum under `key` that was unmasked; None if none was. Reads the file."""
        return self._lines().get(key)

    def note(self, keys: Sequence[str], sites: Pairs) -> None:
        """Note, durably, that a sum with these keys over `sites` is unmasked. Raises `StorageError`."""
        known = self._lines()
        lines = [canonical_json([key, sorted(map(list, sites))]) + b"\n" for key in keys if key not in known]
        if not lines:
            return
        try:
            with open_private(self._file) as stream:
                stream.write(b"".join(lines))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise storage_error(self._file, error) from error

    def _lines(self) -> dict[str, Pairs]:
        """Return what the file holds; an end that a crash cut short, before anything left, is cut off."""
        if not self._file.exists():
            return {}
        content = self._file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self._file, whole)
        found = map(json.loads, content[:whole].splitlines())
        return {key: {(name, hexed) for name, hexed in sites} for key, sites in found}


def refused(reason: str) -> MessageError:
    """Return the error of a secure sum that this site doesn't take part in."""
    return MessageError(
        f"a secure sum is refused: {reason}",
        remedy="the lead begins the sum anew, with another number and the sites of the study",
        field="sum",
    )
