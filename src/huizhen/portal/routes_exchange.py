"""The post of sites and leads: signed by keys that the settings name, without cookies or logins."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from huizhen.errors import MessageError, PolicyError
from huizhen.federate.catalogue.envelopes import ANSWER, QUESTION, VALID, Answer, Question, parse
from huizhen.ledger.signing import PublicKey
from huizhen.portal.office import Office
from huizhen.portal.post import ASK, NEXT, PUT, Poll
from huizhen.portal.visits import AtHome, Visiting

__all__ = ["router"]

router = APIRouter()
MOST_ASKS = 4
"""Questions of one lead that are under way at once."""


@router.post(NEXT)
async def following(visit: Visiting, body: AtHome) -> Response:
    """Give a site the next question that waits for it."""
    poll = parse(Poll, body)
    poll.verify(_key(visit.office, poll.site))
    _check_time(poll.time)
    _check_first(visit.office, poll.number)
    question = await visit.office.mailbox.fetch(poll.site, wait_s=poll.wait_s)
    if question is None:
        return Response(status_code=204)
    return Response(question.model_dump_json(), media_type="application/json")


@router.post(PUT)
async def answered(visit: Visiting, body: AtHome) -> Response:
    """Take a site's answer to a question that is open."""
    answer = parse(Answer, body)
    _key(visit.office, answer.site).verify(ANSWER, answer.payload(), answer.signature)
    await visit.office.mailbox.put(answer.question, body, site=answer.site)
    return Response(status_code=204)


@router.post(ASK)
async def asked(visit: Visiting, body: AtHome) -> Response:
    """Pass a lead's questions on, and the answers back."""
    lead, questions = await run_in_threadpool(_questions, visit.office, body)
    wait_s = visit.office.settings.portal.wait_s
    found = await visit.office.mailbox.ask(questions, asker=lead, wait_s=wait_s, most=MOST_ASKS)
    return JSONResponse({site: data.decode() for site, data in found.items()})


def _questions(office: Office, body: bytes) -> tuple[str, dict[str, Question]]:
    """Return who asks, and a question to each site. Raises `MessageError`, `PolicyError`."""
    lead, questions = "", dict[str, Question]()
    for one in _several(body):
        question = parse(Question, json.dumps(one).encode())
        if question.lead not in office.settings.leads:
            raise PolicyError("the portal doesn't know this lead", remedy="have its operator enter the key")
        PublicKey(hex=question.lead).verify(QUESTION, question.payload(), question.signature)
        _check_time(question.time)
        _key(office, question.site)
        if lead not in ("", question.lead):
            raise MessageError("the questions are of several leads", remedy="send those of one lead")
        lead, questions[question.site] = question.lead, question
    for question in questions.values():
        _check_first(office, question.number)
    return lead, questions


def _check_first(office: Office, number: str) -> None:
    """Refuse what was sent before, by whoever it was sent this time."""
    if not office.seen.once(number):
        raise MessageError("the request came before", remedy="sign each request anew")


def _several(body: bytes) -> list[object]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MessageError("what arrived is no JSON", remedy="send a list of questions") from error
    if not isinstance(found, list) or len(found) > 100:
        raise MessageError("what arrived is no list of questions", remedy="send a list of questions")
    return found


def _key(office: Office, site: str) -> PublicKey:
    for one in office.settings.site:
        if one.name == site:
            return PublicKey(hex=one.key)
    raise PolicyError("the portal doesn't know this site", remedy="have its operator enter the key")


def _check_time(text: str) -> None:
    if abs(datetime.now(UTC) - datetime.fromisoformat(text)) > VALID:
        raise MessageError("the request is too old, or the clocks differ", remedy="set both clocks")
