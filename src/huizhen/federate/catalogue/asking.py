"""A lead asks sites and adds up: the same over folders of one machine and over the portal's post.

A carrier takes a signed question to each site and brings signed answers back; it can drop them, and nothing
else: what it changes doesn't verify.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from huizhen.data.catalogue.criteria import Query
from huizhen.errors import HuizhenError, LedgerError, MessageError, VerificationError
from huizhen.federate.catalogue.desk import Desk
from huizhen.federate.catalogue.envelopes import (
    Answer,
    Question,
    answer_question,
    ask,
    open_answer,
    question_of,
    refuse_question,
)
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.signing import PublicKey, SigningKey

__all__ = ["BEAT_S", "Carrier", "Folders", "ask_sites", "asked_of", "at_site", "evened", "opened"]


BEAT_S = 0.025
"""Between moments at which answers leave, counted from when the question came."""


class Carrier(Protocol):
    """Brings questions to sites."""

    def carry(self, questions: Mapping[str, Question]) -> Mapping[str, bytes]:
        """Return the answers that came, by site."""
        ...


def ask_sites(
    query: Query, keys: Mapping[str, PublicKey], carrier: Carrier, *, key: SigningKey, asker: str
) -> dict[str, Answer | None]:
    """Return each site's answer to `query`; None of one that didn't answer, or whose answer doesn't hold.

    `keys` are the sites' public keys by name, `key` the lead's own, `asker` 16 hexadecimal digits that stand
    for the person who asks.
    """
    questions = asked_of(query, keys, key=key, asker=asker)
    return opened(carrier.carry(questions), questions, keys)


def asked_of(
    query: Query, keys: Mapping[str, PublicKey], *, key: SigningKey, asker: str
) -> dict[str, Question]:
    """Return the signed question to each site, as `ask_sites` sends it."""
    return {site: ask(query, site=site, asker=asker, number=secrets.token_hex(32), key=key) for site in keys}


def opened(
    came: Mapping[str, bytes], questions: Mapping[str, Question], keys: Mapping[str, PublicKey]
) -> dict[str, Answer | None]:
    """Return each site's answer among what came; None of one whose answer is missing or doesn't hold."""
    found: dict[str, Answer | None] = dict.fromkeys(keys)
    for site, data in came.items():
        if site in questions:
            with suppress(MessageError, VerificationError):
                found[site] = open_answer(data, questions[site], keys[site])
    return found


def at_site(
    data: bytes,
    site: SiteFolder,
    open_desk: Callable[[], AbstractContextManager[Desk]],
    *,
    untold: Callable[[HuizhenError], None] | None = None,
) -> bytes | None:
    """Return the site's signed answer to the question in `data`; a refusal where the policy is against it.

    None where nobody is owed an answer: the question is none, or nobody the site knows asks it. Why stays at
    the site: `untold` is given it there. Answers leave on a beat (`evened`).
    """
    began = time.monotonic()
    try:
        question = question_of(data, site=site.name, policy=site.policy(), now=datetime.now(UTC))
    except HuizhenError as error:
        refused = refuse_question(data, error, policy=site.policy(), site=site.name, key=site.key)
        if refused is None and untold is not None:
            untold(error)
        return refused.model_dump_json().encode() if refused is not None else None
    try:
        with open_desk() as desk:
            answer = answer_question(question, desk, site=site.name, key=site.key)
    except LedgerError as error:  # another process answers here just now
        if untold is not None:
            untold(error)
        return None
    evened(began)
    return answer.model_dump_json().encode()


def evened(
    began: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for the next beat since `began`: by time alone nobody tells few from none, or who asked before."""
    sleep(BEAT_S - (clock() - began) % BEAT_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Sites whose folders are on this machine, by name; `untold` gets why one of them doesn't answer."""

    paths: Mapping[str, Path]
    untold: dict[str, HuizhenError] = field(default_factory=dict)

    def carry(self, questions: Mapping[str, Question]) -> dict[str, bytes]:
        """Ask each site's desk; one that has none doesn't answer."""
        found: dict[str, bytes] = {}
        for name, question in questions.items():
            try:
                said = self._asked(name, question)
            except HuizhenError as error:
                self.untold[name] = error
                continue
            if said is not None:
                found[name] = said
        return found

    def _asked(self, name: str, question: Question) -> bytes | None:
        site = SiteFolder.open(self.paths[name])
        asked = question.model_dump_json().encode()
        return at_site(
            asked, site, lambda: Desk.open(site), untold=lambda error: self.untold.update({name: error})
        )
