"""What is odd in a consent register that can be read: overlaps, conflicts, versions and days out of order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import combinations, pairwise

from huizhen.data.consent.decide import AHEAD
from huizhen.data.consent.record import Consent
from huizhen.data.consent.register import Register

__all__ = ["Checked", "Oddity", "check_register"]


class Oddity(StrEnum):
    """What is odd in a patient's consents; none of it is an error, each decides something."""

    OVERLAP = "overlap"
    """Two permits of one version cover the same: which of them a study rests on can't be told."""
    CONFLICT = "conflict"
    """A version both permits and denies the same: the denial counts."""
    TWICE = "twice"
    """One row stands there more than once."""
    SPLIT = "split"
    """Rows of one version were given on different days."""
    ORDER = "order"
    """A higher version was given before a lower one: the higher one counts all the same."""
    AHEAD = "ahead"
    """Given, or withdrawn, on a day that is still to come: it doesn't hold yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How many patients and rows a register has, and how many patients each oddity is found of."""

    patients: int
    rows: int
    oddities: Mapping[Oddity, int]


def check_register(register: Register, day: date) -> Checked:
    """Return what is odd in `register` on `day`."""
    counts: Counter[Oddity] = Counter()
    for consents in register.consents.values():
        counts.update(set(_odd(consents, day)))
    rows = sum(len(consents) for consents in register.consents.values())
    found = {oddity: counts[oddity] for oddity in Oddity if counts[oddity]}
    return Checked(patients=len(register.consents), rows=rows, oddities=found)


def _odd(consents: Sequence[Consent], day: date) -> list[Oddity]:
    """Return what is odd in one patient's consents."""
    found: list[Oddity] = []
    by_version: dict[int, list[Consent]] = defaultdict(list)
    for one in consents:
        by_version[one.version].append(one)
    if len(set(consents)) < len(consents):
        found.append(Oddity.TWICE)
    for ones in by_version.values():
        if len({one.given for one in ones}) > 1:
            found.append(Oddity.SPLIT)
        for first, second in combinations(dict.fromkeys(ones), 2):
            if _same_data(first, second):
                found += [Oddity.CONFLICT] if first.deny != second.deny else []
                found += [Oddity.OVERLAP] if not first.deny and not second.deny else []
    earliest = [min(one.given for one in ones) for _, ones in sorted(by_version.items())]
    if any(later < earlier for earlier, later in pairwise(earliest)):
        found.append(Oddity.ORDER)
    if any(one.given > day + AHEAD * one.deny or (one.withdrawn or day) > day + AHEAD for one in consents):
        found.append(Oddity.AHEAD)
    return found


def _same_data(first: Consent, second: Consent) -> bool:
    """Whether two rows concern some of the same data, receivers, purposes and days."""
    terms = [{said for said in one.said if said.term.kind == "permission"} for one in (first, second)]
    meet = [
        _meet(first.modalities, second.modalities),
        _meet(first.partners, second.partners),
        _meet(frozenset(terms[0]), frozenset(terms[1])),
    ]
    apart = (first.until is not None and first.until < second.given) or (
        second.until is not None and second.until < first.given
    )
    return all(meet) and not apart


def _meet(first: frozenset[object], second: frozenset[object]) -> bool:
    """Whether two bounds leave something in common; an empty one is no bound."""
    return not first or not second or bool(first & second)
