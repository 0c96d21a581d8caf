"""Sites with keys, and a round of secure aggregation that may lose sites in any phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import digest_bytes
from huizhen.ledger.signing import SigningKey
from huizhen.privacy.secure_aggregation.client import Client
from huizhen.privacy.secure_aggregation.coding import Coding, Counts
from huizhen.privacy.secure_aggregation.interface import MaskedInput, Terms, Total
from huizhen.privacy.secure_aggregation.server import Server

KEYS = [SigningKey.generate() for _ in range(9)]


def make_terms(count: int, length: int, coding: Coding | None = None, **other: Any) -> Terms:
    """Return terms over `count` sites, named a, b, c, ..."""
    settings: dict[str, Any] = {
        "study": digest_bytes(b"study"),
        "round_number": 4,
        "sites": tuple((chr(97 + n), KEYS[n].public) for n in range(count)),
        "threshold": Terms.usual_threshold(count),
        "length": length,
        "coding": coding or Counts(largest=2**28),
    }
    return Terms(**(settings | other))


def make_clients(terms: Terms) -> dict[str, Client]:
    """Return a client for each site."""
    return {n: Client(terms=terms, name=n, key=key) for n, key in zip(terms.names, KEYS, strict=False)}


@dataclass(kw_only=True)
class Round:
    """One round; `drops` maps a site to the phase (0 to 4) before which it dies; `seen` is what arrived."""

    terms: Terms
    drops: Mapping[str, int] = field(default_factory=dict)
    seen: dict[str, MaskedInput] = field(default_factory=dict)

    def run(self, updates: Mapping[str, Any]) -> Total:
        """Run the phases over the clients that are still there."""
        server, clients = Server(terms=self.terms), make_clients(self.terms)
        for name in self._left(clients, 0):
            server.take_advert(clients[name].advertise())
        roster = server.close_adverts()
        for name in self._left(clients, 1):
            server.take_shares(clients[name].share(roster))
        deliveries = server.close_shares()
        for name in self._left(clients, 2):
            self.seen[name] = clients[name].mask(deliveries[name], updates[name])
            server.take_masked(self.seen[name])
        survivors = server.close_masked()
        for name in self._left(clients, 3):
            server.take_endorsement(clients[name].endorse(survivors))
        endorsements = server.close_endorsements()
        for name in self._left(clients, 4):
            server.take_unmasking(clients[name].unmask(endorsements))
        return server.total()

    def _left(self, names: Sequence[str] | Mapping[str, Any], phase: int) -> list[str]:
        return [name for name in names if self.drops.get(name, 5) > phase]


def plain_sum(vectors: Sequence[NDArray[np.uint32]]) -> NDArray[np.uint32]:
    """Return the sum modulo 2^32."""
    return np.sum(np.stack(vectors), axis=0, dtype=np.uint32)
