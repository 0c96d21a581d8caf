"""The portal as a web application: every page, and errors as pages with what to do about them."""

from __future__ import annotations

import logging
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from huizhen.errors import (
    HuizhenError,
    InvalidInputError,
    MessageError,
    PolicyError,
    StageError,
    VerificationError,
)
from huizhen.portal import routes_access, routes_exchange, routes_login, routes_records, routes_search
from huizhen.portal.fences import Fences
from huizhen.portal.office import Office
from huizhen.portal.pages import page, style
from huizhen.portal.visits import LoginNeededError, visiting

__all__ = ["build"]

_LOG = logging.getLogger("huizhen.portal")
STATUS: dict[type[HuizhenError], int] = {
    PolicyError: 403,
    InvalidInputError: 400,
    MessageError: 400,
    VerificationError: 403,
    StageError: 503,
}


def build(office: Office) -> FastAPI:
    """Return the application of an open portal."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.office = office
    for routes in (routes_login, routes_records, routes_search, routes_access, routes_exchange):
        app.include_router(routes.router)
    app.get("/style.css")(_style)
    app.get("/health")(_health)
    app.exception_handler(LoginNeededError)(_to_login)
    app.exception_handler(HuizhenError)(_told)
    app.exception_handler(HTTPException)(_absent)
    app.exception_handler(RequestValidationError)(_absent)  # a number that is none
    app.add_middleware(Fences, settings=office.settings, sorry=_unforeseen)
    return app


async def _style() -> Response:
    return Response(style(), media_type="text/css")


async def _health() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


def _to_login(request: Request, error: Exception) -> Response:
    """Show where to log in; the page asked for comes after."""
    onward = error.onward if isinstance(error, LoginNeededError) else "/"
    return RedirectResponse(f"/welcome?{urlencode({'next': onward})}", status_code=303)


def _told(request: Request, error: Exception) -> Response:
    """Show what went wrong and what to do."""
    assert isinstance(error, HuizhenError)
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    _LOG.warning("%s %s: %s", status, error.code, error.field or "-")
    shown = {"code": error.code, "message": error.message, "remedy": error.remedy, "field": error.field}
    return page(visiting(request), "notice", status=status, error=shown)


def _absent(request: Request, error: Exception) -> Response:
    """Show that there is no such page, or none for this request."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return page(visiting(request), "notice", status=status, plight="absent")


def _unforeseen(request: Request, number: str) -> Response:
    """Say nothing of an error that nobody foresaw but its number: its text may hold anything."""
    return page(visiting(request), "notice", status=500, plight="unforeseen", incident=number)
