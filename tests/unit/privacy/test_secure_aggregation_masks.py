"""What the lead sees of one site looks random to every test here; unmasked, it fails them all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray
from scipy import stats

from huizhen.core.streams import stream
from huizhen.privacy.secure_aggregation.coding import CHUNK, FixedPoint
from huizhen.privacy.secure_aggregation.masks import Mask, apply_masks

LENGTH = 200_000
ALPHA = 1e-5
"""Each of the tests below fails truly random bytes with this probability."""


def chi_square_p(words: NDArray[np.uint32], byte: int) -> float:
    """Return the p-value of one byte of each word being uniform."""
    counts = np.bincount(words.view(np.uint8)[byte::4], minlength=256)
    return float(stats.chisquare(counts).pvalue)


def runs_p(words: NDArray[np.uint32]) -> float:
    """Return the p-value of the number of runs of bits (NIST SP 800-22, section 2.3)."""
    bits = np.unpackbits(words.view(np.uint8)).astype(np.int8)
    share = bits.mean()
    runs = 1 + np.count_nonzero(np.diff(bits))
    spread = 2 * np.sqrt(2 * len(bits)) * share * (1 - share)
    return float(2 * stats.norm.sf(abs(runs - 2 * len(bits) * share * (1 - share)) / spread * np.sqrt(2)))


def serial_p(words: NDArray[np.uint32], lag: int) -> float:
    """Return the p-value of the correlation between words `lag` apart."""
    values = words.astype(float)
    correlation = np.corrcoef(values[:-lag], values[lag:])[0, 1]
    return float(2 * stats.norm.sf(abs(correlation) * np.sqrt(len(values) - lag)))


def against_p(words: NDArray[np.uint32], update: NDArray[np.float32]) -> float:
    """Return the p-value of the correlation between what is seen and the update."""
    correlation = np.corrcoef(words[:-1].view(np.int32).astype(float), update)[0, 1]
    return float(2 * stats.norm.sf(abs(correlation) * np.sqrt(len(update))))


def p_values(words: NDArray[np.uint32], update: NDArray[np.float32]) -> dict[str, float]:
    """Return all tests' p-values by name."""
    found = {f"byte {byte}": chi_square_p(words, byte) for byte in range(4)}
    found |= {f"lag {lag}": serial_p(words, lag) for lag in (1, 2, CHUNK)}
    return found | {"runs": runs_p(words), "update": against_p(words, update)}


@pytest.fixture
def update() -> NDArray[np.float32]:
    """An update with the smooth structure that neighbouring weights have."""
    steps = stream(3, "update").normal(0, 1e-4, LENGTH)
    return np.cumsum(steps).astype(np.float32)


def test_what_the_lead_sees_is_random_and_the_negative_control_is_not(
    update: NDArray[np.float32], secure_round: Any, terms_of: Any
) -> None:
    coding = FixedPoint.finest(sites=3, clip=8.0)
    terms = terms_of(3, LENGTH + 1, coding)
    one = secure_round(terms=terms)
    one.run({name: coding.encoded([update]) for name in terms.names})
    for seen in one.seen.values():
        p = p_values(seen.vector, update)
        assert min(p.values()) > ALPHA, p
    control = p_values(coding.encoded([update]).whole(), update)
    failed = {name for name, value in control.items() if value < ALPHA}
    assert failed >= {"byte 0", "byte 2", "byte 3", "runs", "update", "lag 1", "lag 2"}, control


def test_two_sites_with_one_update_send_unrelated_vectors(
    update: NDArray[np.float32], secure_round: Any, terms_of: Any
) -> None:
    coding = FixedPoint.finest(sites=3, clip=8.0)
    one = secure_round(terms=terms_of(3, LENGTH + 1, coding))
    one.run({name: coding.encoded([update]) for name in "abc"})
    seen = [one.seen[name].vector.astype(float) for name in "abc"]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(seen[first], seen[second])[0, 1]) < 5 / np.sqrt(LENGTH)
    total = one.seen["a"].vector + one.seen["b"].vector + one.seen["c"].vector
    p = p_values(total, update)
    assert min(p.values()) > ALPHA, p  # self-masks cover the sum until the sites have agreed to unmask


@pytest.mark.parametrize("length", [1, 7, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
def test_a_mask_is_the_keystream_of_aes_in_counter_mode(length: int) -> None:
    key = bytes(range(16))
    vector = np.zeros(length, np.uint32)
    apply_masks(vector, [Mask(key=key)])
    whole = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(4 * length))
    np.testing.assert_array_equal(vector, np.frombuffer(whole, "<u4"))
    apply_masks(vector, [Mask(key=key, minus=True)])
    assert not vector.any()
    assert key.hex() not in repr(Mask(key=key))
