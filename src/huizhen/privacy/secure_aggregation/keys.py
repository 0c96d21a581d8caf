"""Keys of one round: agreement, derivation, sealed boxes, commitments.

X25519 (RFC 7748) agrees, HKDF with SHA-256 (RFC 5869) derives, ChaCha20-Poly1305 (RFC 8439) seals. Each
derived key names its use, the terms (which hold study and round), and both sites in order.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from huizhen.errors import MessageError
from huizhen.privacy.secure_aggregation.interface import Terms
from huizhen.privacy.secure_aggregation.masks import MASK_KEY_BYTES, Mask

__all__ = [
    "TAG_BYTES",
    "agree",
    "commitment",
    "new_key",
    "open_box",
    "own_mask",
    "pair_mask",
    "private_from",
    "public_of",
    "raw_of",
    "seal",
]

TAG_BYTES: Final = 16
_ONCE: Final = bytes(12)
"""The nonce of a box: a key seals one box only."""


def new_key() -> X25519PrivateKey:
    """Return a new private key."""
    return X25519PrivateKey.generate()


def private_from(raw: bytes) -> X25519PrivateKey:
    """Return the private key of 32 raw bytes."""
    return X25519PrivateKey.from_private_bytes(raw)


def raw_of(key: X25519PrivateKey) -> bytes:
    """Return a private key's 32 raw bytes, to be shared among the sites."""
    return key.private_bytes_raw()


def public_of(key: X25519PrivateKey) -> bytes:
    """Return the 32 raw bytes of a private key's public key."""
    return key.public_key().public_bytes_raw()


def agree(own: X25519PrivateKey, other: bytes) -> bytes:
    """Return the secret that `own` shares with the public key `other`.

    Raises `MessageError` when `other` is a point that fixes the secret beforehand (RFC 7748, section 6.1).
    """
    try:
        return own.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError as error:
        raise MessageError(
            "a public key agrees on nothing secret", remedy="drop the site that sent it", field="mask_key"
        ) from error


def _derive(secret: bytes, size: int, terms: Terms, use: str, *names: str) -> bytes:
    """Return `size` bytes for one use between the sites `names`; no two sets of names read alike."""
    info = "\x1f".join([use, terms.study, str(terms.round_number), str(terms.attempt), *names]).encode()
    return HKDF(SHA256(), size, salt=terms.digest, info=info).derive(secret)


def seal(secret: bytes, terms: Terms, sender: str, receiver: str, content: bytes) -> bytes:
    """Return `content` sealed from `sender` to `receiver` under their agreed `secret`."""
    key = _derive(secret, 32, terms, "box", sender, receiver)
    return ChaCha20Poly1305(key).encrypt(_ONCE, content, terms.digest)


def open_box(secret: bytes, terms: Terms, sender: str, receiver: str, box: bytes) -> bytes:
    """Return what `sender` sealed. Raises `MessageError` when it was altered or sealed for another use."""
    key = _derive(secret, 32, terms, "box", sender, receiver)
    try:
        return ChaCha20Poly1305(key).decrypt(_ONCE, box, terms.digest)
    except InvalidTag as error:
        raise MessageError(
            f"the box from {sender} to {receiver} doesn't open",
            remedy="repeat the round without the site that sent it",
            field="boxes",
        ) from error


def pair_mask(secret: bytes, terms: Terms, own: str, other: str) -> Mask:
    """Return the mask that `own` puts on its update towards `other`: theirs is the same with another sign."""
    key = _derive(secret, MASK_KEY_BYTES, terms, "pair", *sorted((own, other)))
    return Mask(key=key, minus=own > other)


def own_mask(seed: bytes, terms: Terms, name: str, *, minus: bool = False) -> Mask:
    """Return the self-mask of a site from its 32-byte seed."""
    return Mask(key=_derive(seed, MASK_KEY_BYTES, terms, "self", name), minus=minus)


def commitment(seed: bytes, terms: Terms, name: str) -> bytes:
    """Return 32 bytes that bind a site to its seed and, the seed being random, don't show it."""
    return hashlib.sha256(b"commitment\x1f" + terms.digest + name.encode() + b"\x1f" + seed).digest()
