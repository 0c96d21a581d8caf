"""Ed25519 keys: who signed, for what, and secrets derived from the key.

A signature is made for one purpose, its domain ("head", "study"), and holds for no other.

    >>> key = SigningKey.generate()
    >>> signature = key.sign("head", b"payload")
    >>> key.public.verify("head", b"payload", signature)
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from huizhen.core.files import storage_error, write_bytes
from huizhen.errors import InvalidInputError, LedgerError, StorageError, VerificationError

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_PUBLIC = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


def _message(use: str, name: str, payload: bytes = b"") -> bytes:
    """Return what is signed or derived from: a name that no other use can share, a zero byte, the payload."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} is no {use}", remedy="use lower-case letters, digits, '.', '-' and '_'"
        )
    return f"huizhen/{name}/v1\0".encode() + payload


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """An Ed25519 public key: `hex`, its 32 raw bytes in 64 lower-case hexadecimal digits."""

    hex: str

    def __post_init__(self) -> None:
        if not _PUBLIC.fullmatch(self.hex):
            raise InvalidInputError("a public key is not 64 hexadecimal digits", remedy="copy it whole")

    @property
    def key_id(self) -> str:
        """The key's short name: the first 16 hexadecimal digits of the SHA-256 of its raw bytes."""
        return hashlib.sha256(bytes.fromhex(self.hex)).hexdigest()[:16]

    def verify(self, domain: str, payload: bytes, signature: str) -> None:
        """Check that this key signed `payload` for `domain`; `signature` is 128 hexadecimal digits.

        Raises `VerificationError`. Reference: RFC 8032, section 5.1.7.
        """
        refused = VerificationError(
            f"the {domain} signature of key {self.key_id} does not hold",
            remedy="get the original from its owner: this copy was altered or signed by another key",
            field="signature",
        )
        if not _SIGNATURE.fullmatch(signature):
            raise refused
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.hex))
            key.verify(bytes.fromhex(signature), _message("domain", domain, payload))
        except (InvalidSignature, UnsupportedAlgorithm) as error:
            raise refused from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SigningKey:
    """An Ed25519 private key. It is never shown, and never leaves its file but by `derive_secret`."""

    _private: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a new key that is kept nowhere."""
        return cls(_private=Ed25519PrivateKey.generate())

    @classmethod
    def create_or_load(cls, path: Path) -> SigningKey:
        """Return the key in `path` (PEM, PKCS #8), made first if there is none, readable by its owner only.

        Of two processes that make one at once, both get the one that came first. Raises `StorageError` when
        the file can't be written or others may read it, `LedgerError` when it holds no Ed25519 key.
        """
        if not os.path.exists(path):  # unlike Path.exists, never raises
            _place(path, cls.generate()._pem())
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Return the key in `path`. Raises `StorageError` or `LedgerError` as `create_or_load` does."""
        pem = _read_private(path)
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            private = None  # the library's message may quote the file, so it is not passed on
        if not isinstance(private, Ed25519PrivateKey):
            raise LedgerError(
                "holds no unencrypted Ed25519 private key in PEM form",
                remedy="restore the key from its backup, or move the file away to have a new key made",
                file=str(path),
            )
        return cls(_private=private)

    def _pem(self) -> bytes:
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> PublicKey:
        """The key that others verify with."""
        raw = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return PublicKey(hex=raw.hex())

    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.key_id!r})"

    @property
    def key_id(self) -> str:
        """The public key's short name."""
        return self.public.key_id

    def sign(self, domain: str, payload: bytes) -> str:
        """Return the signature of `payload` for `domain`, in 128 hexadecimal digits.

        What is signed is "huizhen/<domain>/v1", a zero byte and the payload, so that a signature made for one
        purpose can't be shown for another. Raises `InvalidInputError` on a domain that is no plain name.
        Reference: RFC 8032, section 5.1.6.
        """
        return self._private.sign(_message("domain", domain, payload)).hex()

    def derive_secret(self, label: str) -> bytes:
        """Return 32 secret bytes for the use `label`, always the same for this key.

        For keyed pseudonyms and the like: who has only the secret learns neither the key nor other secrets.
        Raises `InvalidInputError` on a label that is no plain name. Reference: RFC 5869 (HKDF with SHA-256).
        """
        raw = self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return HKDF(SHA256(), 32, salt=b"huizhen/derive", info=_message("label", label)).derive(raw)


def _place(path: Path, pem: bytes) -> None:
    """Put `pem` at `path`, whole, for its owner only, and never over a file that is there already."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    write_bytes(scratch, pem)  # made with mode 0600
    try:
        os.link(scratch, path)
    except FileExistsError:
        return
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        scratch.unlink(missing_ok=True)


def _read_private(path: Path) -> bytes:
    """Return the bytes of a file that only its owner may read."""
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if mode & 0o077:
                raise StorageError(
                    f"is a private key that others may read (mode {mode:04o})",
                    remedy=f"run: chmod 600 '{path}'; if others had access to this machine, make a new key",
                    file=str(path),
                )
            return stream.read(65536)
    except OSError as error:
        raise StorageError(
            f"can't be read ({error.strerror})",
            remedy="check that the file is there and yours",
            file=str(path),
        ) from error
