"""Which patients of a site may be used for a study, and for which modalities, before a pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from huizhen.core.digests import Digest, digest_value
from huizhen.core.evidence import Evidence
from huizhen.core.study import Site, Study
from huizhen.data.consent.barred import NOBODY, Barred
from huizhen.data.consent.decide import Answer, Reason, Use, decide
from huizhen.data.consent.record import Consent
from huizhen.data.consent.register import Register, read_register
from huizhen.data.readers.paths import find_path

__all__ = [
    "Screening",
    "consent_evidence",
    "register_path",
    "screen",
    "site_screening",
    "standing_digest",
    "today",
    "use_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """The answer for each patient found at `site` on `day`, from the register with `digest`."""

    site: str
    day: date
    digest: str
    answers: Mapping[str, Answer]

    def refused(self) -> frozenset[str]:
        """Return the patients of whom nothing may be used."""
        return frozenset(patient for patient, answer in self.answers.items() if not answer.permitted)

    def allows(self, patient: str, modality: str) -> bool:
        """Whether this patient's data of a modality may be used."""
        return modality in self.answers[patient].modalities

    def counts(self) -> dict[str, int]:
        """Return how many patients each reason holds for."""
        found = Counter(answer.reason for answer in self.answers.values())
        return {str(reason): found[reason] for reason in Reason if found[reason]}


def today() -> date:
    """Return the day that consents are held against, in universal time, the same at every site."""
    return datetime.now(UTC).date()


def consent_evidence(screening: Screening, *, phantom: bool) -> Evidence:
    """Return how many patients of a site permit the study's use, and why the others don't."""
    return Evidence(
        key=f"consent/{screening.site}",
        metric="consent",
        stage="data",
        n=len(screening.answers),
        descriptive=True,
        phantom=phantom,
        detail={**screening.counts(), "day": screening.day.isoformat(), "register": screening.digest},
    )


def site_screening(
    site: Site,
    study: Study,
    patients: Iterable[str],
    *,
    roots: Sequence[Path],
    day: date,
    barred: Barred = NOBODY,
) -> Screening | None:
    """Return what `patients` permit on `day`; None where nothing forbids anything.

    `barred`: who withdrew, whatever the register says of earlier consents; where the site names no register,
    the list alone is held against. Raises `DataError` for a register that isn't there or can't be read.
    """
    register = _register(site, roots)
    if register is not None:
        return screen(register, patients, study, site, day, barred)
    return _without_register(site, study, patients, day, barred)


def standing_digest(
    site: Site, study: Study, *, roots: Sequence[Path], day: date, barred: Barred = NOBODY
) -> Digest | None:
    """Return a digest over whom the register permits what on `day`; None where nothing forbids anything.

    It changes with a withdrawal and when a consent runs out, and not with the calendar alone.
    """
    register = _register(site, roots)
    if register is None:
        return barred.digest() if barred.days else None
    answers = screen(register, register.consents, study, site, day, barred).answers
    return digest_value([[patient, sorted(answer.modalities)] for patient, answer in answers.items()])


def register_path(site: Site, roots: Sequence[Path]) -> Path | None:
    """Return where a site's register lies; None where it names none. Raises `DataError` if it isn't there."""
    return None if site.consent is None else find_path(site.consent, roots, field="site.consent")


def _register(site: Site, roots: Sequence[Path]) -> Register | None:
    path = register_path(site, roots)
    return None if path is None else read_register(path)


def _without_register(
    site: Site, study: Study, patients: Iterable[str], day: date, barred: Barred
) -> Screening | None:
    """Return that those on the list withdrew, where a site keeps no register; None if nobody stands on it."""
    modalities = frozenset(modality.name for modality in study.modality)
    free, gone = Answer(reason=Reason.PERMITTED, modalities=modalities), Answer(reason=Reason.WITHDRAWN)
    answers = {
        patient: free if barred.since(site.name, patient) is None else gone
        for patient in sorted(set(patients))
    }
    if all(answer.permitted for answer in answers.values()):
        return None
    return Screening(site=site.name, day=day, digest="", answers=answers)


def use_of(study: Study, site: Site, day: date) -> Use:
    """Return what `study` does with the data of `site`, as consents are asked. Its [use] must be there."""
    asked = study.use
    assert asked is not None  # the study file is refused where a site keeps consents and this is missing
    has = ("publication", "collaboration", "return_of_results", "genetic", "non_profit")
    shown = {name for name in (*has, "ethics_approval") if getattr(asked, name)}
    countries = asked.countries or tuple(one.jurisdiction for one in study.site if one.jurisdiction)
    return Use(
        day=day,
        purpose=asked.purpose,
        modalities=frozenset(modality.name for modality in study.modality),
        diseases=frozenset(asked.diseases),
        partners=frozenset(one.name for one in study.site if one.name != site.name),
        has=frozenset(shown),
        is_=frozenset(name for name in ("methods", "commercial", "ancestry") if getattr(asked, name)),
        names={
            "US": frozenset(asked.users),
            "PS": frozenset({study.name}),
            "IS": frozenset(asked.institutions),
            "GS": frozenset(countries),
            "RS": frozenset(asked.kinds),
        },
    )


def screen(
    register: Register,
    patients: Iterable[str],
    study: Study,
    site: Site,
    day: date,
    barred: Barred = NOBODY,
) -> Screening:
    """Return the answers for `patients` of `site` on `day`; who isn't in the register has not consented."""
    use = use_of(study, site, day)
    answers = {
        patient: _answer(register.consents.get(patient, ()), use, site.name, patient, barred)
        for patient in sorted(set(patients))
    }
    return Screening(site=site.name, day=day, digest=register.digest, answers=answers)


def _answer(consents: Sequence[Consent], use: Use, site: str, patient: str, barred: Barred) -> Answer:
    """Return one patient's answer: of who is on the list, only by what was given after the withdrawal."""
    left = barred.left_of(site, patient, consents)
    if consents and not left:
        return Answer(reason=Reason.WITHDRAWN)
    return decide(left, use)
