"""Requests for access, their decisions, and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from huizhen.errors import HuizhenError, PolicyError
from huizhen.portal.access import Wanted
from huizhen.portal.pages import page
from huizhen.portal.roles import Right
from huizhen.portal.routes_records import record_of
from huizhen.portal.visits import Form, Visiting

__all__ = ["router"]

router = APIRouter()
SHOWN = 200
TICKED = tuple(name for name, field in Wanted.model_fields.items() if field.annotation is bool)


@router.get("/requests")
def requests(visit: Visiting) -> Response:
    """List the requests that this person may see."""
    person = visit.need(Right.BROWSE)
    return page(visit, "requests", requests=visit.office.desk.requests(person))


@router.get("/records/{name}/request")
def ask(visit: Visiting, name: str) -> Response:
    """Show the form of a request."""
    visit.need(Right.REQUEST)
    return page(visit, "ask", shown=record_of(visit, name), given={}, ticked=TICKED, wrong=None)


@router.post("/records/{name}/request")
def asked(visit: Visiting, name: str, form: Form) -> Response:
    """Enter a request."""
    person = visit.need(Right.REQUEST)
    shown = record_of(visit, name)
    try:
        made = visit.office.desk.ask(person, shown.record, _wanted(form))
    except HuizhenError as error:
        return page(visit, "ask", status=400, shown=shown, given=form, ticked=TICKED, wrong=error)
    return RedirectResponse(f"/requests/{made.number}", status_code=303)


@router.get("/requests/{number}")
def request(visit: Visiting, number: int) -> Response:
    """Show one request to who may see it."""
    person = visit.need(Right.BROWSE)
    found = _found(visit, number)
    decides = found.decision is None and found.site in person.officer_of and found.by != person.id
    return page(visit, "request", one=found, decides=decides, ticked=TICKED, wrong=None)


@router.post("/requests/{number}/decision")
def decided(visit: Visiting, number: int, form: Form) -> Response:
    """Enter a decision."""
    person = visit.need(Right.DECIDE)
    found = _found(visit, number)
    verdict, reason = ((form.get(name) or [""])[0] for name in ("verdict", "reason"))
    if verdict not in ("approve", "refuse"):
        raise HTTPException(400)
    try:
        on_show = [shown.record for shown in visit.office.shelf.all()]
        visit.office.desk.decide(
            person, number, approved=verdict == "approve", reason=reason, on_show=on_show
        )
    except HuizhenError as error:
        return page(visit, "request", status=400, one=found, decides=True, ticked=TICKED, wrong=error)
    return RedirectResponse(f"/requests/{number}", status_code=303)


@router.get("/audit")
def audit(visit: Visiting) -> Response:
    """Show the end of the ledger to auditors."""
    visit.need(Right.AUDIT)
    entries = visit.office.desk.entries()
    size, root = visit.office.desk.head()
    newest = list(reversed(entries[-SHOWN:]))
    return page(visit, "audit", entries=newest, size=size, root=root, key=visit.office.key.public)


def _found(visit: Visiting, number: int) -> Any:
    """Return a request; one that isn't there and one that is another's look alike."""
    assert visit.person is not None
    try:
        return visit.office.desk.request(visit.person, number)
    except PolicyError as error:
        raise HTTPException(404) from error


def _wanted(form: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return a form's fields as `Wanted` takes them; what isn't ticked is false."""
    texts = {name: values[0] for name, values in form.items() if name not in TICKED and values}
    diseases = [part.strip() for part in texts.pop("diseases", "").split(",") if part.strip()]
    return {**texts, "diseases": diseases, **{name: name in form for name in TICKED}}
