"""`portal.toml`: where the portal is, who may log in as what, and which sites take part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from huizhen.core.study_base import Name
from huizhen.core.toml_file import read_toml
from huizhen.core.toml_problem import Form, listed, problems_in
from huizhen.errors import InvalidInputError
from huizhen.federate.messages import Hex32

__all__ = ["Login", "Portal", "Roles", "Settings", "Site", "load_settings", "local"]

_STRICT = ConfigDict(extra="forbid", frozen=True)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures of ID tokens that are taken; never HMAC, never none."""


def local(address: str) -> bool:
    """Tell whether an address is this machine's own, where plain HTTP may be spoken.

    >>> local("http://127.0.0.1:8000/x"), local("http://127.0.0.1.evil.example/")
    (True, False)
    """
    return urlsplit(address).hostname in _LOOPBACK


def _bare(text: str) -> str:
    return text.rstrip("/")


_HTTPS = r"https://[A-Za-z0-9.-]{1,253}(:\d{1,5})?"
_HERE = r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"
_ADDRESS, _PERSON = rf"^({_HTTPS}|{_HERE})(/[A-Za-z0-9._~/-]*)?$", r"^[0-9a-f]{16}$"
_LISTEN, _VARIABLE, _KEY = r"^[0-9A-Za-z.:\[\]-]{1,64}:\d{1,5}$", r"^[A-Z][A-Z0-9_]{0,63}$", r"^[0-9a-f]{64}$"
FORMS: Mapping[str, Form] = {
    _ADDRESS: Form(
        reason="is no https address", remedy="write it as https://catalogue.example.org, without a query"
    ),
    _PERSON: Form(reason="names no person", remedy="copy the 16 digits from the ledger"),
    _LISTEN: Form(reason="is no address to listen at", remedy="write it as 127.0.0.1:8443"),
    _VARIABLE: Form(
        reason="is no name of an environment variable", remedy="name the variable, and put the secret into it"
    ),
    _KEY: Form(reason="is no public key", remedy="copy its 64 hexadecimal digits whole"),
}
"""What a text should have been that doesn't fit a pattern."""
Address = Annotated[
    str,
    StringConstraints(max_length=300, pattern=_ADDRESS),
    AfterValidator(_bare),
]
"""https, or this machine's own."""
Claim = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class Portal(BaseModel):
    """[portal]"""

    model_config = _STRICT
    title: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    address: Address
    """As browsers reach it. https, but on this machine alone."""
    listen: Annotated[str, StringConstraints(pattern=_LISTEN)] = "127.0.0.1:8443"
    state: str = "portal"
    """Folder for the key, the ledger; relative to this file."""
    records: str = "records"
    """Folder of the sites' records."""
    certificate: str | None = None
    private_key: str | None = None
    """TLS, where no proxy before the portal does it."""
    idle_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    longest_hours: Annotated[int, Field(ge=1, le=24)] = 8
    wait_s: Annotated[float, Field(gt=0, le=120)] = 20.0
    """How long a question waits for sites."""


class Login(BaseModel):
    """[login]: the OpenID provider."""

    model_config = _STRICT
    issuer: Address
    client_id: Claim
    secret_variable: Annotated[str, StringConstraints(pattern=_VARIABLE)] | None = None
    """Name of the environment variable that holds the client's secret; None for a public client."""
    scopes: tuple[Claim, ...] = ("openid", "profile", "email")
    role_claim: Claim = "eduperson_entitlement"
    clock_skew_s: Annotated[int, Field(ge=0, le=300)] = 60
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0


class Roles(BaseModel):
    """[roles]: which values of the role claim make whom; nobody is anything else."""

    model_config = _STRICT
    viewer: tuple[Claim, ...] = ()
    researcher: tuple[Claim, ...] = ()
    auditor: tuple[Claim, ...] = ()
    revoked: tuple[Annotated[str, StringConstraints(pattern=_PERSON)], ...] = ()
    """Persons, as the ledger names them, who may nothing any more, whatever their login says."""


class Site(BaseModel):
    """[[site]]: a site that publishes a record and answers questions."""

    model_config = _STRICT
    name: Name
    key: Hex32
    """Its public key."""
    officers: tuple[Claim, ...] = ()
    """Values of the role claim that make a data officer of this site."""


class Settings(BaseModel):
    """The content of `portal.toml`."""

    model_config = _STRICT
    portal: Portal
    login: Login
    roles: Roles = Roles()
    site: tuple[Site, ...] = ()
    leads: tuple[Hex32, ...] = ()
    """Public keys of leads who may ask sites through the portal without a browser."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [site.name for site in self.site]
        if len(set(names)) != len(names):
            raise ValueError("a site stands twice")
        if "openid" not in self.login.scopes:
            raise ValueError("the scopes lack openid")
        if (self.portal.certificate is None) != (self.portal.private_key is None):
            raise ValueError("certificate and private_key go together")
        return self

    @property
    def secure(self) -> bool:
        """Whether browsers reach the portal over https."""
        return self.portal.address.startswith("https:")


def load_settings(path: Path) -> Settings:
    """Return the settings in a TOML file. Raises `InvalidInputError` that names every wrong field."""
    return read_toml(
        path, Settings, wrong=lambda error: _described(error, path), unreadable=InvalidInputError
    )


def _described(error: ValidationError, path: Path) -> InvalidInputError:
    """Return the error of settings by all their problems."""
    remedy = "correct it: docs/how-to/run-a-catalogue-portal.md names every field"
    problems = problems_in(error, Settings, remedy=remedy, forms=FORMS)
    if len(problems) > 1:
        return InvalidInputError(
            listed(problems),
            remedy="correct them: docs/how-to/run-a-catalogue-portal.md names every field",
            file=path.name,
        )
    (one,) = problems
    return InvalidInputError(one.reason, remedy=one.remedy, field=one.field or None, file=path.name)
