"""The study lead's side of a federation: invites sites, asks them, and adds up what they answer.

The lead holds no path to any site's data. It knows each site's name and public key, and what was answered.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import canonical_json
from huizhen.core.study import Study
from huizhen.errors import FederationError, MessageError
from huizhen.federate import messages as wire
from huizhen.federate.engines.interface import Engine
from huizhen.federate.frames import Arrays, Sealed, seal, unseal
from huizhen.federate.journal import Journal
from huizhen.federate.secure_sum import SecureSum
from huizhen.federate.secure_wire import task_of, wire_coding
from huizhen.federate.statistics.fixed_point import MOST_SITES, Words
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.runner import Exchange, plain_sum
from huizhen.ledger.signing import PublicKey, SigningKey
from huizhen.privacy.secure_aggregation.coding import FixedPoint, Residues
from huizhen.privacy.secure_aggregation.interface import Terms

ATTEMPTS = 5
"""How often a secure sum is begun anew when sites fall out of it."""
BRIEF_S = 0.5
"""How long a site that missed the last question is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summed:
    """A secure sum (n,) modulo 2^32, and which sites are in it."""

    vector: NDArray[np.uint32]
    sites: tuple[str, ...]


@final
@dataclass(slots=True, kw_only=True)
class Lead:
    """The lead of one study over `engine`; `peers` maps each site to its public key."""

    study: Study
    engine: Engine
    key: SigningKey
    peers: Mapping[str, PublicKey]
    journal: Journal
    purpose: str = "research"
    patience_s: float = 600.0
    quorum: float = 0.67
    taking_part: tuple[str, ...] = ()
    _absent: set[str] = field(default_factory=set)

    def invite(self) -> tuple[str, ...]:
        """Invite every site and return those that take part. Raises `FederationError` when there is none."""
        definition = canonical_json(self.study.model_dump(mode="json")).decode()
        invitation = wire.Invitation(
            study=self.study.digest,
            sender=wire.LEAD,
            definition=definition,
            signature=self.key.sign(wire.STUDY_DOMAIN, bytes.fromhex(self.study.digest)),
            purpose=self.purpose,
            sites={name: key.hex for name, key in self.peers.items()},
        )
        answers = self.ask(dict.fromkeys(self.peers, invitation), self.patience_s)
        self.taking_part = tuple(
            s for s, a in sorted(answers.items()) if isinstance(a.message, wire.Accepted)
        )
        if not self.taking_part:
            raise FederationError(
                "no site takes part: " + self.journal.refusals(),
                remedy="agree with the sites' officers on what their policies must allow",
                field="site",
            )
        return self.taking_part

    def ask(
        self, asked: Mapping[str, wire.Inbound], timeout_s: float, arrays: Arrays | None = None
    ) -> dict[str, Sealed]:
        """Ask each site its message and return the checked answers by site, refusals among them.

        A site that didn't answer the question before is waited for only briefly, until it is back.
        """
        sealed: dict[int, bytes] = {}
        frames: dict[str, bytes] = {}
        for site, message in asked.items():
            frames[site] = sealed.setdefault(id(message), b"") or seal(message, self.key, arrays)
            sealed[id(message)] = frames[site]
        answers = self._exchange(frames, timeout_s)
        found: dict[str, Sealed] = {}
        for site, frame in sorted(answers.items()):
            try:
                found[site] = self._checked(site, frame)
            except MessageError as error:
                self.journal.note("refused", site=site, reason=error.message)
        return found

    def _exchange(self, frames: Mapping[str, bytes], timeout_s: float) -> dict[str, bytes]:
        """Send the frames; those that are expected to answer are waited for, the absent only briefly."""
        started = time.monotonic()
        expected = {site: frame for site, frame in frames.items() if site not in self._absent}
        others = {site: frame for site, frame in frames.items() if site in self._absent}
        answers = self.engine.ask(expected, timeout_s=timeout_s) if expected else {}
        if others:
            answers |= self.engine.ask(others, timeout_s=BRIEF_S)
        for site in frames:
            if site in answers and site in self._absent:
                self.journal.note("back", site=site)
            elif site not in answers and site not in self._absent:
                self.journal.note("silent", site=site)
        self._absent = (self._absent - set(answers)) | (set(frames) - set(answers))
        self.journal.exchange(
            sent=sum(map(len, frames.values())),
            received=sum(map(len, answers.values())),
            seconds=time.monotonic() - started,
        )
        return answers

    def _checked(self, site: str, frame: bytes) -> Sealed:
        """Return a site's answer. Raises `MessageError` when it isn't that site's, or of another study."""
        answer = unseal(frame, {site: [self.peers[site]]})
        if answer.message.study != self.study.digest and not isinstance(answer.message, wire.Refusal):
            raise MessageError("an answer about another study", remedy="ask the site again", field=site)
        if isinstance(answer.message, wire.Refusal):
            self.journal.note("refusal", site=site, code=answer.message.code, reason=answer.message.reason)
        return answer

    def enough(self, sites: Iterable[str], of: Iterable[str]) -> None:
        """Check the quorum. Raises `FederationError`."""
        here, all_sites = set(sites), set(of)
        if len(here) < self.quorum * len(all_sites):
            missing = ", ".join(sorted(all_sites - here))
            raise FederationError(
                f"{len(here)} of {len(all_sites)} sites answered, fewer than the quorum; missing: {missing} "
                f"({self.journal.refusals() or 'no refusal'})",
                remedy="bring the missing sites back and run again: it goes on at the last finished round",
                field="federation.quorum",
            )

    def exchange(self, subject: str, *, secure: bool, sites: Sequence[str] | None = None) -> Exchange:
        """Return how a statistic of `subject` over `sites` (all that take part) is summed.

        What it returns raises `FederationError` below the quorum. The sum over one site is that site's own
        answer: it can't be secure, and the site's policy must allow it.
        """
        asked = tuple(sites if sites is not None else self.taking_part)

        def summed(query: Query) -> Words:
            ask = wire.Ask(
                study=self.study.digest,
                sender=wire.LEAD,
                subject=subject,
                query=query.name,
                step=query.step,
                secure=secure and len(asked) > 1,
            )
            if ask.secure:
                coding = Residues(sites=MOST_SITES)
                return np.asarray(self.secure(ask, coding, query.values, asked).vector)
            return self._plain(ask, query.values, asked)

        return summed

    def _plain(self, ask: wire.Ask, values: Arrays, sites: Sequence[str]) -> Words:
        """Return the sum modulo 2^32 of aggregates that each site shows."""
        answers = self.ask(dict.fromkeys(sites, ask), self.patience_s, values)
        found = {
            site: np.asarray(answer.arrays["words"])
            for site, answer in answers.items()
            if isinstance(answer.message, wire.Aggregate) and set(answer.arrays) == {"words"}
        }
        self.enough(found, sites)
        return plain_sum([found[site] for site in sorted(found)])

    def secure(
        self,
        message: wire.Ask | wire.Train,
        coding: FixedPoint | Residues,
        arrays: Arrays | None,
        sites: Sequence[str],
    ) -> Summed:
        """Ask `message`, and sum securely what it made ready at the sites.

        A site that falls out before its input is in makes the sum begin anew, until the round's time is over;
        then the sum over the rest counts, if they are the quorum. Raises `FederationError`.
        """
        task = task_of(message)
        deadline = time.monotonic() + self.patience_s
        best: Summed | None = None
        number = self.journal.next_number()
        for attempt in range(ATTEMPTS):
            left = max(deadline - time.monotonic(), BRIEF_S)
            ready = self._ready(self.ask(dict.fromkeys(sites, message), left, arrays), task)
            self.enough(ready, sites)
            opening = wire.Advertise(
                study=self.study.digest,
                sender=wire.LEAD,
                task=task,
                number=number,
                attempt=attempt,
                sites={name: self.peers[name].hex for name in ready},
                threshold=Terms.usual_threshold(len(ready)),
                length=next(iter(ready.values())),
                coding=wire_coding(coding),
            )
            summed = self._attempt(opening, deadline + BRIEF_S)
            if summed is not None:
                best = summed
            missing = set(sites) - set(best.sites if best else ()) - self._absent
            if best is not None and (not missing or time.monotonic() > deadline):
                break
        if best is None:
            raise FederationError(
                f"no secure sum came together in {ATTEMPTS} attempts ({self.journal.refusals()})",
                remedy="see the journal for what each site answered, and run again",
            )
        self.enough(best.sites, sites)
        return best

    def _ready(self, answers: Mapping[str, Sealed], task: wire.Task) -> dict[str, int]:
        """Return site -> length of those that are ready, if these agree with the most."""
        lengths = {
            site: answer.message.length
            for site, answer in answers.items()
            if isinstance(answer.message, wire.Ready) and answer.message.task == task
        }
        if not lengths:
            return {}
        usual = Counter(lengths.values()).most_common(1)[0][0]
        for site, length in lengths.items():
            if length != usual:
                self.journal.note("refused", site=site, reason=f"{length} numbers where others have {usual}")
        return {site: length for site, length in lengths.items() if length == usual}

    def _attempt(self, opening: wire.Advertise, deadline: float) -> Summed | None:
        """Try one secure sum; None when it fell apart."""
        if len(opening.sites) < 2:
            raise FederationError(
                "a secure sum over one site would be that site's own numbers",
                remedy="wait for another site, or set federation.secure = false if the site allows it",
                field="federation.secure",
            )
        attempt = SecureSum(opening, ask=self.ask, deadline=deadline)
        try:
            total = attempt.total()
        except (FederationError, MessageError) as error:
            self.journal.note(
                "sum_failed", number=opening.number, attempt=opening.attempt, reason=error.message
            )
            return None
        finally:
            for site, reason in attempt.wrong.items():
                self.journal.note("refused", site=site, reason=reason)
        return Summed(vector=total.vector, sites=total.survivors)

    def finish(self, model: str) -> None:
        """Tell the sites that the rounds are over."""
        message = wire.Finish(study=self.study.digest, sender=wire.LEAD, model=model)
        self.ask(dict.fromkeys(self.taking_part, message), BRIEF_S * 10)
