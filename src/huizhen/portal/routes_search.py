"""Questions over sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.data.catalogue.doubts import doubts_of
from huizhen.errors import HuizhenError, InvalidInputError, StageError
from huizhen.federate.catalogue.asking import asked_of, opened
from huizhen.federate.catalogue.envelopes import Answer
from huizhen.federate.catalogue.totals import total_of
from huizhen.ledger.signing import PublicKey
from huizhen.portal.access import SEARCH
from huizhen.portal.pages import page
from huizhen.portal.roles import Right
from huizhen.portal.visits import Form, Visit, Visiting

__all__ = ["query_of", "router"]

router = APIRouter()
MEASURES = ("subjects", "studies", "series")
CODED = ("sex", "modality", "manufacturer", "body_part", "diagnosis")
NUMBERS = ("age", "year", "diagnosis_age", "diagnosis_year")


@router.get("/search")
def form(visit: Visiting) -> Response:
    """Show the form."""
    visit.need(Right.SEARCH)
    return page(visit, "search", given={}, answers=None, totals=None, question=None, doubts=[], wrong=None)


@router.post("/search")
async def search(visit: Visiting, given: Form) -> Response:
    """Note the question, ask the sites, and show what they tell.

    Waiting for them holds no thread; one search at a time each.
    """
    person, office = visit.need(Right.SEARCH), visit.office
    try:
        query = await run_in_threadpool(query_of, given)
        keys = {site.name: PublicKey(hex=site.key) for site in office.settings.site}
        questions = await run_in_threadpool(asked_of, query, keys, key=office.key, asker=person.id)
        noted = {"by": person.id, "question": query.plain(), "asked": sorted(keys)}
        await run_in_threadpool(office.desk.note, SEARCH, noted)
        came = await office.mailbox.ask(questions, asker=person.id, wait_s=office.settings.portal.wait_s)
    except HuizhenError as error:
        return await run_in_threadpool(_wrong, visit, given, error)
    answers = await run_in_threadpool(opened, came, questions, keys)
    return await run_in_threadpool(_told, visit, given, query, answers)


def _wrong(visit: Visit, given: Mapping[str, list[str]], error: HuizhenError) -> Response:
    """Show the form again, with what is wrong."""
    status = 503 if isinstance(error, StageError) else 400
    return page(
        visit,
        "search",
        status=status,
        given=given,
        answers=None,
        totals=None,
        question=None,
        doubts=[],
        wrong=error,
    )


def _told(
    visit: Visit, given: Mapping[str, list[str]], query: Query, answers: Mapping[str, Answer | None]
) -> Response:
    """Note who answered, and show it."""
    person = visit.need(Right.SEARCH)
    told = sorted(site for site, answer in answers.items() if answer is not None and answer.counts)
    asked = query.plain()
    visit.office.desk.note(SEARCH, {"by": person.id, "question": asked, "answered": told})
    totals = {measure: total_of(answers, measure) for measure in MEASURES}
    doubts = doubts_of(query)
    shown: dict[str, Any] = {"answers": answers, "totals": totals, "question": asked, "doubts": doubts}
    return page(visit, "search", given=given, wrong=None, **shown)


def query_of(given: Mapping[str, list[str]]) -> Query:
    """Return the question of a form: its JSON where there is some, else its fields, all to be met.

    Raises `InvalidInputError` on anything that isn't understood.
    """
    text = (given.get("tree") or [""])[0].strip()
    if text:
        return parse_query(text.encode())
    children: list[dict[str, Any]] = []
    for key in CODED:
        values = [part.strip() for value in given.get(key, []) for part in value.split(",") if part.strip()]
        if values:
            children.append({"key": key, "type": "IN", "value": values})
    for key in NUMBERS:
        low, high = (_number(given, f"{key}_{end}") for end in ("from", "to"))
        if low is not None and high is not None:
            children.append({"key": key, "type": "BETWEEN", "value": {"min": low, "max": high}})
        elif low is not None:
            children.append({"key": key, "type": "GREATER_THAN", "value": low - 1})
        elif high is not None:
            children.append({"key": key, "type": "LOWER_THAN", "value": high + 1})
    within = (given.get("within") or ["series"])[0]
    return parse_query({"operand": "AND", "children": children, "within": within})


def _number(given: Mapping[str, list[str]], field: str) -> int | None:
    text = (given.get(field) or [""])[0].strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > 4:
        raise InvalidInputError("a number is expected", remedy="write a whole number", field=field)
    return int(text)
