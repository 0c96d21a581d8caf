"""The post between a portal, its sites and leads: signed JSON over HTTPS, always begun outside the portal.

A site asks for questions that wait for it and brings answers; it listens to nobody.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from huizhen.core.digests import canonical_json
from huizhen.errors import FederationError, HuizhenError, InvalidInputError
from huizhen.federate.catalogue.asking import at_site
from huizhen.federate.catalogue.envelopes import Moment, Question
from huizhen.federate.catalogue.standing import Standing
from huizhen.federate.messages import Hex32, Name, Signature
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.signing import PublicKey
from huizhen.portal.settings import local

if TYPE_CHECKING:
    import httpx

__all__ = ["ASK", "NEXT", "PUT", "Poll", "PortalPost", "answer_waiting", "poll_of"]

ASK = "/exchange/ask"
NEXT = "/exchange/next"
PUT = "/exchange/answers"
POLL = "catalogue-poll"
PATIENCE_S = 60.0
PAUSE_S = 5.0


class Poll(BaseModel):
    """A site's request for the next question."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["catalogue_poll"] = "catalogue_poll"
    site: Name
    time: Moment
    number: Hex32
    wait_s: Annotated[float, Field(ge=0, le=30)] = 0.0
    signature: Signature = "0" * 128

    def payload(self) -> bytes:
        """Return what is signed."""
        return canonical_json(self.model_dump(mode="json", exclude={"signature"}))

    def verify(self, key: PublicKey) -> None:
        """Check the signature. Raises `VerificationError`."""
        key.verify(POLL, self.payload(), self.signature)


def poll_of(site: SiteFolder, *, wait_s: float) -> Poll:
    """Return a site's signed request."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    plain = Poll(site=site.name, time=now, number=secrets.token_hex(32), wait_s=wait_s)
    return plain.model_copy(update={"signature": site.key.sign(POLL, plain.payload())})


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPost:
    """A lead's way to sites through a portal at `address`."""

    address: str

    def carry(self, questions: Mapping[str, Question]) -> dict[str, bytes]:
        """Return the answers that came in time. Raises `FederationError` when the portal can't be reached."""
        body = [question.model_dump(mode="json") for question in questions.values()]
        with _client(self.address) as client:
            said = _posted(client, ASK, body)
        found = json.loads(said) if said else {}
        return {str(site): str(text).encode() for site, text in found.items()}


def answer_waiting(site: SiteFolder, address: str, *, once: bool = False, wait_s: float = 20.0) -> int:
    """Answer a site's questions at a portal until interrupted, or those that wait now; return how many.

    A portal that can't be reached is tried again. Raises `FederationError` with `once`.
    """
    count, standing = 0, Standing(site)
    with _client(address) as client:
        while True:
            try:
                data = _posted(
                    client, NEXT, poll_of(site, wait_s=0.0 if once else wait_s).model_dump(mode="json")
                )
                if data:
                    answer = at_site(data, site, standing.lend)
                    if answer is not None:
                        _posted(client, PUT, json.loads(answer))
                        count += 1
                elif once:
                    return count
            except KeyboardInterrupt:
                return count
            except FederationError:
                if once:
                    raise
                with contextlib.suppress(HuizhenError):
                    time.sleep(PAUSE_S)


def _client(address: str) -> httpx.Client:
    """Return a client for a portal. Raises `InvalidInputError` on an unsafe address or without httpx."""
    if not address.startswith("https://") and not (address.startswith("http://") and local(address)):
        raise InvalidInputError(
            "the portal's address is not https", remedy="give https://...", field="--portal"
        )
    try:
        import httpx
    except ImportError as error:
        raise InvalidInputError(
            "the portal needs packages that are not installed", remedy="run: pip install 'huizhen[portal]'"
        ) from error
    return httpx.Client(base_url=address, timeout=PATIENCE_S, follow_redirects=False)


def _posted(client: httpx.Client, path: str, body: Any) -> bytes:
    """Return the answer to signed JSON, b"" for none. Raises `FederationError`."""
    import httpx

    try:
        answer = client.post(path, content=canonical_json(body), headers={"Content-Type": "application/json"})
    except httpx.HTTPError as error:
        raise FederationError(
            "the portal can't be reached", remedy="check its address and this machine's network"
        ) from error
    if answer.status_code == 503:
        raise FederationError(
            "the portal has too many questions under way", remedy="wait for their answers, then ask again"
        )
    if answer.status_code == 204:
        return b""
    if answer.status_code != 200:
        raise FederationError(
            f"the portal refused (status {answer.status_code})",
            remedy="have its operator enter this key, and set both clocks",
        )
    return answer.content
