"""Requests for access: asked by a researcher, held against the conditions of use, decided by an officer.

Everything is an entry of an append-only signed ledger, and what stands there is all there is: requests are
read back from it.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from huizhen.data.catalogue.jsonld import Record
from huizhen.data.consent.decide import Answer, Reason, Use, decide
from huizhen.data.consent.record import Consent, said_of
from huizhen.errors import InvalidInputError, PolicyError, visible
from huizhen.ledger.log import Log
from huizhen.ledger.records import Entry
from huizhen.ledger.signing import SigningKey
from huizhen.portal.roles import Person, Right

__all__ = ["Decision", "Desk", "Request", "Wanted", "weigh"]

REQUEST, DECISION, LOGIN, SEARCH = "access_request", "access_decision", "login", "catalogue_search"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)]
SHOWS = ("publication", "collaboration", "return_of_results", "genetic", "non_profit")
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of signs that control, hide, turn direction, or end a line."""


class Wanted(BaseModel):
    """What a researcher says they will do. What is left out counts in the way that permits least."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
    purpose: Literal["research", "care"] = "research"
    description: Text
    diseases: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,12}:[A-Za-z0-9]{1,20}$")], ...],
        Field(max_length=20),
    ] = ()
    ethics_approval: Short = ""
    institution: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
    country: Annotated[str, StringConstraints(pattern=r"^([A-Z]{2})?$")] = ""
    commercial: bool = True
    methods: bool = True
    publication: bool = False
    collaboration: bool = False
    return_of_results: bool = False
    genetic: bool = False
    non_profit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an officer decided, why, and when."""

    approved: bool
    reason: str
    by: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the ledger has it.

    `fits` is the reason that the conditions of use gave when it was made; `identifier` is the data set's own,
    which stays when a new record of it is published.
    """

    number: int
    site: str
    record: str
    title: str
    by: str
    name: str
    email: str
    verified: str
    wanted: Wanted
    fits: Reason
    term: str
    time: str
    identifier: str
    decision: Decision | None = None


def weigh(wanted: Wanted, conditions: Sequence[str], *, day: date, user: str) -> Answer:
    """Return whether a record's `conditions` permit what is wanted; a condition not shown is not kept.

    `user` is the asker's verified e-mail address, or "": nothing else meets a condition that names users.
    """
    has = {name for name in SHOWS if getattr(wanted, name)}
    use = Use(
        day=day,
        purpose=wanted.purpose,
        modalities=frozenset({"all"}),
        diseases=frozenset(wanted.diseases),
        has=frozenset(has | ({"ethics_approval"} if wanted.ethics_approval else set())),
        is_=frozenset(name for name in ("commercial", "methods") if getattr(wanted, name)),
        names={
            "US": frozenset({user} - {""}),
            "PS": frozenset({wanted.title}),
            "IS": frozenset({wanted.institution}),
            "GS": frozenset({wanted.country} - {""}),
        },
    )
    held = Consent(patient="", version=1, given=date.min, said=said_of(conditions))
    return decide([held], use)


class Desk:
    """The portal's ledger of logins, searches, requests and decisions."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self._log, self._lock = Log.open(folder, key), threading.Lock()

    def close(self) -> None:
        """Let another process open the ledger."""
        self._log.close()

    def note(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Enter something, durably. Raises `StorageError`."""
        with self._lock:
            entry = self._log.append(kind, body)
            self._log.commit()
            return entry

    def entries(self) -> Sequence[Entry]:
        """Return all entries."""
        with self._lock:
            return self._log.entries

    def head(self) -> tuple[int, str]:
        """Return how many entries are signed, and the Merkle root over them."""
        with self._lock:
            head = self._log.head
            return (head.size, head.root) if head is not None else (0, "")

    def ask(self, person: Person, record: Record, given: Mapping[str, Any]) -> Request:
        """Enter a request for the data of a record.

        Raises `InvalidInputError` that names what is missing or wrong in `given`.
        """
        wanted = _wanted(given)
        fits = weigh(wanted, record.description.use_conditions, day=_today(), user=person.verified)
        body = {
            "site": record.site,
            "record": record.digest,
            "title": record.description.title,
            "identifier": record.description.identifier,
            "by": person.id,
            "name": person.name,
            "email": person.email,
            "verified": person.verified,
            "wanted": wanted.model_dump(mode="json"),
            "conditions": list(record.description.use_conditions),
            "fits": fits.reason.value,
            "term": fits.term,
        }
        return _request(self.note(REQUEST, body))

    def decide(
        self, person: Person, number: int, *, approved: bool, reason: str, on_show: Sequence[Record]
    ) -> Request:
        """Enter an officer's decision. An approval is weighed by what the records `on_show` say today.

        Raises `PolicyError` when it isn't theirs to decide, is decided, is their own request, or an approval
        is against the conditions of use or of data no longer on show; `InvalidInputError` without a reason.
        """
        text = visible(reason.strip())
        if not 10 <= len(text) <= 4000:
            raise InvalidInputError(
                "a decision needs a reason", remedy="write some words, at most 4000 letters", field="reason"
            )
        with self._lock:
            request = self._found(number)
            _check_decider(person, request)
            held = [record for record in on_show if _same_data(request, record)]
            if approved:
                _check_fits(request, held)
            body = {"request": number, "approved": approved, "reason": text, "by": person.id}
            records = sorted(record.digest for record in held)
            self._log.append(DECISION, {**body, "name": person.name, "records": records})
            self._log.commit()
            return self._found(number)

    def requests(self, person: Person) -> list[Request]:
        """Return the requests that somebody may see, the newest first."""
        with self._lock:
            found = self._all()
        return [one for one in reversed(found.values()) if visible_to(person, one)]

    def request(self, person: Person, number: int) -> Request:
        """Return one request. Raises `PolicyError` of one that isn't there or isn't theirs, alike."""
        with self._lock:
            request = self._all().get(number)
        if request is None or not visible_to(person, request):
            raise _absent()
        return request

    def _found(self, number: int) -> Request:
        request = self._all().get(number)
        if request is None:
            raise _absent()
        return request

    def _all(self) -> dict[int, Request]:
        """Return all requests by number, with their decisions."""
        found: dict[int, Request] = {}
        for entry in self._log.entries:
            if entry.kind == REQUEST:
                found[entry.index] = _request(entry)
            elif entry.kind == DECISION:
                request = found[entry.body["request"]]
                found[request.number] = _decided(request, entry)
        return found


def _wanted(given: Mapping[str, Any]) -> Wanted:
    """Return what is wanted, in which every sign is seen. Raises `InvalidInputError`."""
    lines = {
        name: text.replace("\r\n", "\n") if isinstance(text, str) else text for name, text in given.items()
    }
    try:
        wanted = Wanted.model_validate(lines)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInputError(
            "the request is incomplete or has something in a wrong form",
            remedy="fill in what is named",
            field=str(first["loc"][0]) if first["loc"] else None,
        ) from error
    for name, text in _texts(wanted).items():
        if any(unicodedata.category(sign) in UNSEEN for sign in _bare(name, text)):
            raise InvalidInputError(
                "a text holds signs that nobody sees, or that turn its direction",
                remedy="write what is named anew, without them",
                field=name,
            )
    return wanted


def _texts(wanted: Wanted) -> dict[str, str]:
    return {name: text for name, text in wanted if isinstance(text, str)}


def _bare(name: str, text: str) -> str:
    """Return a text without what only prose may hold: ends of lines and tabs."""
    return text.replace("\n", "").replace("\t", "") if name == "description" else text


def visible_to(person: Person, request: Request) -> bool:
    """Tell whether somebody may see a request: who made it, its site's officers, auditors."""
    return request.by == person.id or request.site in person.officer_of or person.may(Right.AUDIT)


def _check_decider(person: Person, request: Request) -> None:
    if request.site not in person.officer_of:
        raise _absent()
    if request.by == person.id:
        raise PolicyError(
            "nobody decides their own request", remedy="have another officer decide it", field="by"
        )
    if request.decision is not None:
        raise PolicyError("the request is decided", remedy="read the decision", field="decision")


def _same_data(request: Request, record: Record) -> bool:
    """Whether a record is of the data asked for, be it a newer one."""
    named = bool(request.identifier) and record.description.identifier == request.identifier
    return record.site == request.site and (named or record.digest == request.record)


def _check_fits(request: Request, records: Sequence[Record]) -> None:
    """Check a request against the conditions that hold today. Raises `PolicyError`."""
    if not records:
        raise PolicyError(
            "the record asked for isn't on show any more",
            remedy="refuse it with the reason: what is on show can be asked for anew",
            field="record",
        )
    for record in records:
        conditions = record.description.use_conditions
        answer = weigh(request.wanted, conditions, day=_today(), user=request.verified)
        if not answer.permitted or request.fits is not Reason.PERMITTED:
            raise PolicyError(
                "the conditions of use don't permit what is wanted",
                remedy="refuse it with the reason: a changed request can be made anew",
                field=answer.term or request.term or answer.reason.value,
            )


def _today() -> date:
    return datetime.now(UTC).date()


def _absent() -> PolicyError:
    return PolicyError("there is no such request for you", remedy="look at your list of requests")


def _request(entry: Entry) -> Request:
    body = entry.body
    wanted = Wanted.model_validate(body["wanted"])
    return Request(
        number=entry.index,
        site=body["site"],
        record=body["record"],
        title=body["title"],
        by=body["by"],
        name=body["name"],
        email=body["email"],
        verified=body.get("verified", ""),
        wanted=wanted.model_copy(update={name: visible(text) for name, text in _texts(wanted).items()}),
        fits=Reason(body["fits"]),
        term=body["term"],
        time=entry.time,
        identifier=body.get("identifier", ""),
    )


def _decided(request: Request, entry: Entry) -> Request:
    made = {field: getattr(request, field) for field in Request.__slots__}
    decision = Decision(
        approved=entry.body["approved"], reason=entry.body["reason"], by=entry.body["name"], time=entry.time
    )
    return Request(**{**made, "decision": decision})
