"""CKKS by TenSEAL: updates that the lead adds up without being able to read them.

For networks where sites can't agree on masks each round. All sites share one secret key: a site that sees
another's ciphertext can read it, and so can the lead if one site gives the key away. The lead holds the
public half only. Since who encrypts holds the secret key anyway, encryption is symmetric, which is twice as
fast and ten times as exact.

    keys = make_keys()                              # one site makes them, the others get keys.secret, sealed
    box = encrypt(keys, vector, sites=3)            # at each site
    total = add(keys.public, [box, ...])            # at the lead
    decrypt(keys, total)                            # at each site

References: Cheon et al., Homomorphic encryption for arithmetic of approximate numbers, ASIACRYPT 2017;
Albrecht et al., Homomorphic encryption standard, 2018, table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, MessageError

__all__ = [
    "LARGEST_MODULUS_BITS",
    "CkksKeys",
    "CkksParameters",
    "Encrypted",
    "add",
    "decrypt",
    "encrypt",
    "keys_from",
    "make_keys",
]

LARGEST_MODULUS_BITS: Final = {1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881}
"""The most bits of modulus at 128 bits of security, by degree (ternary secrets, classical attacks)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CkksParameters:
    """Degree of the ring, bits of its moduli (the last is the keys'), and bits of the scale.

    A ciphertext carries degree / 2 values, sums up to 2^(first modulus - scale - 2) in absolute value.
    Raises `InvalidInputError` on parameters below 128 bits of security, or that leave no room for values.
    """

    degree: int = 4096
    modulus_bits: tuple[int, ...] = (50, 50)
    scale_bits: int = 40

    def __post_init__(self) -> None:
        limit = LARGEST_MODULUS_BITS.get(self.degree, 0)
        if sum(self.modulus_bits) > limit:
            raise InvalidInputError(
                f"{sum(self.modulus_bits)} bits at degree {self.degree} are below 128-bit security",
                remedy=f"use at most {limit} bits, or a larger degree",
                field="modulus_bits",
            )
        if len(self.modulus_bits) < 2 or self.scale_bits > min(self.modulus_bits) - 4:
            raise InvalidInputError(
                "the moduli leave no room for values above the scale", remedy="use a smaller scale"
            )

    @property
    def slots(self) -> int:
        """Values a ciphertext."""
        return self.degree // 2

    @property
    def largest_sum(self) -> float:
        """The largest absolute value that a sum may have."""
        return float(2 ** (self.modulus_bits[0] - self.scale_bits - 2))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CkksKeys:
    """A site's keys: `secret` never leaves the sites, `public` is all that the lead gets."""

    parameters: CkksParameters
    secret: bytes
    public: bytes
    context: Any = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encrypted:
    """A vector of `length` values as ciphertexts of up to `slots` values each, in order."""

    length: int
    slots: int
    chunks: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes of all ciphertexts."""
        return sum(map(len, self.chunks))


def make_keys(parameters: CkksParameters | None = None) -> CkksKeys:
    """Return new keys, from the library's own secure generator."""
    import tenseal

    chosen = parameters or CkksParameters()
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS,
        chosen.degree,
        coeff_mod_bit_sizes=list(chosen.modulus_bits),
        encryption_type=tenseal.ENCRYPTION_TYPE.SYMMETRIC,
    )
    context.global_scale = float(2**chosen.scale_bits)
    return _keys(chosen, context)


def keys_from(parameters: CkksParameters, secret: bytes) -> CkksKeys:
    """Return the keys whose `secret` another site made. Raises `MessageError` when it holds none."""
    context = _context(secret)
    if not context.has_secret_key():
        raise MessageError("holds no secret key", remedy="ask for the sites' own copy", field="secret")
    return _keys(parameters, context)


def _keys(parameters: CkksParameters, context: Any) -> CkksKeys:
    """Return the keys of a context."""
    unused = {"save_galois_keys": False, "save_relin_keys": False}
    return CkksKeys(
        parameters=parameters,
        secret=context.serialize(save_public_key=False, save_secret_key=True, **unused),
        public=context.serialize(save_public_key=False, save_secret_key=False, **unused),
        context=context,
    )


def _context(data: bytes) -> Any:
    """Return the context that bytes hold. Raises `MessageError`."""
    import tenseal

    try:
        return tenseal.context_from(data)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise MessageError("is no CKKS context", remedy="send it again", field="context") from error


def encrypt(keys: CkksKeys, vector: NDArray[np.float32], *, sites: int) -> Encrypted:
    """Return `vector` (n,) encrypted, as one of `sites` that will be summed.

    Raises `InvalidInputError` when it is empty, not finite, or so large that the sum could leave its range.
    """
    import tenseal

    limit = keys.parameters.largest_sum / sites
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise InvalidInputError("an update is empty or not finite", remedy="find where training diverged")
    if float(np.abs(vector).max()) > limit:
        raise InvalidInputError(
            f"an update is beyond {limit:g}, which {sites} sites can sum",
            remedy="clip it, or lower the scale",
        )
    slots = keys.parameters.slots
    chunks = tuple(
        tenseal.ckks_vector(keys.context, vector[start : start + slots].astype(float)).serialize()
        for start in range(0, len(vector), slots)
    )
    return Encrypted(length=len(vector), slots=slots, chunks=chunks)


def add(public: bytes, boxes: Sequence[Encrypted]) -> Encrypted:
    """Return the encrypted sum of `boxes`, with the lead's `public` half of the keys.

    Raises `MessageError` when they differ in length, or hold what is no ciphertext of this context.
    """
    context = _context(public)
    if not boxes or len({_shape(box) for box in boxes}) != 1:
        raise MessageError("encrypted updates differ in length", remedy="drop the one that is wrong")
    sums = tuple(_sum(context, parts) for parts in zip(*(box.chunks for box in boxes), strict=True))
    return Encrypted(length=boxes[0].length, slots=boxes[0].slots, chunks=sums)


def _shape(box: Encrypted) -> tuple[int, int, int]:
    """Return what must be alike in what is added. Raises `MessageError` when a box contradicts itself."""
    if box.length < 1 or box.slots < 1 or len(box.chunks) != -(-box.length // box.slots):
        raise MessageError(
            "an encrypted update has not as many parts as its length needs", remedy="send it again"
        )
    return box.length, box.slots, len(box.chunks)


def _sum(context: Any, parts: Sequence[bytes]) -> bytes:
    """Return the sum of ciphertexts."""
    total = _vector(context, parts[0])
    for part in parts[1:]:
        try:
            total += _vector(context, part)
        except ValueError as error:
            raise MessageError(
                "ciphertexts don't fit together", remedy="drop the one that is wrong"
            ) from error
    return bytes(total.serialize())


def _vector(context: Any, data: bytes) -> Any:
    """Return the ciphertext that bytes hold. Raises `MessageError`."""
    import tenseal

    try:
        return tenseal.ckks_vector_from(context, data)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise MessageError(
            "is no ciphertext of this context", remedy="drop the site that sent it", field="chunks"
        ) from error


def decrypt(keys: CkksKeys, box: Encrypted) -> NDArray[np.float64]:
    """Return the values (n,). Raises `MessageError` when `box` is not of these keys' context or not whole.

    CKKS carries no authentication: a ciphertext of other keys decrypts to noise, most of it beyond the range,
    which is refused.
    """
    _shape(box)
    parts = [np.asarray(_vector(keys.context, data).decrypt()) for data in box.chunks]
    values = np.concatenate(parts)
    if len(values) != box.length or not np.abs(values).max() <= 2 * keys.parameters.largest_sum:
        raise MessageError(
            "decrypts to values out of range", remedy="check that all sites hold the same secret key"
        )
    return values
