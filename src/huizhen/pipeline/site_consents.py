"""Consents held again at a site of a federation: before every round of training, and before every answer.

The register is looked at each time, by its digest, and read again when it changed. Who doesn't permit the use
any more, with all the data that the study has of them, is left out from then on, for good: the cohort that
was committed to stays, and a new consent counts for the study's next version. A register that can't be read
stops the site's answers.

What was answered before a crash is answered again over the same patients. And no lead gets one patient by
subtraction: where sums about the same were told before, as many others are left out with the few who
withdrew as the site's policy wants in any count (`companions`).
"""

from __future__ import annotations

import hmac
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from huizhen.core.digests import Digest, digest_bytes, digest_file, digest_value
from huizhen.core.study import Study
from huizhen.data.consent.barred import Barred
from huizhen.data.consent.decide import Reason
from huizhen.data.consent.screening import Screening, register_path, site_screening, today
from huizhen.errors import DataError, FederationError
from huizhen.federate import messages as wire
from huizhen.federate.secure_wire import place_of
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.learner import Asked
from huizhen.federate.statistics.data import Table
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.consent_journal import ConsentJournal, Used
from huizhen.pipeline.consent_lists import barred_of
from huizhen.pipeline.federated_consents import CONSENT, consent_table, standing_counts
from huizhen.pipeline.stage import RECORD, Run

__all__ = ["SiteConsents", "consents_of"]

JOURNAL = "consents.jsonl"
ENTRY: Final = "consents"
"""The kind of entry in a site's ledger that says how many were left out, and in which round."""
PINNED: Final = frozenset({"cohort", "privacy", CONSENT})
"""Kinds of subject that are about the cohort as it was committed to: the first answer's state stays."""


@dataclass(kw_only=True)
class SiteConsents:
    """The consents of `site` in `study` (over all its sites), whose register lies under `roots`.

    `folder` keeps the journal, `cohort` gives who was committed to, `barred` who is on the site's list,
    `enter` an entry of the site's ledger, `entered` the day of its last one, `least` how many patients a
    count must be over, `secret` what companions are drawn by.
    """

    study: Study
    site: str
    roots: tuple[Path, ...]
    folder: Path
    secret: bytes
    cohort: Callable[[], OpenCohort]
    barred: Callable[[], Barred]
    enter: Callable[[Mapping[str, Any]], None]
    entered: Callable[[], date | None]
    least: Callable[[], int]
    clock: Callable[[], date] = today
    _state: tuple[object, ...] = ()
    _register: str = ""

    @cached_property
    def journal(self) -> ConsentJournal:
        """What was noted here of the study's consents."""
        return ConsentJournal(self.folder / JOURNAL)

    # --- who is left out ---

    def at_round(self, model: str, number: int, question: Digest) -> frozenset[str]:
        """Return who is left out of a round of `model` that begins from the weights of `question`.

        Raises `FederationError` when consents can't be read, and when the same weights were trained from in
        another round with other patients.
        """
        reading = self.look()
        if not self._held:
            return frozenset()
        key, place = f"train/{model}/{number}/{question}", f"weights/{question}"
        if (found := self.journal.used(key)) is not None:
            return self.journal.gone(found)
        before = self.journal.last(place)
        if before is not None and self.journal.gone(before) != self.journal.out(reading):
            raise FederationError(
                "these weights were trained from here before, with patients who have withdrawn since",
                remedy="go on from the next weights",
                field=CONSENT,
            )
        out = self._noted(key, (place,), Used(reading=reading))
        self.enter({"model": model, "round": number, "left_out": len(out), **self._seen()})
        return out

    def at_question(self, asked: Asked) -> frozenset[str]:
        """Return who is left out of an answer. Raises `FederationError` when consents can't be read."""
        reading = self.look()
        if not self._held:
            return frozenset()
        key = _key(asked)
        if (found := self.journal.used(key)) is not None:
            return self.journal.gone(found)
        query = asked.query
        task = wire.Task(kind="ask", name=f"{asked.subject}/{query.name}", step=query.step)
        place, steps = place_of(task), f"steps/{asked.subject}/{query.name}"
        before = self.journal.last(place)
        going_on = self.journal.last(steps) if query.step else None
        if before is not None and asked.subject.partition("/")[0] in PINNED:
            going_on = before
        return self._noted(key, (place, steps), going_on or self._with_companions(reading, before))

    def now(self) -> frozenset[str]:
        """Return who is left out as consents stand. Raises `FederationError` when they can't be read."""
        return self.journal.out(self.look())

    def _noted(self, key: str, places: tuple[str, ...], used: Used) -> frozenset[str]:
        self.journal.use(key, places, used, day=self.clock())
        return self.journal.gone(used)

    def _with_companions(self, reading: int, before: Used | None) -> Used:
        """Return a state that differs from the one `before` here by nobody, or by enough patients."""
        if before is None:
            return Used(reading=reading)
        told, least = self.journal.gone(before), self.least()
        fresh = (self.journal.out(reading) | before.companions) - told
        beside: set[str] = set()
        for group in self._groups():
            lost = len(fresh & group)
            if 0 < lost < least:
                rest = sorted(group - fresh - told, key=self._drawn)
                beside |= set(rest[: least - lost])
        return Used(reading=reading, companions=before.companions | beside)

    def _groups(self) -> list[frozenset[str]]:
        """Return the patients who stand in the same parts of all folds and have the same modalities."""
        cohort = self.cohort()
        found: dict[object, set[str]] = defaultdict(set)
        for case in cohort.cases:
            parts = tuple(fold.parts.get(case.pseudonym) for fold in cohort.folds)
            found[parts, frozenset(case.modalities)].add(case.pseudonym)
        return [frozenset(group) for group in found.values()]

    def _drawn(self, pseudonym: str) -> str:
        return hmac.new(self.secret, f"companion\x1f{pseudonym}".encode(), sha256).hexdigest()

    # --- the register ---

    def look(self) -> int:
        """Look at the register, and leave out who permits no more; return the number of the last reading.

        Raises `FederationError` when it can't be read, or the clock stands before what was noted.
        """
        day = self.clock()
        self._check_clock(day)
        try:
            barred = self.barred()
            path = register_path(self._own, self.roots)
            state = (day, barred.digest(), None if path is None else digest_file(path))
            if state != self._state:
                self._leave_out(self._answers(barred, day), day)
                self._state = state
        except (DataError, OSError) as error:
            self._state = ()
            raise FederationError(
                "the site's consents can't be read, and without them no patient is used",
                remedy="the site's officer puts the register back; see the site's log",
                field=CONSENT,
            ) from error
        return self.journal.reading

    def standing(self) -> Table:
        """Return how each patient of the site stands: refused from the start, left out since, or in."""
        self.look()
        stage = self.cohort().stage
        key = f"{CONSENT}/{self.site}"
        found = [one for one in stage.read(RECORD)["evidence"] if one["key"] == key]
        reasons = {reason.value for reason in Reason}
        begun = {name: n for name, n in found[0]["detail"].items() if name in reasons} if found else None
        return consent_table(standing_counts(begun, len(self.cohort().cases), self.journal.reasons))

    @property
    def _held(self) -> bool:
        """Whether anything is held against patients here."""
        return self._own.consent is not None or self.journal.reading > 0 or bool(self.barred().days)

    @property
    def _own(self) -> Any:
        return next(site for site in self.study.site if site.name == self.site)

    def _answers(self, barred: Barred, day: date) -> Screening | None:
        patients = [case.patient_id for case in self.cohort().cases]
        return site_screening(self._own, self.study, patients, roots=self.roots, day=day, barred=barred)

    def _leave_out(self, found: Screening | None, day: date) -> None:
        """Note who of the cohort permits no more."""
        self._register = "" if found is None else found.digest
        if found is None:
            return
        out = self.journal.out(self.journal.reading)
        reasons: Counter[str] = Counter()
        newly: set[str] = set()
        for case in self.cohort().cases:
            answer = found.answers[case.patient_id]
            if case.pseudonym in out or case.modalities <= answer.modalities:
                continue
            newly.add(case.pseudonym)
            reasons[str(Reason.MODALITY if answer.permitted else answer.reason)] += 1
        if newly:
            self.journal.leave_out(frozenset(newly), day=day, register=found.digest, reasons=reasons)
            self.enter({"newly": len(newly), "reasons": dict(sorted(reasons.items())), **self._seen()})

    def _seen(self) -> dict[str, str]:
        return {"day": self.clock().isoformat(), "register": self._register}

    def _check_clock(self, day: date) -> None:
        """Refuse to judge consents by a clock that was set back: what had run out would hold again."""
        known = [found for found in (self.journal.day, self.entered()) if found is not None]
        if known and day < max(known):
            raise FederationError(
                "the site's clock stands before what its ledger has noted already",
                remedy="set the clock; consents are held against its day",
                field=CONSENT,
            )


def consents_of(run: Run, site: SiteFolder, cohort: Callable[[], OpenCohort]) -> SiteConsents:
    """Return the consents of the study that `run` is opened for at `site`."""

    def entered() -> date | None:
        entries = run.log.entries
        return datetime.fromisoformat(entries[-1].time).date() if entries else None

    def enter(body: Mapping[str, Any]) -> None:
        run.log.append(ENTRY, dict(body))
        run.log.commit()

    return SiteConsents(
        study=run.whole or run.study,
        site=site.name,
        roots=run.roots,
        folder=run.folder,
        secret=run.key.derive_secret("companions"),
        cohort=cohort,
        barred=lambda: barred_of(run),
        enter=enter,
        entered=entered,
        least=lambda: site.policy().smallest_count,
    )


def _key(asked: Asked) -> str:
    """Return what tells a question from all others."""
    query = asked.query
    values = {name: digest_bytes(array.tobytes()) for name, array in sorted(query.values.items())}
    return f"ask/{digest_value([asked.subject, query.name, query.step, values, asked.hidden])}"
