"""Shamir's sharing: any threshold of shares gives the secret back, fewer don't, wrong ones give another."""

from __future__ import annotations

import itertools
import secrets

import pytest

from huizhen.errors import InvalidInputError
from huizhen.privacy.secure_aggregation.field import PRIME, SHARE_BYTES, combine, split


def test_the_modulus_is_the_smallest_prime_above_two_to_256() -> None:
    def prime(number: int) -> bool:
        """Miller and Rabin's test with 40 bases."""
        odd, twos = number - 1, 0
        while odd % 2 == 0:
            odd, twos = odd // 2, twos + 1
        for base in range(2, 42):
            value = pow(base, odd, number)
            if value in (1, number - 1):
                continue
            if not any((value := value * value % number) == number - 1 for _ in range(twos - 1)):
                return False
        return True

    assert [n for n in range(2**256 + 1, PRIME + 1, 2) if prime(n)] == [PRIME]


@pytest.mark.parametrize(("sites", "threshold"), [(2, 2), (3, 2), (6, 4), (9, 6)])
@pytest.mark.parametrize(
    "secret", [bytes(32), b"\xff" * 32, secrets.token_bytes(32)], ids=["zeros", "ones", "random"]
)
def test_any_threshold_of_shares_gives_the_secret_back(sites: int, threshold: int, secret: bytes) -> None:
    shares = split(secret, range(1, sites + 1), threshold)
    assert {len(share) for share in shares.values()} == {SHARE_BYTES}
    for places in itertools.combinations(shares, threshold):
        assert combine({place: shares[place] for place in places}) == secret
    assert combine({place: shares[place] for place in list(shares)[: threshold - 1]}) != secret


def test_shares_of_one_secret_differ_each_time_and_wrong_ones_give_another() -> None:
    secret = secrets.token_bytes(32)
    first, second = (split(secret, [1, 2, 3], 2) for _ in range(2))
    assert all(first[place] != second[place] for place in first)
    assert combine({1: first[1], 2: second[2]}) != secret
    assert combine({1: b"\0" * 33, 2: b"\xff" * 33}) != secret


@pytest.mark.parametrize(
    ("secret", "places", "threshold"),
    [(b"short", [1, 2], 2), (bytes(32), [1, 2], 3), (bytes(32), [0, 1], 2), (bytes(32), [1, 1], 2)],
)
def test_sharing_that_can_not_work_is_refused(secret: bytes, places: list[int], threshold: int) -> None:
    with pytest.raises(InvalidInputError):
        split(secret, places, threshold)
