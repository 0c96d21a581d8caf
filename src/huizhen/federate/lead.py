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

from huizhen.core.digests import canonical_json, digest_bytes
from huizhen.core.study import Study
from huizhen.errors import FederationError, HuizhenError, MessageError, PolicyError, StorageError
from huizhen.federate import messages as wire
from huizhen.federate.engines.interface import Engine
from huizhen.federate.frames import Arrays, Sealed, seal, unseal
from huizhen.federate.journal import Journal
from huizhen.federate.quorum import enough_of
from huizhen.federate.secure_sum import SecureSum
from huizhen.federate.secure_wire import place_of, task_of, wire_coding
from huizhen.federate.statistics.fixed_point import MOST_SITES, Words
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.runner import Exchange, plain_sum
from huizhen.ledger.signing import PublicKey, SigningKey
from huizhen.privacy.secure_aggregation.coding import FixedPoint, Residues
from huizhen.privacy.secure_aggregation.interface import Terms

ATTEMPTS = 5
"""How often a secure sum is begun anew when sites fall out of it."""
LEAST = 3
"""A sum that began with so many sites or more never ends with fewer."""
BRIEF_S = 2.0
"""How long a site that missed an earlier question has to say that it is back."""
FOR_GOOD = frozenset({"HZ11", "HZ92", "HZ93"})
"""Refusals that asking again won't change: by policy, by privacy, and of what isn't estimable there."""


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
    alone: frozenset[str] = frozenset()
    """Sites that said, when they were invited, that their own scores' distribution may leave by itself."""
    plan: wire.Plan | None = None
    """What every site must hold before it is asked to train: sent again to one that was away."""
    _absent: set[str] = field(default_factory=set)
    _refused: dict[str, str] = field(default_factory=dict)
    _invitation: wire.Invitation | None = None

    def __post_init__(self) -> None:
        """Refuse two sites with one key. Raises `FederationError`."""
        names: dict[str, list[str]] = {}
        for name, key in sorted(self.peers.items()):
            names.setdefault(key.hex, []).append(name)
        if twice := [each for each in names.values() if len(each) > 1]:
            raise FederationError(
                f"{' and '.join(twice[0])} have one key: they would be one site",
                remedy="let each site make its own with: huizhen site init",
                field="site",
            )

    def invite(self) -> tuple[str, ...]:
        """Invite the study's sites and return those that take part. Raises `FederationError` without any."""
        definition = canonical_json(self.study.model_dump(mode="json")).decode()
        invitation = wire.Invitation(
            study=self.study.digest,
            sender=wire.LEAD,
            definition=definition,
            signature=self.key.sign(wire.STUDY_DOMAIN, bytes.fromhex(self.study.digest)),
            purpose=self.purpose,
            sites={site.name: self.peers[site.name].hex for site in self.study.site},
        )
        answers = self.ask(dict.fromkeys(invitation.sites, invitation), self.patience_s)
        self._invitation = invitation
        accepted = {s: a.message for s, a in sorted(answers.items()) if isinstance(a.message, wire.Accepted)}
        self.taking_part = tuple(accepted)
        self.alone = frozenset(site for site, answer in accepted.items() if answer.alone)
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

        A site that missed an earlier question is invited again, briefly, and asked when it accepts.
        """
        sealed: dict[int, bytes] = {}
        frames: dict[str, bytes] = {}
        for site, message in asked.items():
            frames[site] = sealed.setdefault(id(message), b"") or seal(message, self.key, arrays)
            sealed[id(message)] = frames[site]
        answers = self._exchange(frames, timeout_s)
        self._refused = {site: code for site, code in self._refused.items() if site not in frames}
        found: dict[str, Sealed] = {}
        for site, frame in sorted(answers.items()):
            checked = self._taken(site, frame, frames[site])
            if checked is not None:
                found[site] = checked
        return found

    def _taken(self, site: str, frame: bytes, question: bytes) -> Sealed | None:
        """Return a site's checked answer; None, noted with the reason, when it can't be used.

        Whatever a site sends, it costs that site its place and nobody else anything.
        """
        try:
            return self._checked(site, frame, digest_bytes(question))
        except StorageError:
            raise
        except HuizhenError as error:
            reason = error.message
        except Exception as error:
            reason = f"an answer that can't be read ({type(error).__name__})"
        self.journal.note("refused", site=site, reason=wire.printable(reason))
        return None

    def _exchange(self, frames: Mapping[str, bytes], timeout_s: float) -> dict[str, bytes]:
        """Send the frames and return the answers; sites that are still absent are not sent theirs."""
        started = time.monotonic()
        absent = self._still_absent(set(frames))
        expected = {site: frame for site, frame in frames.items() if site not in absent}
        answers = self.engine.ask(expected, timeout_s=timeout_s) if expected else {}
        for site in set(expected) - set(answers):
            self.journal.note("silent", site=site)
            self._absent.add(site)
        self.journal.exchange(
            sent=sum(map(len, expected.values())),
            received=sum(map(len, answers.values())),
            seconds=time.monotonic() - started,
        )
        return answers

    def _still_absent(self, sites: set[str]) -> set[str]:
        """Return which of `sites` missed an earlier question and don't take the invitation, sent anew."""
        asked = self._absent & sites
        if not asked or self._invitation is None:
            return set()
        frame = seal(self._invitation, self.key)
        for site, answer in self.engine.ask(dict.fromkeys(asked, frame), timeout_s=BRIEF_S).items():
            checked = self._taken(site, answer, frame)
            back = checked is not None and isinstance(checked.message, wire.Accepted)
            if back and self._planned(site):
                self._absent.discard(site)
                self.journal.note("back", site=site)
        return self._absent & sites

    def _planned(self, site: str) -> bool:
        """Tell whether a site that is back holds the plan, if there is one."""
        if self.plan is None:
            return True
        frame = seal(self.plan, self.key)
        answers = self.engine.ask({site: frame}, timeout_s=BRIEF_S)
        checked = self._taken(site, answers[site], frame) if site in answers else None
        return checked is not None and isinstance(checked.message, wire.Done)

    def _checked(self, site: str, frame: bytes, question: str) -> Sealed:
        """Return a site's answer to the frame with the digest `question`.

        Raises `MessageError` when it isn't that site's, or answers another question or one of another study.
        """
        answer = unseal(frame, {site: [self.peers[site]]})
        refusal = isinstance(answer.message, wire.Refusal)
        if answer.message.study != self.study.digest and not refusal:
            raise MessageError("an answer about another study", remedy="ask the site again", field=site)
        if getattr(answer.message, "answers", "") != question:
            raise MessageError("an answer to another question", remedy="ask the site again", field=site)
        if isinstance(answer.message, wire.Refusal):
            self._refused[site] = answer.message.code
            self.journal.note("refusal", site=site, code=answer.message.code, reason=answer.message.reason)
        return answer

    def enough(self, sites: Iterable[str], of: Iterable[str]) -> None:
        """Check the quorum. Raises `FederationError`; `PolicyError` when all the missing refuse for good."""
        here, all_sites = set(sites), set(of)
        if len(here) >= enough_of(len(all_sites), self.quorum):
            return
        missing = sorted(all_sites - here)
        final = all(self._refused.get(site) in FOR_GOOD for site in missing)
        kind = PolicyError if final else FederationError
        raise kind(
            f"{len(here)} of {len(all_sites)} sites answered, fewer than the quorum; missing: "
            f"{', '.join(missing)} ({self.journal.refusals() or 'no refusal'})",
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
        found: dict[str, Words] = {}
        for site, answer in self.ask(dict.fromkeys(sites, ask), self.patience_s, values).items():
            message = answer.message
            if not isinstance(message, wire.Aggregate):
                continue
            if (message.subject, message.query, message.step) != (ask.subject, ask.query, ask.step):
                self.journal.note("refused", site=site, reason="an answer to another question")
            elif set(answer.arrays) == {"words"}:
                found[site] = np.asarray(answer.arrays["words"]).reshape(-1)
        usual = _usual(len(words) for words in found.values())
        for site in [site for site, words in found.items() if len(words) != usual]:
            self.journal.note("refused", site=site, reason=f"{len(found.pop(site))} words instead of {usual}")
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

        A site that falls out before its input is in makes the sum begin anew; only the last attempt does
        without it, if the rest are the quorum. The masks come off one sum of a thing alone, also after a
        crash: of two over different sites, the difference would be single sites' numbers. Raises
        `FederationError`.
        """
        task = task_of(message)
        number, wanted, key = self.journal.next_number(), set(sites), _once(task, sites)
        for attempt in range(ATTEMPTS):
            self.enough(wanted, sites)
            answers = self.ask(dict.fromkeys(sorted(wanted), message), self.patience_s, arrays)
            ready = self._ready(answers, task, _expected(message, arrays))
            self.enough(ready, sites)
            before = self.journal.unmasked(key)
            if before is not None and set(before) != set(ready):
                ready = self._as_before(before, ready)
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
            whole = attempt < ATTEMPTS - 1 or before is not None
            summed = self._attempt(opening, wanted, key, whole=whole)
            if summed is not None:
                self.enough(summed.sites, sites)
                return summed
        raise FederationError(
            f"no secure sum came together in {ATTEMPTS} attempts ({self.journal.refusals()})",
            remedy="see the journal for what each site answered, and run again",
        )

    def _as_before(self, before: Sequence[str], ready: Mapping[str, int]) -> dict[str, int]:
        """Return those that a sum was over which may have been unmasked. Raises `FederationError`."""
        if missing := sorted(set(before) - set(ready)):
            raise FederationError(
                f"a sum over {', '.join(before)} was about to be unmasked; without {', '.join(missing)} the "
                "same sum again would show their numbers",
                remedy="bring these sites back and run again",
                field="site",
            )
        return {site: ready[site] for site in before}

    def _ready(self, answers: Mapping[str, Sealed], task: wire.Task, expected: int | None) -> dict[str, int]:
        """Return site -> length of those that are ready with as many numbers as expected, or as most have."""
        lengths = {
            site: answer.message.length
            for site, answer in answers.items()
            if isinstance(answer.message, wire.Ready) and answer.message.task == task
        }
        usual = expected or _usual(lengths.values())
        for site, length in lengths.items():
            if length != usual:
                self.journal.note("refused", site=site, reason=f"{length} numbers instead of {usual}")
        return {site: length for site, length in lengths.items() if length == usual}

    def _attempt(self, opening: wire.Advertise, wanted: set[str], key: str, *, whole: bool) -> Summed | None:
        """Try one secure sum; None when it fell apart. A site that refuses for good is no more `wanted`."""
        if len(opening.sites) < 2:
            raise FederationError(
                "a secure sum over one site would be that site's own numbers",
                remedy="wait for another site, or set federation.secure = false if the site allows it",
                field="federation.secure",
            )
        attempt = SecureSum(
            opening,
            ask=self.ask,
            patience_s=self.patience_s,
            whole=whole,
            least=min(LEAST, len(opening.sites)),
            unmasking=lambda sites: self.journal.unmasking(key, sites),
        )
        try:
            total = attempt.total()
        except (FederationError, MessageError) as error:
            self.journal.note(
                "sum_failed", number=opening.number, attempt=opening.attempt, reason=error.message
            )
            return None
        finally:
            wanted -= {site for site, code in attempt.refused.items() if code in FOR_GOOD}
            self._without_accused(attempt.accused, wanted)
            for site, reason in attempt.wrong.items():
                self.journal.note("refused", site=site, reason=reason)
        return Summed(vector=total.vector, sites=total.survivors)

    def _without_accused(self, accused: Mapping[str, str], wanted: set[str]) -> None:
        """Leave out of what is `wanted` who accuses and who is accused: nobody knows which of them is wrong.

        Never the accuser alone: a site could so have an honest one left out, and reckon the others' numbers.
        """
        for accuser, site in sorted(accused.items()):
            reason = f"{accuser} says that sealed shares of {site} don't open"
            self.journal.note("refused", site=accuser, accused=site, reason=reason)
            wanted -= {accuser, site}
        if accused and len(wanted) < LEAST:
            wanted.clear()

    def finish(self, model: str) -> None:
        """Tell the sites that the rounds are over."""
        message = wire.Finish(study=self.study.digest, sender=wire.LEAD, model=model)
        self.ask(dict.fromkeys(self.taking_part, message), 10.0)


def _once(task: wire.Task, sites: Iterable[str]) -> str:
    """Return what may be summed and unmasked once: a task over the sites that are asked."""
    return f"{place_of(task)} over {' '.join(sorted(sites))}"


def _expected(message: wire.Ask | wire.Train, arrays: Arrays | None) -> int | None:
    """Return how many numbers a site makes ready: of training as many as were sent, and the weight."""
    if isinstance(message, wire.Train):
        return sum(np.asarray(array).size for array in (arrays or {}).values()) + 1
    return None


def _usual(lengths: Iterable[int]) -> int:
    """Return the commonest length, 0 of none."""
    return next((length for length, _ in Counter(lengths).most_common(1)), 0)
