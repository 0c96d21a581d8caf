"""Questions and answers as they cross a site's border: closed, signed, bound to each other and to an hour.

A question is signed by a lead whose public key stands in the site's policy (`signers`). An answer is signed
by the site and names the question by its digest. Neither has a place for a patient or a path.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from huizhen.core.digests import Digest, canonical_json, digest_value
from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.errors import HuizhenError, MessageError
from huizhen.federate.catalogue.desk import Desk, Reply
from huizhen.federate.messages import Hex32, Name, Signature, Text, printable
from huizhen.federate.policy import SitePolicy, refusal
from huizhen.ledger.signing import PublicKey, SigningKey

__all__ = [
    "Answer",
    "Counts",
    "Moment",
    "Question",
    "Refused",
    "answer_question",
    "ask",
    "open_answer",
    "parse",
    "question_of",
    "refuse_question",
]

QUESTION, ANSWER = "catalogue-question", "catalogue-answer"
VALID = timedelta(minutes=10)
_STRICT = ConfigDict(extra="forbid", frozen=True)


def _on_a_calendar(text: str) -> str:
    """Return a time that there is. Raises `ValueError` for a 13th month or a 25th hour."""
    datetime.fromisoformat(text)
    return text


Moment = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\+00:00$"),
    AfterValidator(_on_a_calendar),
]
"""To the second, in UTC."""


class _Signed(BaseModel):
    model_config = _STRICT
    signature: Signature = "0" * 128

    def payload(self) -> bytes:
        """Return what is signed."""
        return canonical_json(self.model_dump(mode="json", exclude={"signature"}))


class Question(_Signed):
    """What a lead asks a site, for a person it knows as `asker`."""

    kind: Literal["catalogue_question"] = "catalogue_question"
    lead: Hex32
    site: Name
    asker: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    time: Moment
    number: Hex32
    question: dict[str, Any]

    def digest(self) -> Digest:
        """Return the digest that an answer names."""
        return digest_value(self.model_dump(mode="json"))


class _Count(BaseModel):
    model_config = _STRICT
    value: Annotated[int, Field(ge=0, le=10**9)] | None
    low: Annotated[int, Field(ge=0, le=10**9)] | None = None
    high: Annotated[int, Field(ge=0, le=10**9)] | None = None


class Counts(BaseModel):
    """Three counts; one that is None is not told."""

    model_config = _STRICT
    subjects: _Count | None
    studies: _Count | None
    series: _Count | None
    index: Hex32
    smallest: Annotated[int, Field(ge=2, le=1000)]
    rounding: Annotated[int, Field(ge=1, le=1000)]


class Refused(BaseModel):
    """Why a site doesn't answer."""

    model_config = _STRICT
    code: Annotated[str, Field(pattern=r"^HZ[0-9]{2}$")]
    reason: Text
    remedy: Text


class Answer(_Signed):
    """What a site answers: counts, or why not."""

    kind: Literal["catalogue_answer"] = "catalogue_answer"
    site: Name
    question: Hex32
    counts: Counts | None = None
    refused: Refused | None = None


_Kind = TypeVar("_Kind", bound=BaseModel)


def parse(kind: type[_Kind], data: bytes) -> _Kind:
    """Return the message in `data`. Raises `MessageError` for anything else, without quoting it."""
    try:
        if len(data) > 65_536:
            raise ValueError("too long")
        return kind.model_validate_json(data)
    except (ValidationError, ValueError) as error:
        raise MessageError(
            "what arrived is no message of a catalogue",
            remedy="run the same version of huizhen on both sides",
        ) from error


def ask(query: Query, *, site: str, asker: str, number: str, key: SigningKey) -> Question:
    """Return a signed question to a site; `number` is drawn anew for each."""
    plain = Question(
        lead=key.public.hex,
        site=site,
        asker=asker,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        number=number,
        question=query.plain(),
    )
    return plain.model_copy(update={"signature": key.sign(QUESTION, plain.payload())})


def question_of(data: bytes, *, site: str, policy: SitePolicy, now: datetime) -> Question:
    """Return the question that arrived at a site, if it may be answered.

    Raises `MessageError` when it is none, to another site, or too old; `PolicyError` when the policy doesn't
    know the lead or the hour; `VerificationError` when its signature doesn't hold.
    """
    found = parse(Question, data)
    if found.lead not in policy.signers:
        raise refusal("signers", "this site doesn't know the lead who asks")
    PublicKey(hex=found.lead).verify(QUESTION, found.payload(), found.signature)
    if found.site != site:
        raise MessageError("the question is for another site", remedy="ask each site by its own name")
    if abs(now - datetime.fromisoformat(found.time)) > VALID:
        raise MessageError(
            "the question is too old, or the clocks differ", remedy="set both clocks, and ask again"
        )
    policy.at_work(now.astimezone())
    policy.release("catalogue_answer")
    return found


def answer_question(question: Question, desk: Desk, *, site: str, key: SigningKey) -> Answer:
    """Return the site's signed answer, which may be a refusal.

    An asker is a person as one lead knows them: the ledger says whose, and no lead uses up another's
    questions.
    """
    counts, refused = None, None
    try:
        query = parse_query(question.question)
        reply: Reply = desk.answer(
            query, asker=f"{question.lead[:16]}:{question.asker}", message=question.digest()
        )
        counts = Counts.model_validate(reply.to_json())
    except HuizhenError as error:
        refused = _reason(error)
    return _signed(Answer(site=site, question=question.digest(), counts=counts, refused=refused), key)


def refuse_question(
    data: bytes, error: HuizhenError, *, policy: SitePolicy, site: str, key: SigningKey
) -> Answer | None:
    """Return a signed refusal of a question that a known lead signed; None of any other."""
    try:
        question = parse(Question, data)
        PublicKey(hex=question.lead).verify(QUESTION, question.payload(), question.signature)
    except HuizhenError:
        return None
    if question.lead not in policy.signers or question.site != site:
        return None
    return _signed(Answer(site=site, question=question.digest(), refused=_reason(error)), key)


def _reason(error: HuizhenError) -> Refused:
    return Refused(code=error.code, reason=printable(error.message), remedy=printable(error.remedy))


def _signed(answer: Answer, key: SigningKey) -> Answer:
    return answer.model_copy(update={"signature": key.sign(ANSWER, answer.payload())})


def open_answer(data: bytes, question: Question, key: PublicKey) -> Answer:
    """Return a site's answer to `question`.

    Raises `MessageError` when it is none, or to another question, and `VerificationError` when the site's key
    didn't sign it.
    """
    found = parse(Answer, data)
    key.verify(ANSWER, found.payload(), found.signature)
    if found.site != question.site or found.question != question.digest():
        raise MessageError("the answer is to another question", remedy="ask again", field=question.site)
    if (found.counts is None) == (found.refused is None):
        raise MessageError("the answer says nothing", remedy="ask again", field=question.site)
    return found
