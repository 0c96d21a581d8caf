"""The FAS hybrid: encrypt the most sensitive elements, add noise to the others, and scramble those.

Scrambling here is a permutation of places and a flip of sign bits, both drawn from a key that the sites share
and the lead lacks. Unlike an exclusive or over all bits it survives addition, so that the lead can sum what
it can't place. What each layer leaves open (docs/explanation/privacy.md says more):

- encryption: nothing to the lead; everything to whoever has the sites' one secret key;
- noise: it blurs; without a clip on each patient's part and an accountant it bounds nobody's epsilon;
- scrambling: the multiset of absolute values stays as it is (norms, histograms, sparsity), and with one key
  for several rounds, places can be followed from round to round. So the key is derived for each round.

Reference: Korkmaz & Rao, A selective homomorphic encryption approach for faster privacy-preserving federated
learning, arXiv:2501.12911 (2025).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, MessageError
from huizhen.privacy.homomorphic import CkksKeys, Encrypted, add, decrypt, encrypt
from huizhen.privacy.secure_aggregation.masks import Mask, apply_masks

__all__ = ["FasMessage", "FasPlan", "add_fas", "open_fas", "protect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FasPlan:
    """What all sites do alike in one round.

    `encrypted`: places (ascending) that are encrypted, of `length`. `noise_scale`: standard deviation of the
    Gaussian noise that each site adds to the others. `sites`: how many are summed. `study` and `round_number`
    bind the scrambling. Raises `InvalidInputError` on places out of order or range, or a negative scale.
    """

    length: int
    encrypted: NDArray[np.int64]
    noise_scale: float
    sites: int
    study: str
    round_number: int

    def __post_init__(self) -> None:
        places = self.encrypted
        inside = len(places) and int(places[0]) >= 0 and int(places[-1]) < self.length
        if not inside or not (np.diff(places) > 0).all():
            raise InvalidInputError("encrypted places are not ascending in the update", remedy="sort them")
        if not 0 <= self.noise_scale < np.inf or len(places) == self.length:
            raise InvalidInputError(
                "noise is negative, or nothing is left to scramble", remedy="use CKKS for all, or less"
            )

    def open_places(self) -> NDArray[np.int64]:
        """Return the places that are not encrypted, ascending."""
        free = np.ones(self.length, bool)
        free[self.encrypted] = False
        return np.flatnonzero(free)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FasMessage:
    """A site's update: `box` encrypted, `scrambled` (m,) float32 with noise, permuted, signs flipped."""

    box: Encrypted
    scrambled: NDArray[np.float32]


def protect(
    plan: FasPlan, keys: CkksKeys, key: bytes, update: NDArray[np.float32], rng: np.random.Generator
) -> FasMessage:
    """Return `update` (plan.length,) protected; `key` (32 bytes) is the sites' own for scrambling.

    `rng` draws the noise: from the system's entropy, never from the study's seed. Raises `InvalidInputError`
    on an update of another length, not finite, or beyond what the encryption can sum.
    """
    if update.shape != (plan.length,) or not np.isfinite(update).all():
        raise InvalidInputError(
            f"an update of shape {update.shape} for a plan of {plan.length}, or not finite",
            remedy="train the study's network",
        )
    places = plan.open_places()
    noise = rng.normal(0.0, plan.noise_scale, len(places)) if plan.noise_scale else 0.0
    order, signs = _scrambling(plan, key, len(places))
    blurred = (update[places] + noise).astype(np.float32) * signs
    box = encrypt(keys, update[plan.encrypted], sites=plan.sites)
    return FasMessage(box=box, scrambled=blurred[order])


def add_fas(plan: FasPlan, public: bytes, messages: list[FasMessage]) -> FasMessage:
    """Return the sum of messages, with the lead's half of the keys. Raises `MessageError` on a bad one."""
    size = plan.length - len(plan.encrypted)
    for message in messages:
        if message.scrambled.shape != (size,) or message.scrambled.dtype != np.float32:
            raise MessageError(
                f"a scrambled update is not float32 of {size}", remedy="drop the site that sent it"
            )
        if message.box.length != len(plan.encrypted) or not np.isfinite(message.scrambled).all():
            raise MessageError(
                "an update is not finite or encrypts other places", remedy="drop the site that sent it"
            )
    box = add(public, [message.box for message in messages])
    return FasMessage(box=box, scrambled=np.sum([m.scrambled for m in messages], axis=0, dtype=np.float32))


def open_fas(plan: FasPlan, keys: CkksKeys, key: bytes, total: FasMessage) -> NDArray[np.float32]:
    """Return the summed update (plan.length,) at a site. Raises `MessageError` when it is not whole."""
    places = plan.open_places()
    if total.scrambled.shape != (len(places),):
        raise MessageError("a scrambled sum has another length", remedy="ask for it again")
    order, signs = _scrambling(plan, key, len(places))
    values = np.empty(plan.length, np.float32)
    values[plan.encrypted] = decrypt(keys, total.box)
    open_values = np.empty(len(places), np.float32)
    open_values[order] = total.scrambled
    values[places] = open_values * signs
    return values


def _scrambling(plan: FasPlan, key: bytes, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return this round's permutation (count,) and signs (count,), from the sites' key.

    The permutation sorts a keystream of 64-bit words, so that all orders are alike likely but for ties, which
    have a probability below count^2 / 2^65.
    """
    if len(key) != 32:
        raise InvalidInputError("a key for scrambling is not 32 bytes", remedy="draw it with secrets")
    info = f"fas\x1f{plan.study}\x1f{plan.round_number}".encode()
    words = np.zeros(3 * count, np.uint32)
    apply_masks(words, [Mask(key=HKDF(SHA256(), 16, salt=b"huizhen/fas", info=info).derive(key))])
    order = np.argsort(words[: 2 * count].view(np.uint64), kind="stable")
    signs = np.where(words[2 * count :] & 1, np.float32(1), np.float32(-1))
    return order, signs
