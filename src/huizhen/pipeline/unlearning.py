"""Approximate unlearning: how close a model is to one made without its withdrawn patients, as a certificate.

Where a study trained with differential privacy of patients, its models are nearly as likely without those who
withdrew as with them. A site reckons how nearly, over all of its patients who withdrew so far and all rounds
that they were in, from its own ledger of spends; where that is within the bound that the study set
beforehand, the model may stay for those who chose so. Everywhere else it is made anew, and it is said why.

The certificate is evidence, signed by the site's key. Who has it can reckon it again (`check_certificate`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from huizhen.core.digests import Digest, canonical_json
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.study import Study
from huizhen.data.consent.barred import read_barred
from huizhen.data.consent.record import Withdrawal
from huizhen.errors import PrivacyError
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.private_rounds import GROUP
from huizhen.federate.site.spend_witness import SpendWitness
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.consent_cascade import Affected
from huizhen.pipeline.consent_lists import people_secret
from huizhen.pipeline.learned_from import How, Learning, read_learned
from huizhen.pipeline.patient_spend import places_of, private_study
from huizhen.pipeline.site_privacy import LEDGER, UNBOUNDED
from huizhen.pipeline.unlearning_check import DOMAIN, UNLEARNED
from huizhen.privacy.events import Spend
from huizhen.privacy.groups import MOST_MEMBERS, GroupSpend, group_account
from huizhen.privacy.spend_ledger import Cap, SpendLedger

__all__ = ["Against", "Unlearning", "certificate", "unlearnings"]

LEARNED: Final = frozenset({How.TRAINED, How.TUNED, How.POOLED, How.ASKED})


class Against(StrEnum):
    """Why approximate unlearning can't be had, and the model is made anew."""

    NO_PRIVACY = "no_privacy"
    """The study didn't train with differential privacy of patients."""
    NO_BOUND = "no_bound"
    """The study set no bound beforehand."""
    OTHER_USE = "other_use"
    """A patient was used otherwise than in noisy training: for thresholds, or in sums without noise."""
    PASSED = "passed"
    """The bound is passed by as many patients as withdrew."""
    UNKNOWN = "unknown"
    """What was spent can't be told."""


REASONS: Final[Mapping[Against, str]] = {
    Against.NO_PRIVACY: "the study did not train with differential privacy of patients",
    Against.NO_BOUND: "the study set no bound for approximate unlearning beforehand",
    Against.OTHER_USE: "a patient who withdrew was used otherwise than in noisy training",
    Against.PASSED: "the patients who withdrew are together above the bound",
    Against.UNKNOWN: "what the patients who withdrew cost together can't be reckoned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlearning:
    """Whether a study's models may stay for those of `site` who withdrew and chose approximate unlearning.

    `against` is None where they may. `people`: who withdrew so far and was trained on, whatever they chose.
    `epsilon` at `delta` is of all of them together, `bound` what was allowed beforehand.
    """

    study: str
    digest: str
    version: int
    site: str
    folder: str
    people: int
    asked: int
    against: Against | None
    epsilon: float | None = None
    delta: float | None = None
    bound: float | None = None
    upper_bound: float | None = None
    spends: tuple[GroupSpend, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the models may stay."""
        return self.against is None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "study": self.study,
            "digest": self.digest,
            "version": self.version,
            "people": self.people,
            "holds": self.holds,
            "why": None if self.against is None else self.against.value,
            "epsilon": self.epsilon,
            "delta": self.delta,
            "bound": self.bound,
        }


def unlearnings(affected: Sequence[Affected], site: SiteFolder | None) -> list[Unlearning]:
    """Return the answer for each study that learned from somebody who withdrew and chose to be unlearnt so.

    `site` None: a run over all sites, none of which has privacy of patients. Raises `PrivacyError` where a
    site is at work, so that its ledger of spends can't be read; `LedgerError`, `DataError` on damaged lists.
    """
    found: list[Unlearning] = []
    for digest in sorted({one.digest for one in affected}):
        ones = [one for one in affected if one.digest == digest and LEARNED & set(one.hows)]
        for place in sorted({(one.who.site, one.folder) for one in ones}):
            here = [one for one in ones if (one.who.site, one.folder) == place]
            if any(one.who.choice is Withdrawal.APPROXIMATE for one in here):
                found.append(_unlearning(here, site))
    return found


def _unlearning(ones: Sequence[Affected], site: SiteFolder | None) -> Unlearning:
    """Return the answer for one study at one site; `ones` are all its uses of patients who withdrew."""
    first, asked = ones[0], {one.who.key for one in ones if one.who.choice is Withdrawal.APPROXIMATE}
    about: dict[str, Any] = {
        "study": first.study,
        "digest": first.digest,
        "version": first.version,
        "site": first.who.site,
        "folder": first.folder,
        "asked": len(asked),
    }
    people = {one.who.key for one in ones if How.TRAINED in one.hows}
    study = None if site is None else private_study(site, first.digest)
    if site is None or study is None or study.privacy is None:
        return Unlearning(**about, people=len(people), against=Against.NO_PRIVACY)
    used = [one for one in read_learned(site.path) if one.digest == first.digest]
    people |= _trained(used) & set(read_barred(site.path, people_secret(site.key)).days)
    bound = _bound(study, site)
    about |= {"people": len(people), "delta": study.privacy.delta, "bound": bound}
    if bound is None:
        return Unlearning(**about, against=Against.NO_BOUND)
    if any(asked & one.people and not _noisy(one, study) for one in used):
        return Unlearning(**about, against=Against.OTHER_USE)
    spends = _spends(site, study, used, people)
    if spends is None:
        return Unlearning(**about, against=Against.UNKNOWN)
    return _reckoned(about, study, spends)


def _reckoned(about: Mapping[str, Any], study: Study, spends: tuple[GroupSpend, ...]) -> Unlearning:
    """Return the answer by what all who withdrew cost together."""
    assert study.privacy is not None
    try:
        found = group_account(spends, delta=study.privacy.delta)
    except PrivacyError:
        return Unlearning(**about, spends=spends, against=Against.UNKNOWN)
    return Unlearning(
        **about,
        epsilon=found.epsilon,
        upper_bound=found.upper_bound if math.isfinite(found.upper_bound) else None,
        spends=found.spends,
        against=None if found.epsilon <= about["bound"] else Against.PASSED,
    )


def _trained(used: Sequence[Learning]) -> set[str]:
    return {key for one in used if one.how is How.TRAINED for key in one.people}


def _noisy(one: Learning, study: Study) -> bool:
    """Whether a use is one that the ledger of spends paid for, or none that anything was learned by."""
    paid = one.how is How.TRAINED and one.round is not None and places_of(study, [one]) != ()
    return paid or one.how not in LEARNED


def _bound(study: Study, site: SiteFolder) -> float | None:
    """Return the study's bound, or the site's own where that is smaller; None where the study set none."""
    asked = study.privacy.unlearning_epsilon if study.privacy else None
    own = site.policy().unlearning_epsilon
    return None if asked is None else min(asked, own or math.inf)


def _spends(
    site: SiteFolder, study: Study, used: Sequence[Learning], people: set[str]
) -> tuple[GroupSpend, ...] | None:
    """Return what each round cost that any of `people` was in, all attempts at it, with how many were.

    A round that was noted as trained and that the ledger doesn't know counts as the dearest of the study:
    it was killed before anything left, or a ledger was put back that lacks it. None where no round is known,
    or the group is larger than can be reckoned.
    """
    members: dict[int, set[str]] = {}
    for one in used:
        if one.how is How.TRAINED and (here := people & one.people):
            for place in places_of(study, [one]):
                members.setdefault(place, set()).update(here)
    if max(map(len, members.values()), default=0) > MOST_MEMBERS:
        return None
    paid = _paid(site, study, {place for one in used for place in places_of(study, [one])})
    known = sorted((spend for spends in paid.values() for spend in spends), key=_dearness)
    if members and not known:
        return None
    return tuple(
        GroupSpend(members=len(here), spend=spend)
        for place, here in sorted(members.items())
        for spend in paid[place] or known[-1:]
    )


def _paid(site: SiteFolder, study: Study, places: set[int]) -> dict[int, tuple[Spend, ...]]:
    """Return what the site's ledger has of each round, all attempts at it."""
    caps = {GROUP: Cap(epsilon=UNBOUNDED, delta=study.privacy.delta if study.privacy else 1e-5)}
    with SpendLedger.open(site.path / LEDGER, caps, witness=SpendWitness(site.path)) as ledger:
        reserved = {
            place: ledger.reserved(study=Digest(study.digest), round_number=place, group=GROUP)
            for place in places
        }
    return {place: tuple(spend for one in ones for spend in one.spends) for place, ones in reserved.items()}


def _dearness(spend: Spend) -> float:
    """Return what orders the rounds of one study by their cost."""
    return spend.steps * (spend.sampling_rate / spend.noise_multiplier) ** 2


# --- the certificate ---


def certificate(found: Unlearning, key: SigningKey, *, day: date, phantom: bool = False) -> Evidence:
    """Return the answer as evidence: a certificate signed by the site's `key`, or why there is none."""
    name = f"{UNLEARNED}/{found.site}"
    about = {"study": found.study, "study_digest": found.digest, "version": found.version}
    why = {} if found.against is None else {"why": found.against.value}
    detail: dict[str, Any] = {**about, **why, "asked": found.asked, "day": day.isoformat()}
    if found.epsilon is None:
        reason = REASONS[found.against or Against.UNKNOWN]
        return Evidence(
            key=name,
            metric=UNLEARNED,
            stage="privacy",
            n=found.people,
            verdict=Verdict.NOT_ASSESSED,
            reason=reason,
            phantom=phantom,
            detail=detail,
        )
    detail |= {"delta": found.delta, "bound": found.bound, "upper_bound": found.upper_bound}
    detail |= {"spends": [one.to_json() for one in found.spends], "signer": key.public.hex}
    made = {"n": found.people, "epsilon": found.epsilon, "site": found.site, **detail}
    signature = key.sign(DOMAIN, canonical_json(made))
    return Evidence(
        key=name,
        metric=UNLEARNED,
        stage="privacy",
        estimate=found.epsilon,
        n=found.people,
        descriptive=True,
        verdict=Verdict.PASS if found.holds else Verdict.FAIL,
        reason=REASONS[found.against] if found.against else "epsilon is within the bound set beforehand",
        phantom=phantom,
        detail={**detail, "signature": signature},
    )
