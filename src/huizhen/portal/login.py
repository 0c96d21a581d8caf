"""Login at an OpenID provider: authorization code with PKCE (S256), state, nonce; the ID token verified.

Sources: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7; RFC 7636; RFC 9207; RFC 9700; RP-Initiated
Logout 1.0.
"""

from __future__ import annotations

import hmac
import os
import secrets
import threading
import time
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from huizhen.errors import PolicyError, StageError
from huizhen.portal.patience import away
from huizhen.portal.sessions import Flow
from huizhen.portal.settings import ALGORITHMS, Login, local

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # authlib announces that it will go over to httpx2
    from authlib.integrations.httpx_client import OAuth2Client

__all__ = ["Provider"]

DISCOVERY = "/.well-known/openid-configuration"
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
KEYS_S = 60.0
"""Keys are fetched anew at most so often: an unknown key in a token mustn't make a storm."""
LONGEST = 1 << 20


class Provider:
    """The OpenID provider that a portal logs in at. Its metadata and keys are fetched when needed."""

    def __init__(self, login: Login, *, redirect: str) -> None:
        self._login, self._redirect = login, redirect
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] | None = None
        self._keys: KeySet | None = None
        self._fetched = 0.0

    def start(self, onward: str) -> tuple[str, Flow]:
        """Return the address that a browser is sent to, and what its answer must fit.

        Raises `StageError` when the provider can't be reached.
        """
        flow = Flow(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(64),
            onward=onward,
        )
        endpoint = self._known()["authorization_endpoint"]
        with self._client() as client:
            address, _ = client.create_authorization_url(
                endpoint, state=flow.state, nonce=flow.nonce, code_verifier=flow.verifier
            )
        return str(address), flow

    def finish(self, flow: Flow | None, given: Mapping[str, str]) -> tuple[dict[str, Any], str]:
        """Return the verified claims of the provider's answer `given` to a `flow`, and the ID token.

        Raises `PolicyError` when the answer doesn't fit, `StageError` when the provider can't be reached.
        """
        state = given.get("state", "").encode(errors="replace")
        if flow is None or not hmac.compare_digest(state, flow.state.encode()):
            raise _refused("it answers no login that began in this browser")
        issuer = given.get("iss")
        promised = self._known().get("authorization_response_iss_parameter_supported") is True
        if issuer != self._known()["issuer"] and (issuer is not None or promised):
            raise _refused("another provider answered")
        if "error" in given or not given.get("code"):
            raise _refused("the provider or you stopped it")
        token = self._exchanged(given["code"], flow)
        claims = self._verified(token, flow)
        return claims | self._told(token, str(claims["sub"])), str(token["id_token"])

    def farewell(self, id_token: str, back: str) -> str:
        """Return the address at which the provider ends its own session too; `back` where it has none."""
        try:
            endpoint = self._known().get("end_session_endpoint")
        except StageError:
            return back
        if not isinstance(endpoint, str) or not self._trusted(endpoint):
            return back
        asked = {
            "id_token_hint": id_token,
            "post_logout_redirect_uri": back,
            "client_id": self._login.client_id,
        }
        return f"{endpoint}?{urlencode(asked)}"

    # --- what the provider says ---------------------------------------------------------------------------

    def _known(self) -> dict[str, Any]:
        """Return the provider's metadata, fetched once."""
        with self._lock:
            if self._metadata is None:
                found = self._fetch(self._login.issuer + DISCOVERY)
                if str(found.get("issuer", "")).rstrip("/") != self._login.issuer:
                    raise _refused("the provider calls itself by another name")
                if not all(isinstance(found.get(n), str) and self._trusted(found[n]) for n in NEEDED):
                    raise _refused("the provider names no safe addresses")
                if "S256" not in found.get("code_challenge_methods_supported", ["S256"]):
                    raise _refused("the provider knows no PKCE by S256")
                self._metadata = found
            return self._metadata

    def _trusted(self, address: str) -> bool:
        """Whether an address may be spoken to: https, or this machine where the provider is on it."""
        parts = urlsplit(address)
        return parts.scheme == "https" or (
            parts.scheme == "http" and local(address) and local(self._login.issuer)
        )

    def _fetch(self, address: str, token: str = "") -> dict[str, Any]:
        """Return a JSON object from an address of the provider; no redirects are followed."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with httpx.Client(
                timeout=self._login.timeout_s, follow_redirects=False, trust_env=False
            ) as client:
                answer = client.get(address, headers=headers)
            answer.raise_for_status()
            found = answer.json() if len(answer.content) <= LONGEST else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise away() from error
        if not isinstance(found, dict):
            raise away()
        return found

    def _client(self) -> OAuth2Client:
        login = self._login
        secret = os.environ.get(login.secret_variable, "") if login.secret_variable else None
        return OAuth2Client(
            client_id=login.client_id,
            client_secret=secret,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            scope=" ".join(login.scopes),
            redirect_uri=self._redirect,
            code_challenge_method="S256",
            timeout=login.timeout_s,
            follow_redirects=False,
            trust_env=False,
        )

    def _exchanged(self, code: str, flow: Flow) -> dict[str, Any]:
        """Return the tokens for a code."""
        try:
            with self._client() as client:
                token = client.fetch_token(
                    self._known()["token_endpoint"], code=code, code_verifier=flow.verifier
                )
        except httpx.HTTPError as error:
            raise away() from error
        except (AuthlibBaseError, ValueError, KeyError, TypeError) as error:
            raise _refused("the provider doesn't take the code") from error
        if not isinstance(token.get("id_token"), str) or not isinstance(token.get("access_token"), str):
            raise _refused("the provider gave no token")
        return dict(token)

    def _verified(self, token: Mapping[str, Any], flow: Flow) -> dict[str, Any]:
        """Return the claims of an ID token whose signature, issuer, audience, nonce and times hold."""
        options = {
            "iss": {"essential": True, "value": self._known()["issuer"]},
            "aud": {"essential": True, "value": self._login.client_id},
            "nonce": {"essential": True, "value": flow.nonce},
            "sub": {"essential": True},
        }
        asked = {
            "nonce": flow.nonce,
            "client_id": self._login.client_id,
            "access_token": token["access_token"],
        }
        try:
            found = self._decoded(str(token["id_token"]))
            claims = CodeIDToken(found.claims, found.header, options, asked)
            claims.validate(leeway=self._login.clock_skew_s)
        except (JoseError, AuthlibBaseError, ValueError, TypeError, KeyError) as error:
            raise _refused("its token doesn't hold") from error
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise _refused("its token names nobody")
        others = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if others != [self._login.client_id]:
            raise _refused("its token is for others too")
        return dict(claims)

    def _decoded(self, text: str) -> jwt.Token:
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        try:
            return jwt.decode(text, self._keyset(), registry=registry)
        except InvalidKeyIdError:
            return jwt.decode(text, self._keyset(anew=True), registry=registry)

    def _keyset(self, *, anew: bool = False) -> KeySet:
        """Return the provider's public keys."""
        address = self._known()["jwks_uri"]
        with self._lock:
            if self._keys is None or (anew and time.monotonic() - self._fetched > KEYS_S):
                self._keys = KeySet.import_key_set(self._fetch(address))  # type: ignore[arg-type]  # a set of keys
                self._fetched = time.monotonic()
            return self._keys

    def _told(self, token: Mapping[str, Any], subject: str) -> dict[str, Any]:
        """Return what the provider tells of the person beside the token; it must be the same person."""
        endpoint = self._known().get("userinfo_endpoint")
        if not isinstance(endpoint, str) or not self._trusted(endpoint):
            return {}
        found = self._fetch(endpoint, str(token["access_token"]))
        if found.get("sub") != subject:
            raise _refused("the provider tells of another person")
        return {
            name: value for name, value in found.items() if name not in ("iss", "aud", "sub", "exp", "nonce")
        }


def _refused(why: str) -> PolicyError:
    return PolicyError(
        f"the login is refused: {why}", remedy="begin again at the portal's first page", field="login"
    )
