"""Records on show."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from huizhen.data.catalogue.jsonld import read_record
from huizhen.portal.pages import page
from huizhen.portal.roles import Right
from huizhen.portal.shelf import Shown
from huizhen.portal.visits import Visit, Visiting

__all__ = ["record_of", "router"]

router = APIRouter()


@router.get("/")
def records(visit: Visiting) -> Response:
    """List the records."""
    visit.need(Right.BROWSE)
    return page(visit, "records", shelf=visit.office.shelf.all())


@router.get("/records/{name}.jsonld")
def download(visit: Visiting, name: str) -> Response:
    """Give a record as it was signed."""
    visit.need(Right.BROWSE)
    shown = record_of(visit, name)
    data = shown.path.read_bytes()
    if read_record(data, key=shown.record.key).digest != shown.record.digest:
        raise HTTPException(404)
    headers = {"Content-Disposition": f'attachment; filename="{shown.name}.jsonld"'}
    return Response(data, media_type="application/ld+json", headers=headers)


@router.get("/records/{name}")
def record(visit: Visiting, name: str) -> Response:
    """Show one record."""
    visit.need(Right.BROWSE)
    return page(visit, "record", shown=record_of(visit, name))


def record_of(visit: Visit, name: str) -> Shown:
    """Return a record on show by its name. Raises an HTTP 404."""
    shown = visit.office.shelf.find(name)
    if shown is None:
        raise HTTPException(404)
    return shown
