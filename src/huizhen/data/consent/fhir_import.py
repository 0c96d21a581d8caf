"""FHIR Consent resources, R4B and R5, as a register: what isn't understood never permits.

A patient's resources that are in force hold together, as one version of a consent; of one resource only its
newest version counts. An element that isn't understood makes the whole resource a denial, and is told with
its path; a resource that can't be given to a patient stops the reading, since it might be somebody's denial.

Sources: HL7 FHIR R4B 4.3.0 and R5 5.0.0, Consent. In R5 each level of provisions negates the one above it,
from `decision` down.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from huizhen.core.digests import canonical_json
from huizhen.data.consent.fhir_codes import (
    ABOUT_DATA,
    ABOUT_ELSE,
    CARE_CATEGORIES,
    CATEGORY,
    SCOPE,
    code_of,
    codes_of,
)
from huizhen.data.consent.fhir_export import DENIED, VERSION, WITHDRAWAL, WITHDRAWN
from huizhen.data.consent.fhir_files import Found, consents_in
from huizhen.data.consent.fhir_provisions import Problem, Rule, day_of, name_of, rules_of
from huizhen.data.consent.fhir_validation import check_form
from huizhen.data.consent.record import Consent, Withdrawal, said_of
from huizhen.errors import DataError, HuizhenError

__all__ = ["Imported", "Unclear", "import_fhir"]

UNKNOWN_DAY: Final = date(1970, 1, 1)
"""The day of a denial of which none is known: it holds from ever on."""
DRAFTS: Final = frozenset({"draft", "proposed", "not-done"})
KNOWN: Final = DRAFTS | {"active", "inactive", "rejected", "unknown", "entered-in-error"}
MODIFIERS: Final = ("implicitRules", "modifierExtension")
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unclear:
    """An element that isn't understood, in which file and where: its patient is denied."""

    file: str
    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The consents of a register, what became of how many resources, and what isn't understood."""

    consents: tuple[Consent, ...]
    counts: Mapping[str, int]
    unclear: tuple[Unclear, ...]


@dataclass(slots=True, kw_only=True)
class _Read:
    """One resource as it was read."""

    found: Found
    patient: str
    status: str
    given: date | None
    """The last day that its date may mean: a permit holds from then on."""
    first: date | None
    """The first day that its date may mean: a denial holds from then on."""
    updated: date | None
    version: int | None
    withdrawn: date | None
    withdrawal: Withdrawal
    base: bool | None
    """Whether it denies (True) or permits (False) by default; None where it says neither."""
    rules: list[Rule] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """Whether it is in force, or might be: of a status that isn't known."""
        return self.status != "inactive"


def import_fhir(paths: Iterable[Path]) -> Imported:
    """Return the consents of FHIR resources in files and folders.

    Raises `UnreadableFileError` and `DataError`, which name file and element and never a patient: for what is
    no FHIR, for a resource without a patient, and for two newest versions of one resource.
    """
    counts: Counter[str] = Counter()
    by_patient: dict[str, list[_Read]] = defaultdict(list)
    for found in _newest(consents_in(paths), counts):
        read = _read(found)
        if read is None:
            counts["about_care"] += 1
        elif read.status in DRAFTS:
            counts["drafts"] += 1
        elif read.status == "entered-in-error":
            counts["in_error"] += 1
        else:
            counts["ended" if not read.live else "in_force"] += 1
            by_patient[read.patient].append(read)
    rows: list[Consent] = []
    unclear: list[Unclear] = []
    for _, reads in sorted(by_patient.items()):
        rows += _rows(reads)
        unclear += [
            Unclear(one.found.file, f"{one.found.where}: {problem.path}", problem.why)
            for one in reads
            for problem in one.problems
        ]
    return Imported(consents=tuple(dict.fromkeys(rows)), counts=dict(counts), unclear=tuple(unclear))


# --- which resources count ---


def _newest(found: Iterable[Found], counts: Counter[str]) -> list[Found]:
    """Return the newest version of each resource. Raises `DataError` when that can't be told."""
    by_id: dict[tuple[bool, str], list[Found]] = defaultdict(list)
    alone: list[Found] = []
    for one in found:
        counts["resources"] += 1
        name = one.resource.get("id")
        if isinstance(name, str):
            by_id["subject" in one.resource, name].append(one)
        else:
            alone.append(one)
    return [*alone, *(_last(ones) for ones in by_id.values())]


def _last(ones: Sequence[Found]) -> Found:
    """Return the newest of a resource's versions, which must all be of one patient."""
    whom = [name_of(one.resource.get("subject", one.resource.get("patient"))) for one in ones]
    for one, name in zip(ones, whom, strict=True):
        if name != whom[0]:
            raise _refused(one, "id", "is another patient's resource's too")
    if len({canonical_json(one.resource) for one in ones}) == 1:
        return ones[0]
    metas = [one.resource.get("meta") or {} for one in ones]
    numbers = [str(meta.get("versionId", "")) if isinstance(meta, dict) else "" for meta in metas]
    if not all(number.isdecimal() for number in numbers):
        raise _refused(ones[1], "meta.versionId", "is one of several versions that can't be told apart")
    ranked = sorted(zip(map(int, numbers), range(len(ones)), strict=True))
    last = ranked[-1][0]
    newest = [ones[place] for number, place in ranked if number == last]
    if len({canonical_json(one.resource) for one in newest}) > 1:
        raise _refused(newest[1], "meta.versionId", "stands there twice, with other content")
    return newest[0]


# --- one resource ---


def _read(found: Found) -> _Read | None:
    """Return a resource as it was read; None of one that is about care. Raises `DataError`."""
    resource = found.resource
    r5 = "subject" in resource
    if r5 == ("patient" in resource):
        raise _refused(found, "patient", "names no patient, or in two ways")
    check_form(resource, r5=r5, file=found.file, where=found.where)
    patient = name_of(resource["subject" if r5 else "patient"])
    if patient is None:
        raise _refused(found, "subject" if r5 else "patient", "has no identifier and no id")
    problems = _odd(resource)
    if not _about_data(resource, problems):
        return None
    extensions = _extensions(resource)
    read = _Read(
        found=found,
        patient=patient,
        status=str(resource.get("status", "")),
        given=_day(resource, "date" if r5 else "dateTime", problems),
        first=_day(resource, "date" if r5 else "dateTime", [], last=False),
        updated=_day(resource.get("meta") or {}, "lastUpdated", [], last=False),
        version=extensions.get(VERSION),
        withdrawn=_own_day(extensions.get(WITHDRAWN), problems),
        withdrawal=_choice(extensions.get(WITHDRAWAL), problems),
        base=None,
        problems=problems,
    )
    try:
        _take_rules(read, resource, r5=r5, denied=extensions.get(DENIED))
    except DataError as error:
        field = f"{found.where}: {error.field}"
        raise DataError(error.message, remedy=error.remedy, file=found.file, field=field) from error
    if read.status not in KNOWN:
        problems.append(Problem("status", "is no status that is known"))
    if read.status in ("rejected", "unknown"):
        read.rules = [Rule(deny=True)]
    if read.given is None and read.live:
        problems.append(Problem("date" if r5 else "dateTime", "is missing"))
    return read


def _take_rules(read: _Read, resource: Json, *, r5: bool, denied: Any) -> None:
    """Take in what a resource permits and denies."""
    stated = resource.get("provision", [])
    given = stated if isinstance(stated, list) else [stated]
    if r5:
        decision = resource.get("decision")
        read.base = {"deny": True, "permit": False}.get(str(decision))
        bounds = _bounds(resource, read.problems)
        if read.base is None and given:
            read.problems.append(Problem("decision", "is neither permit nor deny"))
        named = [(f"provision[{i}]", one) for i, one in enumerate(given)]
        read.rules, found = rules_of(named, base=read.base, negates=True, above=bounds)
        if read.base and not given:
            read.rules = [_denied(denied)]
    else:
        named = [("provision", one) for one in given]
        kind = given[0].get("type") if given else None
        read.base = {"deny": True, "permit": False}.get(str(kind))
        read.rules, found = rules_of(named, base=None, negates=False)
        if not given and "OPTOUT" in _policies(resource):
            read.rules = [Rule(deny=True)]
    read.problems += found
    if read.base and not read.rules:
        read.rules = [Rule(deny=True)]


def _bounds(resource: Json, problems: list[Problem]) -> Rule:
    """Return what R5's own period bounds all provisions by."""
    period = resource.get("period")
    if not isinstance(period, dict):
        return Rule(deny=False)
    found, odd = rules_of([("", {"period": period})], base=True, negates=True)
    problems += [Problem("period", one.why) for one in odd]
    return Rule(deny=False, start=found[0].start, until=found[0].until) if found else Rule(deny=False)


def _denied(text: Any) -> Rule:
    """Return a denial, narrowed as this program's own export says it was; broad when that can't be read."""
    try:
        parts = json.loads(str(text))
        return Rule(
            deny=True,
            said=said_of(parts["terms"].split(";")),
            modalities=_names(parts["modalities"]),
            partners=_names(parts["partners"]),
            until=date.fromisoformat(parts["until"]) if parts["until"] else None,
        )
    except (HuizhenError, ValueError, KeyError, TypeError, AttributeError):
        return Rule(deny=True)


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(";") if part.strip())


def _odd(resource: Json) -> list[Problem]:
    """Return what changes a resource's meaning in a way that isn't understood."""
    found = [Problem(name, "changes its meaning") for name in MODIFIERS if name in resource]
    found += [Problem(name, "isn't understood") for name in resource if name.startswith("_")]
    verified = resource.get("verification")
    if verified and not any(one.get("verified") is True for one in verified):
        found.append(Problem("verification", "says that it isn't verified"))
    return found


def _about_data(resource: Json, problems: list[Problem]) -> bool:
    """Whether a consent is about the use of data, and not, by codes of HL7's, about care alone."""
    scopes = codes_of(resource.get("scope"), SCOPE)
    categories = set[str]().union(*(codes_of(one, CATEGORY) for one in resource.get("category", [])))
    scoped = bool(scopes) and scopes <= ABOUT_ELSE
    if scoped or (categories and categories <= CARE_CATEGORIES):
        if not _denies(resource):
            return False
        problems.append(Problem("scope" if scoped else "category", "is about care, and something is denied"))
    elif "scope" in resource and not scopes & ABOUT_DATA:
        problems.append(Problem("scope", "is no scope that is known"))
    local = {code for one in resource.get("category", []) for _, code in map(code_of, one.get("coding", []))}
    if local & CARE_CATEGORIES - categories:
        problems.append(Problem("category", "is no category that is known"))
    return True


def _denies(resource: Json) -> bool:
    """Whether something may be denied in a resource: such a one is never passed over."""
    denied = '"type":"deny"' in canonical_json(resource.get("provision", [])).decode()
    exceptions = "subject" in resource and bool(resource.get("provision"))
    said = resource.get("decision") == "deny" or resource.get("status") == "rejected"
    return denied or exceptions or said or "OPTOUT" in _policies(resource)


def _extensions(resource: Json) -> dict[str, Any]:
    """Return this program's own extensions by URL."""
    found: dict[str, Any] = {}
    for one in resource.get("extension", []):
        values = [value for name, value in one.items() if name.startswith("value")]
        if one.get("url") in (VERSION, WITHDRAWN, WITHDRAWAL, DENIED) and len(values) == 1:
            found[str(one["url"])] = values[0]
    return found


def _day(found: Json, name: str, problems: list[Problem], *, last: bool = True) -> date | None:
    """Return the `last` day, or the first, that a date may mean; None where there is none."""
    if name not in found:
        return None
    try:
        return day_of(found[name], last=last)
    except ValueError:
        problems.append(Problem(name, "is no date"))
        return None


def _own_day(text: Any, problems: list[Problem]) -> date | None:
    """Return the first day that a withdrawal's may mean; one that isn't whole makes the resource a denial."""
    if text is None:
        return None
    found = _day({"withdrawn": text}, "withdrawn", problems, last=False) or UNKNOWN_DAY
    if found != _day({"withdrawn": text}, "withdrawn", []):
        problems.append(Problem("withdrawn", "is no date"))
    return found


def _choice(text: Any, problems: list[Problem]) -> Withdrawal:
    try:
        return Withdrawal.NO_NEW_USE if text is None else Withdrawal(str(text))
    except ValueError:
        problems.append(Problem("extension", "is no choice of a withdrawal"))
        return Withdrawal.RETRAIN


def _policies(resource: Json) -> set[str]:
    return {code for _, code in map(code_of, (resource.get("policyRule") or {}).get("coding", []))}


# --- rows of a patient ---


def _rows(reads: Sequence[_Read]) -> list[Consent]:
    """Return the rows of one patient: those in force as one version, ended ones where nothing else says."""
    live = [one for one in reads if one.live]
    numbers = [one.version for one in reads if one.version is not None]
    newest = max(numbers, default=1)
    permits = any(one.base is False for one in live)
    rows: list[Consent] = []
    for one in reads:
        if not one.live and live and one.withdrawn is None:
            continue  # it ended, and something else is in force
        rules = one.rules
        if one.problems or (permits and one.base and one.live):
            rules = [Rule(deny=True)]
        rows += _of(one, rules, version=newest if one.version is None else one.version)
    return rows


def _of(read: _Read, rules: Sequence[Rule], *, version: int) -> list[Consent]:
    """Return the rows of one resource: at least one, so that it stands before older versions."""
    unknown = UNKNOWN_DAY if read.live else read.updated or UNKNOWN_DAY
    given, first = read.given or unknown, read.first or unknown
    ended = read.withdrawn
    if ended is None and not read.live:
        ended = max(read.updated or first, first)
    rows: list[Consent] = []
    for rule in rules:
        begins = first if rule.deny else max(given, rule.start or given)
        if rule.until is not None and rule.until < begins:
            continue
        rows.append(
            Consent(
                patient=read.patient,
                version=version,
                given=begins,
                said=rule.said,
                deny=rule.deny,
                until=rule.until,
                modalities=rule.modalities,
                partners=rule.partners,
                withdrawn=None if ended is None else max(ended, begins),
                withdrawal=read.withdrawal,
            )
        )
    nothing = Consent(
        patient=read.patient, version=version, given=first, said=(), withdrawn=ended and max(ended, first)
    )
    return rows if rows and first == given else [*rows, nothing]


def _refused(found: Found, name: str, why: str) -> DataError:
    return DataError(
        why,
        remedy="correct the resource: it might be somebody's denial, so that nothing is read",
        file=found.file,
        field=f"{found.where}: {name}",
    )
