"""Keys: their files, what a signature holds for, and that nothing shows the secret."""

from __future__ import annotations

import os
import pickle
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from huizhen.errors import InvalidInputError, LedgerError, StorageError, VerificationError
from huizhen.ledger.signing import PublicKey, SigningKey

# RFC 8032, section 7.1, test 1
RFC_SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def rfc_key() -> SigningKey:
    return SigningKey(_private=Ed25519PrivateKey.from_private_bytes(RFC_SECRET))


def test_the_public_key_is_that_of_the_standards_vector() -> None:
    assert rfc_key().public.hex == RFC_PUBLIC
    assert rfc_key().key_id == "21fe31dfa154a261"


def test_a_signature_holds_for_its_domain_payload_and_key_only() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    signature = key.sign("head", b"payload")
    key.public.verify("head", b"payload", signature)
    flipped = f"{int(signature[0], 16) ^ 1:x}{signature[1:]}"
    for public, domain, payload, text in (
        (key.public, "study", b"payload", signature),
        (key.public, "head", b"payload2", signature),
        (other.public, "head", b"payload", signature),
        (key.public, "head", b"payload", flipped),
        (key.public, "head", b"payload", signature[:-1]),
        (key.public, "head", b"payload", signature.upper()),
        (key.public, "head", b"payload", ""),
    ):
        with pytest.raises(VerificationError, match="does not hold"):
            public.verify(domain, payload, text)


@pytest.mark.parametrize("name", ["", "Head", "a\0b", "head ", "a/b", "x" * 65])
def test_domains_and_labels_are_plain_names(name: str) -> None:
    key = SigningKey.generate()
    with pytest.raises(InvalidInputError, match="is no domain"):
        key.sign(name, b"")
    with pytest.raises(InvalidInputError, match="is no label"):
        key.derive_secret(name)


@pytest.mark.parametrize("text", ["", "00", "g" * 64, "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n"])
def test_a_public_key_is_64_lower_case_digits(text: str) -> None:
    with pytest.raises(InvalidInputError, match="64 hexadecimal"):
        PublicKey(hex=text)


def test_secrets_are_stable_and_differ_by_label_and_key() -> None:
    secret = rfc_key().derive_secret("pseudonyms")
    assert secret == rfc_key().derive_secret("pseudonyms")
    assert len(secret) == 32
    others = {
        rfc_key().derive_secret("salts"),
        SigningKey.generate().derive_secret("pseudonyms"),
        RFC_SECRET,
    }
    assert secret not in others
    assert len(others) == 3


def test_nothing_shows_the_secret() -> None:
    key = rfc_key()
    for text in (repr(key), str(key), f"{key}"):
        assert text == "SigningKey(key_id='21fe31dfa154a261')"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_a_key_is_made_once_for_its_owner_only_and_loaded_after(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "ledger.pem"
    before = os.umask(0)
    try:
        made = SigningKey.create_or_load(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert SigningKey.create_or_load(path).public == made.public
    assert [item.name for item in path.parent.iterdir()] == ["ledger.pem"]


def test_all_who_make_a_key_at_once_get_the_same(tmp_path: Path) -> None:
    path = tmp_path / "ledger.pem"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: SigningKey.create_or_load(path).public.hex, range(32)))
    assert len(set(keys)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644, 0o601])
def test_a_key_that_others_may_touch_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "ledger.pem"
    SigningKey.create_or_load(path)
    path.chmod(mode)
    with pytest.raises(StorageError, match=f"mode {mode:04o}.*chmod 600"):
        SigningKey.create_or_load(path)


def test_what_holds_no_such_key_is_refused_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.pem"
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    whole = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"", b"not a key", other, whole[: len(whole) // 2]):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(LedgerError, match="no unencrypted Ed25519") as caught:
            SigningKey.create_or_load(path)
        assert caught.value.__cause__ is None
        assert path.read_bytes() == content


def test_unreadable_and_unwritable_places_are_storage_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        SigningKey.create_or_load(tmp_path / "file" / "ledger.pem")
    with pytest.raises(StorageError, match="can't be read"):
        SigningKey.create_or_load(tmp_path)
    with pytest.raises(StorageError, match="can't be read"):
        SigningKey.load(tmp_path / "absent.pem")
