"""One request of a browser: whose session it is, in which language, and what may not be without a login."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request

from huizhen.core.words import Language
from huizhen.errors import InvalidInputError, PolicyError
from huizhen.portal.office import Office
from huizhen.portal.roles import Person, Right, as_of_now
from huizhen.portal.sessions import Session

__all__ = ["AtHome", "Form", "LoginNeededError", "Visit", "Visiting", "onward_of"]


class LoginNeededError(Exception):
    """Nobody is logged in; `onward` is where to go afterwards."""

    def __init__(self, onward: str) -> None:
        super().__init__("no login")
        self.onward = onward


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request with its session, if there is one."""

    request: Request
    office: Office
    session: Session | None
    language: Language

    person: Person | None
    """Who is logged in, with what they are allowed at this moment."""

    def need(self, right: Right) -> Person:
        """Return who is logged in and may do something.

        Raises `LoginNeededError` without a login, `PolicyError` without the right.
        """
        if self.person is None:
            asked = self.request.url.path if self.request.method == "GET" else "/"
            raise LoginNeededError(asked)
        if not self.person.may(right):
            raise PolicyError(
                "your login doesn't give you this right",
                remedy="ask whoever runs the portal for the role",
                field=right.value,
            )
        return self.person


def visiting(request: Request) -> Visit:
    """Return the visit of a request."""
    office: Office = request.app.state.office
    session = office.sessions.find(request.cookies.get(office.cookie))
    person = session.person if session is not None else None
    return Visit(
        request=request,
        office=office,
        session=session,
        language=_language(request),
        person=as_of_now(person, office.rules.now()) if person is not None else None,
    )


Visiting = Annotated[Visit, Depends(visiting)]


async def form_of(request: Request, visit: Visiting) -> Mapping[str, list[str]]:
    """Return a posted form's fields, if this session's own page posted it.

    Raises `PolicyError`; `InvalidInputError` when it isn't in UTF-8.
    """
    kind = request.headers.get("content-type", "").lower().replace(" ", "").replace('"', "")
    if "charset" in kind.replace("charset=utf-8", ""):
        raise InvalidInputError("the form isn't in UTF-8", remedy="send it from the portal's own page")
    sent = await request.form(max_files=0, max_fields=200)
    fields: dict[str, list[str]] = {}
    for name, value in sent.multi_items():
        if isinstance(value, str):
            fields.setdefault(name, []).append(value)
    token = (fields.pop("csrf", [""]) or [""])[0]
    own = visit.session.csrf if visit.session is not None else ""
    if not own or not hmac.compare_digest(token.encode(), own.encode()) or not _same_origin(visit):
        raise PolicyError(
            "the form doesn't come from your session", remedy="open the page again, and send it from there"
        )
    return fields


Form = Annotated[Mapping[str, list[str]], Depends(form_of)]


async def raw(request: Request) -> bytes:
    """Return the body of a request of another machine."""
    return await request.body()


AtHome = Annotated[bytes, Depends(raw)]


def _same_origin(visit: Visit) -> bool:
    """Whether the browser says nothing else than that the portal's own page posted."""
    origin = visit.request.headers.get("origin")
    site = visit.request.headers.get("sec-fetch-site", "same-origin")
    parts = urlsplit(visit.office.settings.portal.address)
    return origin in (None, f"{parts.scheme}://{parts.netloc}") and site in ("same-origin", "none")


def onward_of(text: str) -> str:
    """Return a path of the portal to go on to; "/" for anything that leads elsewhere.

    >>> onward_of("/requests/3"), onward_of("//evil.example"), onward_of("https://evil.example/")
    ('/requests/3', '/', '/')
    >>> onward_of("/\\\\evil.example"), onward_of("/a?b=c")
    ('/', '/')
    """
    plain = text.replace("/", "").replace("-", "").replace("_", "").replace(".jsonld", "")
    safe = text.startswith("/") and not text.startswith("//") and (not plain or plain.isalnum())
    return quote(text) if safe and plain.isascii() and len(text) <= 200 else "/"


def _language(request: Request) -> Language:
    """Return the language of ?lang=, of the cookie, or of the browser."""
    given = request.query_params.get("lang") or request.cookies.get("huizhen-lang") or ""
    if given in tuple(Language):
        return Language(given)
    return Language.from_locale(request.headers.get("accept-language", "")[:16])
