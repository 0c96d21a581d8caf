"""CKKS: sums of encrypted updates are right to 1e-7, its size is known, and what is broken is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, MessageError
from huizhen.privacy.homomorphic import (
    LARGEST_MODULUS_BITS,
    CkksKeys,
    CkksParameters,
    add,
    decrypt,
    encrypt,
    keys_from,
    make_keys,
)


@pytest.fixture(scope="module")
def keys() -> CkksKeys:
    """One site's keys."""
    return make_keys()


def update(number: int, length: int = 5000) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return stream(number, "update").normal(0, 0.01, length).astype(np.float32)


def test_a_sum_over_sites_that_share_the_key(keys: CkksKeys) -> None:
    updates = [update(n) for n in range(3)]
    others = [keys, *(keys_from(keys.parameters, keys.secret) for _ in range(2))]
    total = add(keys.public, [encrypt(k, u, sites=3) for k, u in zip(others, updates, strict=True)])
    expected = np.sum([u.astype(float) for u in updates], axis=0)
    for site in others:
        assert np.abs(decrypt(site, total) - expected).max() < 1e-7


def test_the_largest_updates_that_are_accepted_sum_correctly(keys: CkksKeys) -> None:
    largest = np.full(10, keys.parameters.largest_sum / 3.001, np.float32)
    total = add(keys.public, [encrypt(keys, sign * largest, sites=3) for sign in (1, 1, 1)])
    np.testing.assert_allclose(decrypt(keys, total), 3 * largest, atol=1e-5)
    with pytest.raises(InvalidInputError, match="3 sites can sum"):
        encrypt(keys, largest * np.float32(1.01), sites=3)


def test_sizes_are_as_documented(keys: CkksKeys) -> None:
    box = encrypt(keys, update(0, 4096), sites=3)
    assert (len(box.chunks), box.slots) == (2, 2048)
    assert 27 < box.size / 4096 < 30
    assert encrypt(keys, update(0, 2049), sites=3).length == 2049


def test_the_leads_half_reads_nothing(keys: CkksKeys) -> None:
    with pytest.raises(MessageError, match="no secret key"):
        keys_from(keys.parameters, keys.public)
    assert keys.secret not in (keys.public,)
    assert "secret" not in repr(keys)
    box, again = (encrypt(keys, update(0), sites=3) for _ in range(2))
    assert box.chunks[0] != again.chunks[0]
    assert update(0)[:4].tobytes() not in box.chunks[0]


def test_another_sites_keys_do_not_open_it(keys: CkksKeys) -> None:
    with pytest.raises(MessageError, match="out of range"):
        decrypt(make_keys(), encrypt(keys, update(0), sites=3))


def test_parameters_below_128_bits_of_security_are_refused() -> None:
    for degree, bits in LARGEST_MODULUS_BITS.items():
        with pytest.raises(InvalidInputError, match="128-bit security"):
            CkksParameters(degree=degree, modulus_bits=(bits - 20, 21))
    with pytest.raises(InvalidInputError, match="128-bit security"):
        CkksParameters(degree=5000)
    with pytest.raises(InvalidInputError, match="no room"):
        CkksParameters(scale_bits=49)


def test_updates_that_are_refused(keys: CkksKeys) -> None:
    for bad in (np.array([np.nan]), np.array([np.inf]), np.array([]), np.zeros((2, 2))):
        with pytest.raises(InvalidInputError, match="empty or not finite"):
            encrypt(keys, bad.astype(np.float32), sites=3)


def test_boxes_that_are_refused(keys: CkksKeys) -> None:
    good = encrypt(keys, update(0), sites=3)
    first, *rest = good.chunks
    for bad in (
        replace(good, chunks=(b"garbage", *rest)),
        replace(good, chunks=(first[:1000], *rest)),
        replace(good, chunks=good.chunks[:1]),
        replace(good, length=good.length + 1, chunks=good.chunks[1:]),
        replace(good, slots=0),
        encrypt(keys, update(0, 10), sites=3),
        replace(good, chunks=(*good.chunks[:2], encrypt(keys, update(0, 7), sites=3).chunks[0])),
    ):
        with pytest.raises(MessageError):
            add(keys.public, [good, bad])
    with pytest.raises(MessageError):
        add(keys.public, [])
    with pytest.raises(MessageError, match="no CKKS context"):
        add(b"garbage", [good])
    with pytest.raises(MessageError, match="out of range"):
        decrypt(keys, replace(good, length=good.length - 1))
