"""What holds for every request: the right host, a bounded body, and headers that keep a browser strict.

An error that nobody foresaw ends here, so that no server's log gets its text, which may hold anything: what
is logged is a number, which the page shows too, the error's class, and where in this package it came from.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huizhen.portal.settings import Settings

__all__ = ["MOST_BYTES", "Fences", "policy_of"]

_LOG = logging.getLogger("huizhen.portal")
PACKAGE = Path(__file__).parents[1]
Sorry = Callable[[Request, str], Response]
"""Makes the page of an incident by its number."""

MOST_BYTES = 131_072
BODY_S = 20.0
"""How long a request's body may take to arrive."""


def policy_of(settings: Settings) -> str:
    """Return the content security policy: own style, own forms (and the provider's logout), nothing else."""
    parts = urlsplit(settings.login.issuer)
    return (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {parts.scheme}://{parts.netloc}"
    )


class Fences:
    """Around the application."""

    def __init__(self, app: ASGIApp, settings: Settings, sorry: Sorry) -> None:
        self._app, self._sorry = app, sorry
        self._host = urlsplit(settings.portal.address).netloc.encode().lower()
        headers = {
            "Content-Security-Policy": policy_of(settings),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            "Cache-Control": "no-store",
        }
        if settings.secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return None
        given = dict(scope["headers"])
        if given.get(b"host", b"").lower() != self._host:
            return await self._refuse(send, 421)
        length = given.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BYTES or b"transfer-encoding" in given:
            return await self._refuse(send, 413)

        begun, body = False, _Body(receive)

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        try:
            await self._app(scope, body.receive, sending)
        except ClientDisconnect:
            if body.late and not begun:
                await self._refuse(send, 408)
        except Exception as error:
            number = secrets.token_hex(4)
            _LOG.error("500 incident %s: %s at %s", number, type(error).__name__, _place(error))
            if not begun:
                await self._page(scope, number)(scope, receive, sending)
        return None

    def _page(self, scope: Scope, number: str) -> Response:
        """Return the page of an incident; some plain words where even that can't be made."""
        try:
            return self._sorry(Request(scope), number)
        except Exception as error:
            _LOG.error("500 incident %s: no page: %s at %s", number, type(error).__name__, _place(error))
            return PlainTextResponse(f"incident {number}\n", status_code=500)

    async def _refuse(self, send: Send, status: int) -> None:
        await send({"type": "http.response.start", "status": status, "headers": self._headers})
        await send({"type": "http.response.body", "body": b""})


class _Body:
    """What a browser sends, for so long: who is slow on purpose holds a connection, and no more than that."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._whole = receive, False
        self._until = asyncio.get_running_loop().time() + BODY_S
        self.late = False

    async def receive(self) -> Message:
        """Return the next message; a disconnect where the body isn't whole in time."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            self.late = True
            return {"type": "http.disconnect"}
        self._whole = not message.get("more_body", False)
        return message


def _place(error: BaseException) -> str:
    """Return the last place of this package that an error went through, as "portal/pages.py:40"."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(PACKAGE):
            return f"{path.relative_to(PACKAGE)}:{frame.lineno}"
    return "elsewhere"
