"""Checks of what arrives, shared by sites and lead: each raises `MessageError` and changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NoReturn

from huizhen.errors import MessageError, VerificationError
from huizhen.privacy.secure_aggregation.interface import Advert, Terms

__all__ = [
    "KEYS_DOMAIN",
    "SURVIVORS_DOMAIN",
    "check_advert",
    "check_bytes",
    "check_names",
    "check_pairs",
    "check_signature",
    "check_terms",
    "refuse",
]

KEYS_DOMAIN = "secure-aggregation-keys"
SURVIVORS_DOMAIN = "secure-aggregation-survivors"


def refuse(message: str, field: str, remedy: str = "drop what was sent, and repeat the round") -> NoReturn:
    """Raise `MessageError`."""
    raise MessageError(message, remedy=remedy, field=field)


def check_terms(terms: Terms, digest: bytes) -> None:
    """Refuse a message of another round, attempt, study or set of sites."""
    if digest != terms.digest:
        refuse(
            f"a message is not of round {terms.round_number}, attempt {terms.attempt} of this study",
            "terms",
            "ignore it: it is late, replayed, or made under other terms",
        )


def check_bytes(value: object, size: int, field: str) -> None:
    """Refuse anything but `size` bytes."""
    if not isinstance(value, bytes) or len(value) != size:
        refuse(f"is not {size} bytes", field)


def check_names(names: Iterable[object], allowed: Collection[str], field: str) -> None:
    """Refuse a name that is unknown or stands twice."""
    seen: set[object] = set()
    for name in names:
        if not isinstance(name, str) or name not in allowed:
            refuse("names a site that has no place here", field)
        if name in seen:
            refuse(f"names {name} twice", field)
        seen.add(name)


def check_pairs(pairs: object, allowed: Collection[str], size: int, field: str) -> None:
    """Refuse anything but (name, `size` bytes) pairs of allowed names, each once."""
    if not isinstance(pairs, tuple) or any(not isinstance(p, tuple) or len(p) != 2 for p in pairs):
        refuse("is not a tuple of pairs", field)
    check_names((name for name, _ in pairs), allowed, field)
    for _, value in pairs:
        check_bytes(value, size, field)


def check_signature(terms: Terms, name: str, domain: str, payload: bytes, signature: object) -> None:
    """Refuse a signature that is not this site's on `payload`."""
    check_bytes(signature, 64, "signature")
    assert isinstance(signature, bytes)
    try:
        terms.key_of(name).verify(domain, payload, signature.hex())
    except VerificationError as error:
        raise MessageError(
            f"the signature of {name} does not hold",
            remedy="check that the study names the site's present key; else somebody else sent this",
            field="signature",
        ) from error


def check_advert(terms: Terms, advert: Advert) -> None:
    """Refuse an advert that its site didn't sign for these terms."""
    check_terms(terms, advert.terms)
    check_names([advert.site], terms.names, "site")
    check_bytes(advert.channel_key, 32, "channel_key")
    check_bytes(advert.mask_key, 32, "mask_key")
    payload = terms.signed_keys(advert.site, advert.channel_key, advert.mask_key)
    check_signature(terms, advert.site, KEYS_DOMAIN, payload, advert.signature)
