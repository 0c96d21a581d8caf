"""Questions over sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.errors import HuizhenError, InvalidInputError
from huizhen.federate.catalogue.asking import ask_sites
from huizhen.federate.catalogue.envelopes import Question
from huizhen.federate.catalogue.totals import total_of
from huizhen.ledger.signing import PublicKey
from huizhen.portal.access import SEARCH
from huizhen.portal.office import Office
from huizhen.portal.pages import page
from huizhen.portal.roles import Right
from huizhen.portal.visits import Form, Visiting

__all__ = ["query_of", "router"]

router = APIRouter()
MEASURES = ("subjects", "studies", "series")
CODED = ("sex", "modality", "manufacturer", "body_part", "diagnosis")
NUMBERS = ("age", "year", "diagnosis_age", "diagnosis_year")


@router.get("/search")
def form(visit: Visiting) -> Response:
    """Show the form."""
    visit.need(Right.SEARCH)
    return page(visit, "search", given={}, answers=None, totals=None, question=None, wrong=None)


@router.post("/search")
def search(visit: Visiting, given: Form) -> Response:
    """Ask the sites, and show what they tell."""
    person = visit.need(Right.SEARCH)
    try:
        query = query_of(given)
    except HuizhenError as error:
        return page(
            visit, "search", status=400, given=given, answers=None, totals=None, question=None, wrong=error
        )
    office = visit.office
    answers = ask_sites(
        query,
        {site.name: PublicKey(hex=site.key) for site in office.settings.site},
        _Post(office),
        key=office.key,
        asker=person.id,
    )
    told = sorted(site for site, answer in answers.items() if answer is not None and answer.counts)
    office.desk.note(SEARCH, {"by": person.id, "question": query.plain(), "answered": told})
    totals = {measure: total_of(answers, measure) for measure in MEASURES}
    asked = query.plain()
    return page(visit, "search", given=given, answers=answers, totals=totals, question=asked, wrong=None)


class _Post:
    """The portal's own mailbox as a carrier."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def carry(self, questions: Mapping[str, Question]) -> dict[str, bytes]:
        """Wait for the sites' answers."""
        return self._office.mailbox.ask(questions, wait_s=self._office.settings.portal.wait_s)


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
