"""Patients who share an image: who must stay in one part, and who can't be kept.

Two patients are linked by an identical image, by nearly the same image (see `huizhen.data.fingerprints`), or
by a group of near-duplicates that the data's publisher names. Then:

- one development, one external: the external patient is left out, since the external set must be new;
- different outcomes: both are left out, since at least one label is wrong;
- two development patients: they are linked, and a split keeps linked patients together;
- two external patients: both stay, and they are counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from huizhen.core.cohort import Case, Exclusion, ImageRecord
from huizhen.core.digests import Digest
from huizhen.data.fingerprints import Fingerprint, as_codes, compare
from huizhen.data.flow import Tally
from huizhen.errors import DataError

Groups = tuple[tuple[str, ...], ...]
"""Pseudonyms of linked patients; each patient in at most one group, groups of two or more, all sorted."""

PAIRS_PER_PATIENT = 50
"""More lookalikes than this per patient mean that the fingerprint can't tell these images apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two patients (indices into the cases, first below second) and why they are linked.

    `reason`: exact_duplicate or near_duplicate (by fingerprint, or named by the publisher).
    """

    first: int
    second: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkage:
    """The cases that are kept, the groups that must stay together, and what was left out or counted."""

    cases: tuple[Case, ...]
    links: Groups
    exclusions: tuple[Exclusion, ...]
    tallies: tuple[Tally, ...]


def link_patients(
    cases: Sequence[Case],
    *,
    external: frozenset[str],
    fingerprints: Mapping[Digest, Fingerprint],
    distance: int,
) -> Linkage:
    """Return who is kept and linked among `cases`, each patient once; `external` names the external sites.

    Raises `DataError` when nearly all images look alike at this `distance`.
    """
    pairs = find_pairs(cases, fingerprints, distance)
    outside = [case.site in external for case in cases]
    left_out: dict[int, str] = {}
    for pair in pairs:
        if outside[pair.first] != outside[pair.second]:
            left_out.setdefault(pair.first if outside[pair.first] else pair.second, pair.reason)
    for pair in pairs:
        alike = outside[pair.first] == outside[pair.second]
        if alike and _contradict(cases[pair.first], cases[pair.second]):
            left_out.setdefault(pair.first, "conflicting_label")
            left_out.setdefault(pair.second, "conflicting_label")
    kept = [pair for pair in pairs if pair.first not in left_out and pair.second not in left_out]
    links = _groups(cases, [pair for pair in kept if not outside[pair.first]])
    return Linkage(
        cases=tuple(case for i, case in enumerate(cases) if i not in left_out),
        links=links,
        exclusions=tuple(
            Exclusion(unit="patient", reason=reason, site=cases[i].site, subject=cases[i].pseudonym)
            for i, reason in sorted(left_out.items())
        ),
        tallies=_tallies(cases, kept, links, external),
    )


def _contradict(one: Case, other: Case) -> bool:
    """Tell whether two cases have different outcomes; one who has none yet contradicts nobody."""
    return None not in (one.outcome, other.outcome) and one.outcome != other.outcome


def find_pairs(
    cases: Sequence[Case], fingerprints: Mapping[Digest, Fingerprint], distance: int
) -> list[Pair]:
    """Return the pairs of different patients that share an image, each once with its strongest reason.

    Raises `DataError` when nearly all images look alike.
    """
    found: dict[tuple[int, int], str] = {}
    for reason, pairs in (
        ("exact_duplicate", _sharing(cases, lambda record: record.digest)),
        ("near_duplicate", _sharing(cases, lambda record: record.duplicate_group)),
        ("near_duplicate", _near(cases, fingerprints, distance)),
    ):
        for pair in pairs:
            found.setdefault(pair, reason)
            if len(found) > PAIRS_PER_PATIENT * len(cases):
                raise _all_alike(distance)
    return [Pair(first=i, second=j, reason=reason) for (i, j), reason in sorted(found.items())]


def images_by_modality(cases: Sequence[Case]) -> dict[str, list[tuple[int, ImageRecord]]]:
    """Return each modality's images with the index of their case."""
    found: dict[str, list[tuple[int, ImageRecord]]] = defaultdict(list)
    for i, case in enumerate(cases):
        for name, bag in case.images.items():
            found[name].extend((i, record) for record in bag)
    return found


def _sharing(cases: Sequence[Case], value: Callable[[ImageRecord], str]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of cases that have an image with the same `value`, other than the empty one."""
    holders: dict[str, set[int]] = defaultdict(set)
    for images in images_by_modality(cases).values():
        for i, record in images:
            holders[value(record)].add(i)
    holders.pop("", None)
    for group in holders.values():
        yield from combinations(sorted(group), 2)


def _near(
    cases: Sequence[Case], fingerprints: Mapping[Digest, Fingerprint], distance: int
) -> Iterator[tuple[int, int]]:
    """Yield the pairs of cases with images of one modality within `distance` bits of each other."""
    for images in images_by_modality(cases).values():
        patient = np.array([i for i, _ in images])
        for row, column, distances in compare(as_codes([fingerprints[r.digest] for _, r in images])):
            hits = np.argwhere(distances <= distance)
            ends = np.stack([patient[row + hits[:, 0]], patient[column + hits[:, 1]]], axis=1)
            ends = np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1)
            yield from ((first, second) for first, second in np.unique(ends, axis=0).tolist())


def _groups(cases: Sequence[Case], pairs: Sequence[Pair]) -> Groups:
    """Return the connected groups of the patients in `pairs`."""
    leader: dict[int, int] = {}

    def find(i: int) -> int:
        while (above := leader.setdefault(i, i)) != i:
            leader[i] = leader[above]
            i = leader[i]
        return i

    for pair in pairs:
        leader[find(pair.second)] = find(pair.first)
    members: dict[int, list[str]] = defaultdict(list)
    for i in leader:
        members[find(i)].append(cases[i].pseudonym)
    return tuple(sorted(tuple(sorted(group)) for group in members.values()))


def _tallies(
    cases: Sequence[Case], kept: Sequence[Pair], links: Groups, external: frozenset[str]
) -> tuple[Tally, ...]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for i in {i for pair in kept for i in (pair.first, pair.second)}:
        site = cases[i].site
        counts[site]["external_lookalikes" if site in external else "linked_patients"] += 1
    if links:
        counts[""].update(linked_groups=len(links), largest_linked_group=max(map(len, links)))
    return tuple(tally for site in counts for tally in Tally.of(site, counts[site]))


def _all_alike(distance: int) -> DataError:
    return DataError(
        f"more than {PAIRS_PER_PATIENT} pairs per patient share an image or have images within"
        f" {distance} bits of each other: nearly all look alike",
        remedy="lower split.near_duplicate_distance, or check that the images are what they should be",
        field="split.near_duplicate_distance",
    )
