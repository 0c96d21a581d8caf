"""A portal in this process, and an OpenID provider that does as it should, or as a test wants it to err."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

sys.path.insert(0, str(Path(__file__).parents[1] / "federate_catalogue"))
from site_at_work import make_site

from huizhen.federate.catalogue.publishing import publish
from huizhen.federate.site.folder import SiteFolder
from huizhen.portal.app import build
from huizhen.portal.office import Office
from huizhen.portal.settings import Settings

KEY = ECKey.generate_key("P-256", {"kid": "one"})
CLAIMS = {
    "rita": ["researcher"],
    "rosa": ["researcher"],
    "oskar": ["officer:north"],
    "olga": ["officer:south", "researcher"],
    "vera": ["viewer"],
    "anton": ["auditor"],
    "both": ["researcher", "officer:north"],
}


@dataclass
class Provider:
    """What the provider says; tests change it. `claims` and `header` are merged into each ID token."""

    port: int
    who: str = "rita"
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    signer: Any = field(default_factory=lambda: KEY)
    sign: Callable[[dict[str, Any], dict[str, Any]], str] | None = None
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def discovery(self) -> dict[str, Any]:
        """Return its metadata."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/me",
            "end_session_endpoint": f"{self.issuer}/end",
            **self.metadata,
        }

    def authorise(self, query: dict[str, str]) -> str:
        """Return where a browser is sent back to, with a code."""
        code = hashlib.sha256(query["state"].encode()).hexdigest()
        self.asked[code] = query
        back = {"code": code, "state": query["state"]}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def token(self, given: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Return tokens for a code, once, if the verifier fits."""
        asked = self.asked.pop(given.get("code", ""), None)
        hashed = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
        if (
            asked is None
            or challenge != asked.get("code_challenge")
            or asked["code_challenge_method"] != "S256"
        ):
            self.refused.append(given.get("code", ""))
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.who,
            "aud": asked["client_id"],
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "ES256", "kid": "one", **self.header}
        made = (self.sign or self._signed)(header, claims)
        return 200, {
            "access_token": "secret-token",
            "token_type": "Bearer",
            "id_token": made,
            "expires_in": 60,
        }

    def _signed(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        return jwt.encode(header, claims, self.signer, algorithms=[header["alg"]])

    def person(self) -> dict[str, Any]:
        """Return what it tells of the person."""
        name = self.who.title()
        return {
            "sub": self.who,
            "name": name,
            "email": f"{self.who}@example.org",
            "eduperson_entitlement": CLAIMS.get(self.who, []),
            **self.told,
        }


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a token that nobody signed."""
    parts = (json.dumps(part).encode() for part in ({**header, "alg": "none"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def by_public_key(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a token signed by HMAC with the public key as its secret."""
    pem = KEY.as_pem(private=False)
    return jwt.encode({**header, "alg": "HS256"}, claims, OctKey.import_key(pem), algorithms=["HS256"])


def another_key() -> RSAKey:
    """Return a key that isn't the provider's."""
    return RSAKey.generate_key(2048, {"kid": "one"})


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def provider_at(port: int) -> Iterator[Provider]:
    """Run a provider."""
    provider = Provider(port=port)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            match parts.path:
                case "/.well-known/openid-configuration":
                    self.say(200, provider.discovery())
                case "/jwks":
                    self.say(200, KeySet([KEY]).as_dict(private=False))
                case "/me":
                    known = self.headers["Authorization"] == "Bearer secret-token"
                    self.say(200 if known else 401, provider.person())
                case "/auth":
                    self.send_response(303)
                    self.send_header("Location", provider.authorise(query))
                    self.end_headers()
                case _:
                    self.say(200, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.say(*provider.token({name: values[0] for name, values in parse_qs(body).items()}))

        def say(self, status: int, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *values: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class House:
    """A running portal."""

    address: str
    office: Office
    provider: Provider
    site: SiteFolder
    browsers: list[httpx.Client] = field(default_factory=list)

    def browser(self, **cookies: str) -> httpx.Client:
        """Return a browser without a login; it is closed after the test."""
        client = httpx.Client(base_url=self.address, follow_redirects=True, timeout=60, cookies=cookies)
        self.browsers.append(client)
        return client

    def logged_in(self, who: str) -> httpx.Client:
        """Return a browser in which somebody logged in."""
        self.provider.who = who
        client = self.browser()
        client.get("/login")
        return client


def settings_of(port: int, issuer: str, north: str) -> Settings:
    """Return a portal's settings."""
    return Settings.model_validate(
        {
            "portal": {
                "title": "Test",
                "address": f"http://127.0.0.1:{port}",
                "listen": f"127.0.0.1:{port}",
                "wait_s": 0.3,
            },
            "login": {"issuer": issuer, "client_id": "portal", "timeout_s": 5},
            "roles": {"viewer": ["viewer"], "researcher": ["researcher"], "auditor": ["auditor"]},
            "site": [
                {"name": "north", "key": north, "officers": ["officer:north"]},
                {"name": "south", "key": "0" * 64, "officers": ["officer:south"]},
            ],
        }
    )


@contextmanager
def house_in(folder: Path) -> Iterator[House]:
    """Run a portal with one site's record, and a provider."""
    port, issuer = free_port(), free_port()
    site = make_site(folder / "north", "north", patients=200)
    (folder / "records").mkdir()
    (folder / "records" / "north.jsonld").write_bytes(publish(site).data)
    settings = settings_of(port, f"http://127.0.0.1:{issuer}", site.key.public.hex)
    office = Office.open(settings, folder, told=lambda text, language: text)
    server = uvicorn.Server(
        uvicorn.Config(build(office), host="127.0.0.1", port=port, log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with provider_at(issuer) as provider:
            while not server.started:
                time.sleep(0.02)
            yield House(settings.portal.address, office, provider, site)
    finally:
        server.should_exit = True
        thread.join(10)
        office.close()
