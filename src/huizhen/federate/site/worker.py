"""The worker: answers the study lead's messages one by one, by the site's policy, and notes what leaves.

A worker that is killed and started again answers the same question in the same way: training and queries
depend on the question alone. Only an open secure sum is lost with the process, and the lead begins it anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never, final

import huizhen
from huizhen.core.digests import canonical_json, digest_bytes
from huizhen.core.files import write_text
from huizhen.core.study import Role, Study
from huizhen.errors import FederationError, HuizhenError, MessageError, ModelError, PolicyError
from huizhen.federate import messages as wire
from huizhen.federate.frames import Arrays, Sealed, seal, unseal
from huizhen.federate.outbox import Outbox
from huizhen.federate.policy import SitePolicy
from huizhen.federate.secure_wire import place_of, task_of
from huizhen.federate.site.checks import (
    check_finite,
    check_round,
    check_same,
    check_sites,
    check_spend,
    noised,
    shortened,
    study_of,
    weight_of,
)
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.learner import Asked, Labelling, Learner, OpenLearner
from huizhen.federate.site.questions import said_by, trained_from
from huizhen.federate.site.secure import Pending, SecureSums
from huizhen.federate.statistics.interface import Query
from huizhen.federate.summaries import signed_summary
from huizhen.ledger.signing import PublicKey

INVITATION = "invitation.json"
SCORES = "scores/"
"""Subjects that are distributions of the model's scores by outcome."""
Answer = tuple[wire.Outbound, Arrays]


@dataclass(slots=True, kw_only=True)
class _Open:
    """A study that this site takes part in."""

    study: Study
    role: Role
    sites: dict[str, str]
    signer: str
    purpose: str
    learner: Learner
    sums: SecureSums
    pending: dict[str, Pending] = field(default_factory=dict)
    question: str = ""
    """The digest of the frame that `pending` answers: other weights make another change."""

    @property
    def alike(self) -> int:
        """How many sites of the study have this one's role: so many may be in a secure sum."""
        return sum(site.role is self.role for site in self.study.site)


@final
class Worker:
    """Answers frames for the site in `folder`; `open_learner` opens a study's data there."""

    def __init__(
        self, folder: SiteFolder, open_learner: OpenLearner, *, now: Callable[[], datetime] = datetime.now
    ) -> None:
        self._folder, self._open_learner, self._now = folder, open_learner, now
        self._outbox = Outbox(folder.path)
        self._studies: dict[str, _Open] = {}

    def answer(self, frame: bytes) -> bytes:
        """Return the signed answer to a frame. What is refused is answered with the reason.

        Raises only what keeps anything from leaving: `StorageError` when the outbox fails.
        """
        study, question = "0" * 64, digest_bytes(frame)
        message: wire.Outbound
        try:
            policy = self._folder.policy()
            asked = unseal(frame, {wire.LEAD: [PublicKey(hex=key) for key in policy.signers]})
            study = asked.message.study
            policy.at_work(self._now())
            if not isinstance(asked.message, wire.Invitation):
                self._admit(asked, policy)
            message, arrays = self._dispatch(asked, policy)
            policy.release(message.kind, tuple(arrays) if isinstance(message, wire.Update) else ())
            message = message.model_copy(update={"answers": question})
            sealed = seal(message, self._folder.key, arrays)
        except HuizhenError as error:
            message = self._refusal(study, error.code, reason_of(error), question)
            sealed = seal(message, self._folder.key)
        except MemoryError:
            message = self._refusal(study, "HZ80", "the site is out of memory", question)
            sealed = seal(message, self._folder.key)
        except Exception as error:  # of a library: its text may hold anything, so only its kind is told
            logging.getLogger("huizhen.site").error("unforeseen: %s", type(error).__name__)
            message = self._refusal(study, "HZ00", "an error that huizhen did not foresee", question)
            sealed = seal(message, self._folder.key)
        self._outbox.note(
            kind=message.kind, study=message.study, digest=digest_bytes(sealed), size=len(sealed)
        )
        return sealed

    def _refusal(self, study: str, code: str, reason: str, question: str = "0" * 64) -> wire.Refusal:
        text = wire.printable(reason)
        return wire.Refusal(study=study, sender=self._folder.name, code=code, reason=text, answers=question)

    def _dispatch(self, asked: Sealed, policy: SitePolicy) -> Answer:
        """Return the answer to a checked message."""
        message = asked.message
        study, name = message.study, self._folder.name
        match message:
            case wire.Invitation():
                return self._invited(message, asked.key, policy), {}
            case wire.Plan():
                self._study(study).learner.plan(message.definition)
                return wire.Done(study=study, sender=name), {}
            case wire.Train():
                return self._train(message, asked, policy)
            case wire.Hold():
                self._study(study).learner.hold(message.model, asked.arrays)
                return wire.Done(study=study, sender=name), {}
            case wire.Label():
                asking = Labelling(
                    model=message.model, query=message.query, at=message.at, labelled=message.labelled
                )
                self._study(study).learner.label(asking)
                return wire.Done(study=study, sender=name), {}
            case wire.Lock():
                self._study(study).learner.lock(message.digest)
                return wire.Done(study=study, sender=name), {}
            case wire.Attest():
                root, size = self._study(study).learner.head()
                return wire.Attested(study=study, sender=name, root=root, size=size), {}
            case wire.Summarise():
                said = self._study(study).learner.summary()
                return signed_summary(said, study=study, site=name, key=self._folder.key), {}
            case wire.Ask():
                return self._ask(message, asked.arrays, policy)
            case wire.Advertise():
                return self._advertise(message, policy), {}
            case wire.Share():
                return self._share(message), {}
            case wire.Deliver():
                return self._mask(message)
            case wire.Endorse():
                signature = self._endorse(message, policy)
                return wire.Endorsed(study=study, sender=name, terms=message.terms, signature=signature), {}
            case wire.Unmask():
                return self._unmask(message), {}
            case wire.Finish():
                self._study(study).learner.close()
                del self._studies[study]
                return wire.Done(study=study, sender=name), {}
            case (
                wire.Accepted()
                | wire.Refusal()
                | wire.Update()
                | wire.Attested()
                | wire.Summary()
                | wire.Aggregate()
                | wire.Ready()
                | wire.Advertised()
                | wire.Shared()
                | wire.Masked()
                | wire.Endorsed()
                | wire.Unmasked()
                | wire.Done()
            ):
                raise MessageError(
                    f"a message of kind {message.kind} is no question",
                    remedy="only the lead asks",
                    field=message.sender,
                )
        assert_never(message)

    def _invited(self, ask: wire.Invitation, key: PublicKey, policy: SitePolicy) -> wire.Accepted:
        """Take part in a study, or raise `PolicyError`."""
        study = study_of(ask, key)
        policy.admit(
            study=study.name,
            signer=key.hex,
            purpose=ask.purpose,
            approved=self._folder.approved(study.digest),
        )
        site = next((s for s in study.site if s.name == self._folder.name), None)
        if site is None:
            raise FederationError(
                f"the study has no site {self._folder.name}",
                remedy="name the site in the study",
                field="site",
            )
        if site.role is Role.DEVELOPMENT:
            check_spend(policy, study)
        check_sites(ask, study, self._folder)
        record = {
            "definition": ask.definition,
            "sites": dict(ask.sites),
            "signer": key.hex,
            "purpose": ask.purpose,
        }
        file = self._folder.study(study.digest) / INVITATION
        if file.exists():  # an invitation sent again changes nothing
            check_same(json.loads(file.read_text(encoding="utf-8")), record)
        else:
            write_text(file, canonical_json(record).decode())
        return wire.Accepted(
            study=ask.study,
            sender=self._folder.name,
            role=Role(site.role).value,
            version=huizhen.__version__,
            alone=policy.plain_aggregates and policy.score_histograms,
        )

    def _admit(self, asked: Sealed, policy: SitePolicy) -> None:
        """Check that the policy, as it stands now, still accepts a study and that its own lead asks.

        Raises `PolicyError`, and `FederationError` for a study that the site was not invited to.
        """
        opened = self._study(asked.message.study)
        if asked.key.hex != opened.signer:
            raise PolicyError(
                "another lead asks than the one who signed the study",
                remedy="the study's own lead asks",
                field="signers",
            )
        if opened.role is Role.DEVELOPMENT:
            check_spend(policy, opened.study)
        policy.admit(
            study=opened.study.name,
            signer=opened.signer,
            purpose=opened.purpose,
            approved=self._folder.approved(opened.study.digest),
        )

    def _study(self, digest: str) -> _Open:
        """Return an accepted study, opened when it is first needed. Raises `FederationError`."""
        if digest not in self._studies:
            folder = self._folder.study(digest)
            file = folder / INVITATION
            if not file.exists():
                raise FederationError(
                    "this site was not invited to the study",
                    remedy="send the invitation first",
                    field="study",
                )
            record = json.loads(file.read_text(encoding="utf-8"))
            study = Study.model_validate_json(record["definition"])
            if study.digest != digest:
                raise FederationError(
                    "the invitation kept here is of another study",
                    remedy="the folder was edited: restore it from a backup",
                    field="study",
                )
            self._studies[digest] = _Open(
                study=study,
                role=next(site.role for site in study.site if site.name == self._folder.name),
                sites=dict(record["sites"]),
                signer=str(record["signer"]),
                purpose=str(record["purpose"]),
                learner=self._open_learner(study, self._folder, folder),
                sums=SecureSums(name=self._folder.name, key=self._folder.key, folder=folder),
            )
        return self._studies[digest]

    def _train(self, ask: wire.Train, asked: Sealed, policy: SitePolicy) -> Answer:
        """Train for a round; the change leaves at once, or waits for its secure sum."""
        opened = self._study(ask.study)
        check_round(ask, opened.study, opened.role, self._folder)
        patients = opened.learner.patients(ask.model, ask.round, asked.arrays)
        policy.train(patients=patients, secure=ask.secure)
        task = task_of(ask)
        place = place_of(task)
        if place not in opened.pending or opened.question != asked.digest:
            trained = opened.learner.train(ask.model, ask.round, asked.arrays)
            change = shortened(trained.change, opened.study)
            policy.release("update", tuple(change))
            check_finite(change)
            names = (ask.study, ask.model, str(ask.round), asked.digest)
            change = noised(change, opened.study, self._folder.key.derive_secret("client-noise"), *names)
            patients = weight_of(patients, opened.study)
            keys = trained_from(ask.model, asked.arrays, change)
            opened.pending = {place: Pending(weights=change, patients=patients, keys=keys)}
            opened.question = asked.digest
            if not ask.secure:
                opened.pending = {}
                update = wire.Update(
                    study=ask.study,
                    sender=self._folder.name,
                    model=ask.model,
                    round=ask.round,
                    patients=patients,
                    loss=trained.loss,
                )
                return update, dict(change)
        return self._ready(ask.study, task, opened.pending[place]), {}

    def _ask(self, ask: wire.Ask, parameters: Arrays, policy: SitePolicy) -> Answer:
        """Answer a query; the counts leave at once, or wait for their secure sum."""
        opened = self._study(ask.study)
        if not ask.secure and not policy.plain_aggregates:
            raise PolicyError(
                "aggregates leave this site under secure aggregation only",
                remedy="ask securely, or the site's officer allows plain_aggregates",
                field="plain_aggregates",
            )
        words = opened.learner.answer(
            Asked(
                subject=ask.subject,
                query=Query(name=ask.query, step=ask.step, values=parameters),
                sites=len(opened.sites),
                smallest=1 if ask.secure or _is_scores(ask, policy) else policy.smallest_count,
                hidden=ask.secure,
            )
        )
        if not ask.secure:
            answer = wire.Aggregate(
                study=ask.study, sender=self._folder.name, subject=ask.subject, query=ask.query, step=ask.step
            )
            return answer, {"words": words}
        task = task_of(ask)
        opened.pending, opened.question = {place_of(task): Pending(words=words, keys=said_by(words))}, ""
        return self._ready(ask.study, task, opened.pending[place_of(task)]), {}

    def _ready(self, study: str, task: wire.Task, pending: Pending) -> wire.Ready:
        return wire.Ready(study=study, sender=self._folder.name, task=task, length=pending.length)

    def _advertise(self, ask: wire.Advertise, policy: SitePolicy) -> wire.Advertised:
        """Open a secure sum over what was trained or counted."""
        opened = self._study(ask.study)
        policy.join(set(ask.sites.values()), own=self._folder.key.public.hex, of=opened.alike)
        pending = opened.pending.get(place_of(ask.task))
        if pending is None:
            raise FederationError(
                "this site has nothing ready for that sum", remedy="ask it to train again", field="task"
            )
        keys = opened.sums.advertise(ask, pending, opened.sites)
        terms = opened.sums.terms
        return wire.Advertised(study=ask.study, sender=self._folder.name, terms=terms, keys=keys)

    def _endorse(self, ask: wire.Endorse, policy: SitePolicy) -> str:
        """Sign the survivors of the open sum."""
        opened = self._study(ask.study)
        policy.survive(len(set(ask.survivors)), of=opened.alike)
        return opened.sums.endorse(ask)

    def _mask(self, ask: wire.Deliver) -> Answer:
        """Return the masked input, or a refusal that names the site whose sealed shares don't open."""
        sums = self._study(ask.study).sums
        try:
            vector = sums.mask(ask)
        except MessageError as error:
            if not sums.accused:
                raise
            refused = self._refusal(ask.study, error.code, reason_of(error))
            return refused.model_copy(update={"accused": sums.accused}), {}
        masked = wire.Masked(study=ask.study, sender=self._folder.name, terms=ask.terms)
        return masked, {"vector": vector}

    def _share(self, ask: wire.Share) -> wire.Shared:
        """Seal shares for the other sites of the open sum."""
        commitment, boxes = self._study(ask.study).sums.share(ask)
        return wire.Shared(
            study=ask.study, sender=self._folder.name, terms=ask.terms, commitment=commitment, boxes=boxes
        )

    def _unmask(self, ask: wire.Unmask) -> wire.Unmasked:
        """Give the shares that take the masks off the open sum."""
        seeds, keys = self._study(ask.study).sums.unmask(ask)
        return wire.Unmasked(
            study=ask.study, sender=self._folder.name, terms=ask.terms, seeds=seeds, keys=keys
        )


def _is_scores(ask: wire.Ask, policy: SitePolicy) -> bool:
    """Tell whether a query is for scores, whose single counts the policy lets leave."""
    return ask.subject.startswith(SCORES) and policy.score_histograms


def reason_of(error: HuizhenError) -> str:
    """Return what the lead may know of an error; the rest goes into the site's own log.

    Errors of reading data name files, and a file's name may hold a patient's.
    """
    logging.getLogger("huizhen.site").warning("refused: %s", error)
    if isinstance(error, FederationError | ModelError):
        return f"{error.field + ': ' if error.field else ''}{error.message}"[:500]
    return f"{type(error).__name__}: the site's log says what is wrong there"
