"""Logging in and out."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from huizhen.errors import StageError
from huizhen.portal.access import LOGIN
from huizhen.portal.pages import page
from huizhen.portal.roles import person_of
from huizhen.portal.visits import Form, Visit, Visiting, onward_of

__all__ = ["router"]

router = APIRouter()


@router.get("/welcome")
def welcome(visit: Visiting) -> Response:
    """Say what this is, and lead to the login."""
    onward = onward_of(visit.request.query_params.get("next", "/"))
    return page(visit, "notice", welcome=onward)


@router.get("/login")
async def login(visit: Visiting) -> Response:
    """Send the browser to the provider, in a session of its own. Waiting holds no thread of the pages."""
    office = visit.office
    onward = onward_of(visit.request.query_params.get("next", "/"))
    address, flow = await office.patience.call(partial(office.provider.start, onward))
    token, session = office.sessions.begin()
    session.flow = flow
    return _with_cookie(visit, RedirectResponse(address, status_code=303), office.flow_cookie, token)


@router.get("/callback")
async def callback(visit: Visiting) -> Response:
    """Take the provider's answer, once, and begin a new session for who it names."""
    office = visit.office
    begun = visit.request.cookies.get(office.flow_cookie)
    under_way = office.sessions.find(begun)
    flow = under_way.flow if under_way is not None else None
    office.sessions.end(begun)
    given = dict(visit.request.query_params)
    claims, id_token = await office.patience.call(partial(office.provider.finish, flow, given))
    settings = office.rules.now()
    person = person_of(claims, settings, secret=office.key.derive_secret("portal-persons"))
    noted = {"by": person.id, "rights": sorted(person.rights)}
    await run_in_threadpool(office.desk.note, LOGIN, noted)
    office.sessions.end(visit.request.cookies.get(office.cookie))
    token, session = office.sessions.begin()
    session.person, session.id_token = person, id_token
    answer = RedirectResponse(flow.onward if flow is not None else "/", status_code=303)
    answer.delete_cookie(office.flow_cookie, path="/", secure=office.settings.secure, httponly=True)
    return _with_cookie(visit, answer, office.cookie, token)


@router.post("/logout")
async def logout(visit: Visiting, form: Form) -> Response:
    """End the session here and at the provider."""
    office = visit.office
    back = f"{office.settings.portal.address}/welcome"
    id_token = visit.session.id_token if visit.session is not None else ""
    office.sessions.end(visit.request.cookies.get(office.cookie))
    try:
        onward = await office.patience.call(partial(office.provider.farewell, id_token, back))
    except StageError:
        onward = back
    answer = RedirectResponse(onward, status_code=303)
    answer.delete_cookie(office.cookie, path="/", secure=office.settings.secure, httponly=True)
    return answer


def _with_cookie(visit: Visit, answer: Response, name: str, token: str) -> Response:
    """Give the browser its number: not for scripts, not to other sites, not in the clear."""
    answer.set_cookie(
        name,
        token,
        httponly=True,
        samesite="lax",
        secure=visit.office.settings.secure,
        path="/",
    )
    return answer
