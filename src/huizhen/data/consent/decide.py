"""Whether a use is permitted by what a patient has said: a denial overrides, and unknown is no."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from huizhen.data.consent.fhir_codes import codes
from huizhen.data.consent.record import Consent, Said, Withdrawal

__all__ = ["AHEAD", "Answer", "Reason", "Use", "decide", "names_unknown", "withdrawal_of"]


AHEAD: Final = timedelta(days=1)
"""How far ahead of the day, universal time's, denials and withdrawals count: somewhere it is tomorrow."""


class Reason(StrEnum):
    """Why a use is permitted or not."""

    PERMITTED = "permitted"
    NONE = "no_consent"
    NOT_YET = "not_yet_given"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    DENIED = "denied"
    PURPOSE = "purpose"
    MODALITY = "modality"
    PARTNER = "partner"
    CONDITION = "condition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a study does with the data, on `day`.

    `purpose` is "research" or "care". `diseases` are ontology ids that the study is about. `has` holds what
    the study can show (ethics_approval, publication, collaboration, return_of_results, genetic, non_profit);
    `is_` what it is (methods, commercial, ancestry). `names` are the users, projects, institutions, countries
    and kinds of research, by the code of the term that restricts them.
    """

    day: date
    purpose: str
    modalities: frozenset[str]
    diseases: frozenset[str] = frozenset()
    partners: frozenset[str] = frozenset()
    has: frozenset[str] = frozenset()
    is_: frozenset[str] = frozenset()
    names: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The reason, the consent's version that it rests on, and which of the use's modalities are permitted."""

    reason: Reason
    version: int | None = None
    modalities: frozenset[str] = frozenset()
    term: str = ""
    """The code of the term that a condition failed on."""

    @property
    def permitted(self) -> bool:
        """Whether some of the data may be used."""
        return self.reason is Reason.PERMITTED


def decide(consents: Sequence[Consent], use: Use) -> Answer:
    """Return whether one patient's `consents` permit `use`, and for which modalities.

    The highest version given by the day of use counts; all records of that version hold together, and any
    of them that denies, overrides. A withdrawal ends every version given up to its day. Denials and
    withdrawals count a day ahead.
    """
    if not consents:
        return Answer(reason=Reason.NONE)
    given = [one for one in consents if one.given <= use.day]
    if not given:
        return Answer(reason=Reason.NOT_YET)
    newest = max(one.version for one in given)
    force = [one for one in given if one.version == newest]
    near = [one for one in consents if one.given <= use.day + AHEAD]
    if _withdrawn(near, force, use.day + AHEAD):
        return Answer(reason=Reason.WITHDRAWN, version=newest)
    force += [one for one in near if one.deny and one.given > use.day and one.version >= newest]
    running = [one for one in force if one.until is None or use.day <= one.until]
    if not running:
        return Answer(reason=Reason.EXPIRED, version=newest)
    denied = [one for one in running if one.deny and _covers(one, use)]
    permits = [one for one in running if not one.deny]
    return _weighed(permits, denied, use, newest)


def withdrawal_of(consents: Sequence[Consent], day: date) -> tuple[date, Withdrawal] | None:
    """Return when one patient withdrew, and what is to be done then, if the newest word by `day` is that.

    A version that denies everything, after one that permitted, is a withdrawal in other words, of the day it
    was given. Of several choices on one day the one that asks for most counts.
    """
    given = [one for one in consents if one.given <= day]
    near, ahead = [one for one in consents if one.given <= day + AHEAD], day + AHEAD
    newest = max((one.version for one in given), default=0)
    force = [one for one in given if one.version == newest]
    if not given or not _withdrawn(near, force, ahead):
        return _revoked(given, force)
    order = list(Withdrawal)
    made = [(one.withdrawn, order.index(one.withdrawal)) for one in near if one.withdrawn is not None]
    last, choice = max(found for found in made if found[0] <= ahead)
    return last, order[choice]


def _revoked(given: Sequence[Consent], force: Sequence[Consent]) -> tuple[date, Withdrawal] | None:
    """Return day and choice of a denial of everything that came after a permit; None where there is none."""
    denied = [
        one for one in force if one.deny and not (one.said or one.modalities or one.partners or one.until)
    ]
    permitted = any(not one.deny for one in given if one.version < force[0].version) if force else False
    if not denied or not permitted:
        return None
    order = list(Withdrawal)
    choice = max(order.index(one.withdrawal) for one in denied)
    return min(one.given for one in denied), order[choice]


def _withdrawn(given: Iterable[Consent], force: Sequence[Consent], day: date) -> bool:
    """Whether the newest word is a withdrawal, made on or after the day of the version in force."""
    days = [one.withdrawn for one in given if one.withdrawn is not None and one.withdrawn <= day]
    return bool(days) and max(days) >= max(one.given for one in force)


def _covers(denial: Consent, use: Use) -> bool:
    """Whether a denial concerns this use at all: its purpose and partners; modalities are weighed later.

    A disease or partner that the study doesn't name may be another name of one that it does, or a wider one.
    """
    permissions = [one for one in denial.said if _is_permission(one)]
    concerns = not permissions or any(_concerns(one, use) for one in permissions)
    return concerns and (not denial.partners or bool(use.partners))


def _concerns(denied: Said, use: Use) -> bool:
    """Whether a permission that is denied concerns the purpose of the use."""
    return use.purpose == "research" if denied.term.code == "DS" else _allows(denied, use)


def _barred(denial: Consent, use: Use) -> frozenset[str]:
    """Return which of the use's modalities a denial bars: all where it names one that may be any of them."""
    names = _folded(denial.modalities)
    if not names or _unplaced(denial, use):
        return use.modalities
    return frozenset(name for name in use.modalities if _folded([name]) <= names)


def _unplaced(denial: Consent, use: Use) -> frozenset[str]:
    """Return a denial's modalities that may be any of the use's, by another name.

    Codes of DICOM are told apart from each other, other names from nothing.
    """
    names, own = _folded(denial.modalities), _folded(use.modalities)
    told = names | own <= _folded(codes()["dicom_modalities"])
    return frozenset() if told else names - own


def names_unknown(denial: Consent, use: Use) -> bool:
    """Whether a denial names a modality, partner or disease unknown to the study: it then denies all."""
    diseases = _folded(said.value for said in denial.said if said.term.code == "DS")
    elsewhere = _folded(denial.partners) - _folded(use.partners) if use.partners else frozenset()
    strange = _unplaced(denial, use) | elsewhere | (diseases - _folded(use.diseases))
    return denial.deny and bool(strange)


def _folded(names: Iterable[str]) -> frozenset[str]:
    """Return names without what sets them apart only in writing: case, width, blanks around.

    >>> sorted(_folded(["South ", "SOUTH"]))
    ['south']
    """
    return frozenset(unicodedata.normalize("NFKC", name).casefold().strip() for name in names)


def _weighed(permits: Sequence[Consent], denied: Sequence[Consent], use: Use, version: int) -> Answer:
    """Return what the permits leave after the denials, or the first reason against."""
    barred = frozenset[str]().union(*(_barred(one, use) for one in denied))
    if denied and use.modalities <= barred:
        return Answer(reason=Reason.DENIED, version=version)
    found: frozenset[str] = frozenset()
    against = Answer(reason=Reason.NONE if not denied else Reason.DENIED, version=version)
    for one in permits:
        answer = _permits(one, use)
        if answer.permitted:
            found |= answer.modalities
        else:
            against = answer
    if found - barred:
        return Answer(reason=Reason.PERMITTED, version=version, modalities=found - barred)
    return Answer(reason=Reason.DENIED, version=version) if found else against


def _permits(consent: Consent, use: Use) -> Answer:
    """Return what one permitting record says of the use."""
    allowed = [one for one in consent.said if _is_permission(one) and _allows(one, use)]
    if not allowed:
        return Answer(reason=Reason.PURPOSE, version=consent.version)
    if consent.partners and not use.partners <= consent.partners:
        return Answer(reason=Reason.PARTNER, version=consent.version)
    for one in consent.said:
        if not _is_permission(one) and not _kept(one, use):
            return Answer(reason=Reason.CONDITION, version=consent.version, term=one.term.code)
    modalities = use.modalities & consent.modalities if consent.modalities else use.modalities
    if not modalities:
        return Answer(reason=Reason.MODALITY, version=consent.version)
    return Answer(reason=Reason.PERMITTED, version=consent.version, modalities=modalities)


def _is_permission(said: Said) -> bool:
    return said.term.kind == "permission"


def _allows(said: Said, use: Use) -> bool:
    """Whether a permission covers the purpose of the use."""
    match said.term.code:
        case "NRES":
            return True
        case "CC":
            return use.purpose == "care"
        case "GRU" | "HMB":
            return use.purpose == "research"
        case "DS":
            return use.purpose == "research" and said.value in use.diseases
        case _:
            return use.purpose == "research" and "ancestry" in use.is_


def _kept(said: Said, use: Use) -> bool:
    """Whether the use keeps a modifier."""
    term = said.term
    if term.value == "date":
        day = date.fromisoformat(said.value)
        return use.day <= day if term.code == "TS" else use.day > day or "publication" not in use.has
    if term.value == "name":
        named = use.names.get(term.code, frozenset())
        return bool(named) and named <= {part.strip() for part in said.value.split(",")}
    return (not term.needs or term.needs in use.has) and term.forbids not in use.is_
