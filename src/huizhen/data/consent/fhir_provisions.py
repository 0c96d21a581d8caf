"""Provisions of a FHIR Consent as rules: what is permitted or denied, of which data, to whom and how long.

R5's levels negate each other, from `decision` down; R4B's say `type`. What a rule says is merged with what
stands above it. What isn't understood narrows no denial and makes no permit: the whole resource then denies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from huizhen.data.consent.fhir_codes import (
    ACTION,
    ACTIONS,
    PARTICIPATION,
    REASON,
    RECIPIENTS,
    code_of,
    codes_of,
    modality_of,
    research_or_care,
    term_in,
)
from huizhen.data.consent.record import Said, said_of
from huizhen.errors import DataError, HuizhenError

__all__ = ["Problem", "Rule", "day_of", "name_of", "rules_of"]

MOST_LEVELS: Final = 12
MOST_RULES: Final = 2000
UNDERSTOOD: Final = frozenset({"type", "period", "actor", "action", "purpose", "code", "provision"})
PASSED_OVER: Final = frozenset({"id", "extension", "fhir_comments"})
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """An element that isn't understood: its path, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is permitted, or denied, from `start` to `until`; None and empty are no bound."""

    deny: bool
    said: tuple[Said, ...] = ()
    modalities: frozenset[str] = frozenset()
    partners: frozenset[str] = frozenset()
    start: date | None = None
    until: date | None = None
    void: bool = False
    """It covers nothing: what it was merged with excludes it."""


@dataclass(slots=True)
class _Walk:
    """What was found so far: rules and problems."""

    negates: bool
    """Whether levels negate each other (R5), instead of saying their type."""
    rules: list[Rule] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: int = 0


def rules_of(
    provisions: Iterable[tuple[str, Json]], *, base: bool | None, negates: bool, above: Rule | None = None
) -> tuple[list[Rule], list[Problem]]:
    """Return the rules of provisions, each with its path, and what isn't understood in them.

    `base`: whether the level above denies (True), permits (False) or says nothing. `negates`: as in R5.
    `above`: what the level above bounds. Raises `DataError` beyond `MOST_LEVELS` or `MOST_RULES`.
    """
    walk = _Walk(negates)
    for path, provision in provisions:
        _walk(walk, provision, path, base, above or Rule(deny=False), 1)
    return walk.rules, list(dict.fromkeys(walk.problems))


def _walk(walk: _Walk, found: Json, path: str, base: bool | None, above: Rule, level: int) -> None:
    """Take one provision in, and those below it."""
    walk.seen += 1
    if level > MOST_LEVELS or walk.seen > MOST_RULES:
        raise DataError(
            "has more provisions, or deeper ones, than a consent may",
            remedy="write the consent anew, in fewer provisions",
            field=path,
        )
    deny = _denies(walk, found, path, base)
    own, problems = _rule(found, path, deny=bool(deny))
    below = [(f"{path}.provision[{i}]", one) for i, one in enumerate(found.get("provision", []))]
    if deny:
        default = level == 1 and base is None and any(not _denies(walk, one, at, True) for at, one in below)
        walk.problems += problems if default else [one for one in problems if "odifier" in one.path]
        if not default:  # what is excepted from it stays denied: never more is permitted
            walk.rules += [] if own.void else [Rule(deny=True) if problems else own]
            return
    else:
        walk.problems += problems
        own = _merged(walk, above, own, path)
        walk.rules += [] if deny is None or own.void else [own]
    for at, one in below:
        _walk(walk, one, at, deny, own, level + 1)


def _denies(walk: _Walk, found: Json, path: str, base: bool | None) -> bool | None:
    """Return whether a provision denies; None where it says nothing (R4B's root)."""
    if walk.negates:
        return None if base is None else not base
    kind = found.get("type")
    if kind in ("permit", "deny"):
        return bool(kind == "deny")
    if kind is None and base is None and path.count("provision") == 1:
        return None
    walk.problems.append(Problem(f"{path}.type", "is neither permit nor deny"))
    return True


def _rule(found: Json, path: str, *, deny: bool) -> tuple[Rule, list[Problem]]:
    """Return what a provision says by itself, and what isn't understood of it."""
    problems = [
        Problem(f"{path}.{name}", "narrows it in a way that isn't understood")
        for name in sorted(set(found) - UNDERSTOOD - PASSED_OVER)
    ]
    said, modalities, concerns = _content(found, path, problems, deny=deny)
    partners = _partners(found.get("actor", []), path, problems)
    used = _used(found.get("action", []), path, problems)
    start, until = _period(found.get("period"), f"{path}.period", problems, deny=deny)
    void = not concerns if deny else not used
    rule = Rule(
        deny=deny,
        said=said,
        modalities=modalities,
        partners=partners,
        start=None if deny else start,
        until=until,
        void=void and not (deny and problems),
    )
    return rule, problems


def _content(
    found: Json, path: str, problems: list[Problem], *, deny: bool
) -> tuple[tuple[Said, ...], frozenset[str], bool]:
    """Return the terms of a provision's codes and purposes, its modalities, and if it concerns us."""
    said: list[Said] = []
    modalities: set[str] = set()
    for i, concept in enumerate(found.get("code", [])):
        place = f"{path}.code[{i}]"
        try:
            term = term_in(concept)
        except HuizhenError:  # whose message may repeat what stands there
            problems.append(Problem(place, "is a term whose value isn't clear"))
            continue
        modality = modality_of(concept)
        if term is not None:
            said.append(term)
        elif modality is not None:
            modalities.add(modality)
        else:
            problems.append(Problem(place, "is no term of DUO and no modality"))
    purposes = _purposes(found.get("purpose", []), path, said, problems, deny=deny)
    own = any(one.term.kind == "permission" for one in said)
    concerns = own or purposes is None or bool(purposes - {""})
    return _permissions(said, None if deny and own else purposes), frozenset(modalities), concerns


def _purposes(
    found: Iterable[Json], path: str, said: list[Said], problems: list[Problem], *, deny: bool
) -> set[str] | None:
    """Return what a provision is for, of research and care; None where it says nothing."""
    purposes: set[str] | None = None
    for i, coding in enumerate(found):
        system, code = code_of(coding)
        try:
            term = term_in({"coding": [coding]})
        except HuizhenError:
            term = None
        if term is not None:
            said.append(term)
            continue
        known = system.replace("https:", "http:") == REASON
        what = research_or_care(code, deny=deny) if known else None
        if what is None:
            problems.append(Problem(f"{path}.purpose[{i}]", "is a purpose that isn't known"))
        purposes = (purposes or set()) | {what or ""}
    return purposes


def _permissions(said: list[Said], purposes: set[str] | None) -> tuple[Said, ...]:
    """Return the terms, held to the purposes: a term permits research only where research is a purpose."""
    own = [one for one in said if one.term.kind == "permission"]
    rest = tuple(one for one in said if one.term.kind != "permission")
    if purposes is None:
        return tuple(said)
    if not own:
        named = [code for code, what in (("HMB", "research"), ("CC", "care")) if what in purposes]
        return (*said_of(named), *rest)
    kept: list[Said] = []
    for one in said:
        if one.term.code == "NRES" and not {"research", "care"} <= purposes:
            kept += said_of(
                [code for code, what in (("GRU", "research"), ("CC", "care")) if what in purposes]
            )
        elif one in rest or ("care" if one.term.code == "CC" else "research") in purposes:
            kept.append(one)
    return tuple(kept)


def _partners(actors: Iterable[Json], path: str, problems: list[Problem]) -> frozenset[str]:
    """Return to whom a provision's data may go."""
    names: set[str] = set()
    for i, actor in enumerate(actors):
        roles = codes_of(actor.get("role"), PARTICIPATION)
        name = name_of(actor.get("reference"))
        if not roles & RECIPIENTS or name is None:
            problems.append(Problem(f"{path}.actor[{i}]", "is no recipient (IRCP) with an identifier"))
        else:
            names.add(name)
    return frozenset(names)


def _used(actions: Iterable[Json], path: str, problems: list[Problem]) -> bool:
    """Return whether a provision's actions are any, or use among them."""
    codes: set[str] = set()
    for i, action in enumerate(actions):
        found = codes_of(action, ACTION)
        if not found or not found <= ACTIONS:
            problems.append(Problem(f"{path}.action[{i}]", "is an action that isn't known"))
        codes |= found
    return not codes or "use" in codes


def name_of(reference: Any) -> str | None:
    """Return whom a Reference names: by its identifier, or the last part of a relative or absolute URL.

    >>> name_of({"reference": "Organization/south"}), name_of({"display": "South"})
    ('south', None)
    """
    found = reference if isinstance(reference, dict) else {}
    identifier = found.get("identifier")
    if isinstance(identifier, dict) and str(identifier.get("value", "")).strip():
        return str(identifier["value"]).strip()
    parts = str(found.get("reference", "")).split("/_history/")[0].split("/")
    ok = len(parts) >= 2 and re.match(r"^[A-Za-z0-9\-.]{1,64}$", parts[-1])
    return parts[-1] if ok and not parts[0].startswith("#") else None


def _period(found: Any, path: str, problems: list[Problem], *, deny: bool) -> tuple[date | None, date | None]:
    """Return the days of a Period; a last day of which a part is meant is no permit's, and all a denial's."""
    period = found if isinstance(found, dict) else {}
    days: dict[str, date | None] = {}
    for name in ("start", "end"):
        try:
            days[name] = day_of(period[name], last=name == "end") if name in period else None
        except ValueError:
            days[name] = None
            problems.append(Problem(f"{path}.{name}", "is no date"))
    end = days["end"]
    if end is not None and "T" in str(period["end"]) and date.min < end < date.max:
        end += timedelta(days=1 if deny else -1)
    return days["start"], end


def day_of(text: Any, *, last: bool) -> date:
    """Return the first, or the `last`, day of a FHIR date or dateTime, which may be a year or a month.

    Raises `ValueError` on anything else.

    >>> day_of("2030", last=True), day_of("2024-02", last=True), day_of("2024-02-03T10:00:00Z", last=False)
    (datetime.date(2030, 12, 31), datetime.date(2024, 2, 29), datetime.date(2024, 2, 3))
    """
    parts = re.match(r"^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T.*)?)?)?$", str(text))
    if parts is None:
        raise ValueError("no date")
    year, month, day = (None if part is None else int(part) for part in parts.groups())
    if month is None or year is None:
        return date(int(str(text)), 12, 31) if last else date(int(str(text)), 1, 1)
    if day is None:
        after = date(year + month // 12, month % 12 + 1, 1)
        return after - timedelta(days=1) if last else date(year, month, 1)
    return date(year, month, day)


def _merged(walk: _Walk, above: Rule, own: Rule, path: str) -> Rule:
    """Return a permit bounded by what stands above it."""
    first = [one for one in above.said if one.term.kind == "permission"]
    second = [one for one in own.said if one.term.kind == "permission"]
    if (
        first
        and second
        and {(o.term.code, o.value) for o in first} != {(o.term.code, o.value) for o in second}
    ):
        walk.problems.append(Problem(path, "permits other purposes than the provision that it stands in"))
    said = tuple(dict.fromkeys((*above.said, *own.said)))
    modalities, none = _both(above.modalities, own.modalities)
    partners, nobody = _both(above.partners, own.partners)
    starts = [day for day in (above.start, own.start) if day is not None]
    ends = [day for day in (above.until, own.until) if day is not None]
    return Rule(
        deny=False,
        said=said,
        modalities=modalities,
        partners=partners,
        start=max(starts, default=None),
        until=min(ends, default=None),
        void=above.void or own.void or none or nobody,
    )


def _both(first: frozenset[str], second: frozenset[str]) -> tuple[frozenset[str], bool]:
    """Return what both bounds leave, empty being no bound, and whether that is nothing."""
    if not first or not second:
        return first | second, False
    return first & second, not first & second
