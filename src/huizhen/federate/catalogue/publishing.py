"""A site's record made: its index renewed, what may be told of it asked at its own desk, signed.

An index is replaced only by one in which at least as many subjects differ as the policy's smallest count,
from each index that was ever answered from: else the answers of both would tell of these few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import digest_bytes
from huizhen.core.progress import Progress
from huizhen.data.catalogue.building import Sources, build_index
from huizhen.data.catalogue.criteria import ALL, Combined, Criterion, Operand, Query
from huizhen.data.catalogue.index import Index, open_index
from huizhen.data.catalogue.jsonld import record_bytes
from huizhen.data.catalogue.matching import match
from huizhen.data.catalogue.record import CATALOGUE, Catalogue, Facts, load_catalogue
from huizhen.errors import DataError, PolicyError
from huizhen.federate.catalogue.current import STATE, answered_from, make_current
from huizhen.federate.catalogue.desk import Desk
from huizhen.federate.site.folder import SiteFolder

__all__ = ["Published", "facts_of", "publish", "renew_index"]

OWN = "record"
"""Who asks when a site makes its own record."""
PATIENCE_S = 10.0
"""How long a publisher waits for whoever answers a question just now."""
NAMED = {"sex": "sexes", "modality": "modalities", "manufacturer": "manufacturers", "body_part": "body_parts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A signed record, whether the index before was kept because too few subjects differ, and whether counts
    of this index are told without noise.
    """

    data: bytes
    facts: Facts
    kept: bool
    exact: bool


def publish(site: SiteFolder, *, progress: Progress | None = None) -> Published:
    """Renew a site's index and return its signed record.

    Raises `DataError` when `catalogue.toml` is wrong or there is too little to tell, and what the desk does.
    """
    catalogue = load_catalogue(site.path / CATALOGUE)
    kept = renew_index(site, catalogue, progress=progress)
    with Desk.open(site, patience_s=PATIENCE_S) as desk:
        facts = facts_of(desk)
    data = record_bytes(site.name, catalogue.record, facts, site.key)
    return Published(data=data, facts=facts, kept=kept, exact=catalogue.disclosure.noise is None)


def renew_index(site: SiteFolder, catalogue: Catalogue, *, progress: Progress | None = None) -> bool:
    """Build the index and answer from it from now on; return True where the one before has to stay.

    Raises what `build_index` does, and `StorageError` when an index answered from is gone or damaged.
    """
    state, paths = site.path / STATE, catalogue.index
    sources = Sources(
        **{
            name: (site.path / given).resolve() if given else None
            for name, given in paths.model_dump().items()
        }
    )
    fresh = build_index(
        sources, state, secret=site.key.derive_secret("catalogue-patients"), progress=progress
    )
    former = [open_index(folder) for folder in answered_from(site.path)]
    few = catalogue.disclosure.smallest
    if former and any(one.digest != fresh.digest and changed(one, fresh) < few for one in former):
        return former[-1].digest != fresh.digest
    make_current(site.path, f"index-{fresh.source[:16]}")
    return False


def changed(one: Index, other: Index) -> int:
    """Return how many subjects are in one of two indices only, or said otherwise."""
    here, there = _profiles(one), _profiles(other)
    known = np.intersect1d(one.columns.person, other.columns.person)
    left = here[np.searchsorted(one.columns.person, known)]
    right = there[np.searchsorted(other.columns.person, known)]
    return one.subjects + other.subjects - 2 * len(known) + int(np.count_nonzero(left != right))


def _profiles(index: Index) -> NDArray[np.uint64]:
    """Return a number for each subject (p,) that says all that the index holds of them, in any order.

    Series are taken together by study first, so that how many studies there are, and whose series, counts.
    """
    columns = index.columns
    rows = [_words(index, name, getattr(columns, name)) for name in ("modality", "manufacturer", "body_part")]
    within = _summed(_mixed(rows), columns.study, index.studies)
    told = [getattr(columns, name).astype(np.uint64) for name in ("age", "year")]
    studies = _summed(_mixed([within, *told]), columns.subject, index.subjects)
    ill = [_words(index, "diagnosis", columns.diagnosis)]
    ill += [getattr(columns, f"diagnosis_{name}").astype(np.uint64) for name in ("age", "year")]
    diagnoses = _summed(_mixed(ill), columns.diagnosis_subject, index.subjects)
    return _mixed([studies, diagnoses, _words(index, "sex", columns.sex)])


def _words(index: Index, name: str, codes: NDArray[np.uint16]) -> NDArray[np.uint64]:
    hashes = [int(digest_bytes(word.encode())[:16], 16) for word in index.words[name]]
    return np.array(hashes, np.uint64)[codes]


def _mixed(parts: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return one number for each row (SplitMix64 over its parts)."""
    found = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        found = (found ^ part) + np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found ^= found >> np.uint64(31)
    return found


def _summed(values: NDArray[np.uint64], owner: NDArray[np.uint32], size: int) -> NDArray[np.uint64]:
    total = np.zeros(size, np.uint64)
    np.add.at(total, owner, values)
    return total


def facts_of(desk: Desk) -> Facts:
    """Return what a record says of the index: what the desk tells anybody.

    Raises `DataError` when too few subjects have anything in common to be named.
    """
    total = desk.answer(Query(tree=ALL), asker=OWN)
    if total.subjects is None or total.subjects.value is None:
        raise DataError(
            f"the index has fewer than {desk.policy.smallest} subjects",
            remedy="publish when there are more",
            field="index",
        )
    named = {field: _named(desk, key) for key, field in NAMED.items()}
    for field, values in named.items():
        if not values:
            raise DataError(
                f"no {field} are common enough to be named",
                remedy=f"have at least {desk.policy.smallest} subjects who share one",
                field=field,
            )
    studies = total.studies.value if total.studies is not None else None
    return Facts(
        subjects=total.subjects.value,
        studies=studies,
        smallest=desk.policy.smallest,
        rounding=desk.policy.rounding,
        **named,  # type: ignore[arg-type]  # four tuples
        **_ranges(desk),  # type: ignore[arg-type]  # four numbers
    )


def _named(desk: Desk, key: str) -> tuple[str, ...]:
    """Return the values of a key that enough subjects have, by name.

    Which these are is looked up first: noise alone would at times name what one subject has, and be paid for.
    """
    found = []
    for value in desk.index.words[key]:
        query = Query(tree=Combined(operand=Operand.AND, children=(Criterion(key=key, values=(value,)),)))
        if value and np.count_nonzero(match(desk.index, query).subjects) >= desk.policy.smallest:
            try:
                told = desk.answer(query, asker=OWN)
            except PolicyError:
                continue
            if told.subjects is not None and told.subjects.value is not None:
                found.append(value)
    return tuple(found)


def _ranges(desk: Desk) -> dict[str, int]:
    """Return between which ages and years the subjects are, in steps of five, the outermost few left out.

    Each subject counts once at either end, by the least and the most of their studies.
    """
    columns, found = desk.index.columns, {}
    for name, low, high in (("age", "least_age", "most_age"), ("year", "first_year", "last_year")):
        values = getattr(columns, name)
        least, most = _ends(values[values >= 0], columns.subject[values >= 0])
        few = desk.policy.smallest * 2
        if len(least) > 2 * few:
            found[low] = int(least[few]) // 5 * 5
            found[high] = int(most[-1 - few]) // 5 * 5 + 4
    return found


def _ends(
    values: NDArray[np.int16], subject: NDArray[np.uint32]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return the least and the most of each subject's values (s,), the subjects growing; both sorted."""
    starts = np.flatnonzero(np.diff(subject.astype(np.int64), prepend=-1))
    if not len(starts):
        return values, values
    return np.sort(np.minimum.reduceat(values, starts)), np.sort(np.maximum.reduceat(values, starts))
