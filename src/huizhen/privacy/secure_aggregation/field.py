"""Shamir's secret sharing over the prime field of 2^256 + 297.

Any `threshold` shares of a secret give it back; fewer say nothing about it, whatever the computing power. The
prime is the smallest above 2^256, so that every secret of 32 bytes is one element, without bytes that are
tried again, and as many sites may share as there are. (Sharing bytewise over GF(2^8) would vectorise, but a
secret is one 32-byte value a site: there is nothing to vectorise, and it ends at 255 sites.)

Python's integers don't take the same time for all values: who can time a site's process to the microsecond
is outside what this protects from. Reference: Shamir, How to share a secret, CACM 22(11):612-613 (1979).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from huizhen.errors import InvalidInputError

__all__ = ["PRIME", "SECRET_BYTES", "SHARE_BYTES", "combine", "split"]

PRIME: Final = 2**256 + 297
SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33
"""A share is an element below `PRIME`, which needs 257 bits; big-endian."""


def split(secret: bytes, places: Sequence[int], threshold: int) -> dict[int, bytes]:
    """Return a share of the 32-byte `secret` for each of `places` (distinct, 1 or more).

    Any `threshold` of them give it back. Raises `InvalidInputError` on another length, a place of zero or
    twice, or a threshold that the places can't meet. Coefficients come from the system's generator.

    >>> shares = split(bytes(range(32)), [1, 2, 3], 2)
    >>> combine({1: shares[1], 3: shares[3]}) == bytes(range(32))
    True
    """
    if len(secret) != SECRET_BYTES or not 1 <= threshold <= len(places):
        raise InvalidInputError(
            f"can't share {len(secret)} bytes among {len(places)} so that {threshold} give them back",
            remedy="share 32 bytes among at least as many sites as the threshold",
        )
    if len(set(places)) != len(places) or min(places) < 1:
        raise InvalidInputError("places of shares repeat or are zero", remedy="number the sites from 1")
    coefficients = [int.from_bytes(secret, "big")] + [secrets.randbelow(PRIME) for _ in range(threshold - 1)]
    return {place: _at(coefficients, place).to_bytes(SHARE_BYTES, "big") for place in places}


def _at(coefficients: Sequence[int], place: int) -> int:
    """Return the polynomial's value at `place`, by Horner's rule."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * place + coefficient) % PRIME
    return value


def combine(shares: Mapping[int, bytes]) -> bytes | None:
    """Return the secret of exactly as many `shares` (by place) as the threshold; None if they hold none.

    Wrong shares mostly give another secret, so that the caller compares it with what was committed to.
    """
    places = tuple(sorted(shares))
    parts = zip(_weights(places), (int.from_bytes(shares[place], "big") for place in places), strict=True)
    value = sum(weight * share for weight, share in parts) % PRIME
    return value.to_bytes(SECRET_BYTES, "big") if value < 2**256 else None


@lru_cache(maxsize=1024)
def _weights(places: tuple[int, ...]) -> tuple[int, ...]:
    """Return Lagrange's weights at zero for `places`.

    >>> [w % PRIME for w in _weights((1, 2))] == [2, PRIME - 1]
    True
    """
    weights = []
    for place in places:
        above = below = 1
        for other in places:
            if other != place:
                above = above * other % PRIME
                below = below * (other - place) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    return tuple(weights)
