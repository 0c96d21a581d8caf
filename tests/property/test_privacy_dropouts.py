"""Ten thousand random drop-out schedules: the sum is that of the survivors, to the last bit, or refused.

Key agreements and signatures cost most of a round and don't depend on who drops out, so that keys come from a
pool and what they agree on is remembered. Everything else (shares, boxes, masks, checks) runs as it is; a few
hundred rounds run with fresh keys.
"""

from __future__ import annotations

import secrets
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from huizhen.core.streams import stream
from huizhen.errors import FederationError
from huizhen.ledger.signing import PublicKey, SigningKey
from huizhen.privacy.secure_aggregation import client, keys, server
from huizhen.privacy.secure_aggregation.coding import Counts

sys.path.append(str(Path(__file__).parents[1] / "unit" / "privacy"))
from secure_rounds import Round, make_terms, plain_sum

SCHEDULES = 10_000
FRESH = 100
LENGTH = 8


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let key agreement, derivation and signatures be computed once for each pair of keys."""
    pool = iter(lambda: X25519PrivateKey.from_private_bytes(secrets.token_bytes(32)), None)
    fixed = [next(pool) for _ in range(18)]
    count = iter(range(10**9))
    monkeypatch.setattr(client, "new_key", lambda: fixed[next(count) % len(fixed)])
    raw, agree, public = cache(keys.raw_of), keys.agree, cache(keys.public_of)
    by_raw = cache(lambda own, other: agree(keys.private_from(own), other))
    for module in (client, server):
        monkeypatch.setattr(module, "agree", lambda own, other: by_raw(raw(own), other))
        monkeypatch.setattr(module, "public_of", public)
    derive, terms_by = keys._derive, dict[bytes, Any]()
    derived = cache(lambda secret, size, digest, *use: derive(secret, size, terms_by[digest], *use))

    def by_digest(secret: bytes, size: int, terms: Any, *use: str) -> bytes:
        terms_by[terms.digest] = terms
        return bytes(derived(secret, size, terms.digest, *use))

    monkeypatch.setattr(keys, "_derive", by_digest)
    monkeypatch.setattr(PublicKey, "verify", cache(PublicKey.verify))
    monkeypatch.setattr(SigningKey, "sign", cache(SigningKey.sign))


def draw(sites: int, rng: np.random.Generator) -> dict[str, int]:
    """Return who drops out before which phase: up to one more than the terms tolerate."""
    names = [chr(97 + n) for n in range(sites)]
    count = int(rng.integers(0, sites // 3 + 2))
    return {str(name): int(rng.integers(0, 5)) for name in rng.choice(names, count, replace=False)}


def check(terms: Any, drops: dict[str, int], rng: np.random.Generator) -> bool:
    """Run one schedule; return whether there was a sum."""
    coding = Counts(largest=2**28)
    vectors = {name: rng.integers(0, 2**28, LENGTH, dtype=np.uint32) for name in terms.names}
    one = Round(terms=terms, drops=drops)
    try:
        total = one.run({name: coding.encoded(vector) for name, vector in vectors.items()})
    except FederationError:
        if len(drops) <= len(terms.names) // 3:
            raise
        return False
    expected = {name for name in terms.names if drops.get(name, 5) > 2}
    assert set(total.survivors) == expected
    np.testing.assert_array_equal(total.vector, plain_sum([vectors[name] for name in total.survivors]))
    return True


@pytest.mark.parametrize("schedules", [1_000, pytest.param(SCHEDULES, marks=pytest.mark.slow)])
def test_schedules(remembered: None, schedules: int) -> None:
    rng = stream(1, "dropouts")
    terms = {sites: make_terms(sites, LENGTH) for sites in (3, 4, 5, 6)}
    outcomes = []
    for _ in range(schedules):
        sites = int(rng.choice([3, 4, 5, 6], p=[0.6, 0.2, 0.1, 0.1]))
        outcomes.append(check(terms[sites], draw(sites, rng), rng))
    assert len(outcomes) == schedules
    assert 0.5 < np.mean(outcomes) < 0.9  # the rest lost one site too many, and said so


def test_schedules_with_fresh_keys() -> None:
    rng = stream(2, "dropouts")
    for number in range(FRESH):
        sites = int(rng.integers(2, 6))
        check(make_terms(sites, LENGTH, round_number=number), draw(sites, rng), rng)
