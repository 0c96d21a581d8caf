"""Who somebody is by the claims of the login, and what that allows. What isn't named is denied."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from huizhen.errors import visible
from huizhen.portal.settings import Settings

__all__ = ["Person", "Right", "as_of_now", "person_of"]


class Right(StrEnum):
    """What may be allowed."""

    BROWSE = "browse"
    SEARCH = "search"
    REQUEST = "request"
    DECIDE = "decide"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody logged in. `id` is a keyed hash of issuer and subject: 16 hexadecimal digits.

    `officer_of` names the sites whose requests they decide; `verified` is the e-mail address if the provider
    says that it checked it, else "".
    """

    id: str
    name: str
    email: str
    rights: frozenset[Right]
    officer_of: frozenset[str]
    verified: str = ""
    held: frozenset[str] = frozenset()
    """The values of the role claim, as the login said them."""

    def may(self, right: Right) -> bool:
        """Tell whether something is allowed."""
        return right in self.rights


def person_of(claims: Mapping[str, Any], settings: Settings, *, secret: bytes) -> Person:
    """Return the person of verified claims."""
    who = f"{settings.login.issuer}\x1f{claims['sub']}".encode()
    named = Person(
        id=hmac.new(secret, who, hashlib.sha256).hexdigest()[:16],
        name=_plain(claims.get("name")),
        email=_plain(claims.get("email")) if claims.get("email_verified") is not False else "",
        rights=frozenset(),
        officer_of=frozenset(),
        verified=_plain(claims.get("email")) if claims.get("email_verified") is True else "",
        held=frozenset(_values(claims.get(settings.login.role_claim))),
    )
    return as_of_now(named, settings)


def as_of_now(person: Person, settings: Settings) -> Person:
    """Return a person with what these settings allow them: nothing where they are revoked."""
    roles, held = settings.roles, person.held if person.id not in settings.roles.revoked else frozenset[str]()
    officer_of = frozenset(site.name for site in settings.site if held & set(site.officers))
    rights: set[Right] = set()
    if held & set(roles.viewer):
        rights |= {Right.BROWSE}
    if held & set(roles.researcher):
        rights |= {Right.BROWSE, Right.SEARCH, Right.REQUEST}
    if officer_of:
        rights |= {Right.BROWSE, Right.DECIDE}
    if held & set(roles.auditor):
        rights |= {Right.BROWSE, Right.AUDIT}
    return replace(person, rights=frozenset(rights), officer_of=officer_of)


def _values(given: object) -> set[str]:
    """Return a claim's values; what is neither a text nor a list of texts has none."""
    if isinstance(given, str):
        return {given}
    return {one for one in given if isinstance(one, str)} if isinstance(given, list) else set()


def _plain(given: object) -> str:
    """Return a short text on one line."""
    return visible(given.replace("\n", " "))[:200] if isinstance(given, str) else ""
