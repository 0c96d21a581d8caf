"""Splits by patient: who trains, tunes and tests, with linked patients together; and the leakage check."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case, Cohort, Part
from huizhen.core.digests import Digest
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.streams import stream, stream_seed
from huizhen.core.study import Role, Study
from huizhen.data.fingerprints import BITS, Fingerprint, as_codes, compare
from huizhen.data.flow import STAGE, is_phantom
from huizhen.data.linkage import Groups, images_by_modality
from huizhen.errors import DataError, LeakageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One division of the cohort: pseudonym -> part, for every case."""

    index: int
    parts: Mapping[str, Part]

    def members(self, part: Part) -> tuple[str, ...]:
        """Return the pseudonyms in `part`, in the cohort's order."""
        return tuple(name for name, at in self.parts.items() if at is part)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """Patients who can't be parted: one, or a linked group."""

    names: tuple[str, ...]
    site: str
    outcome: int
    labelled: bool
    """Whether all have an outcome; else nobody of them tunes or tests."""


def split_cohort(cohort: Cohort, study: Study, links: Groups = ()) -> tuple[Fold, ...]:
    """Return one fold (holdout), or `study.split.folds` in which each development patient is tested once.

    Patients are drawn systematically from a shuffled list sorted by outcome and site, so that every outcome
    at every site is divided within rounding. The draw depends on the study's seed and on who the patients
    are, not on the order of the cases nor on the pseudonyms. `links` are groups of pseudonyms that stay
    together. Cases at external sites are EXTERNAL in every fold, those without an outcome (and whom they are
    linked to) TRAIN.

    Raises `DataError` when a part of a fold lacks one of the two outcomes.
    """
    external = {site.name for site in study.site if site.role is Role.EXTERNAL}
    units = _units([case for case in cohort.cases if case.site not in external], links)
    units = [unit for unit in units if unit.labelled]
    if study.split.method == "holdout":
        tested = [_draw(units, study.split.test, study.seed, "test")]
        share = study.split.tune / (1 - study.split.test)
    else:
        tested = _deal(units, study.split.folds, study.seed, first=_first_fold(study))
        share = study.split.tune
    folds: list[Fold] = []
    for index, test in enumerate(tested):
        chosen = {name for unit in test for name in unit.names}
        rest = [unit for unit in units if not chosen.issuperset(unit.names)]
        tune = {name for unit in _draw(rest, share, study.seed, "tune", index) for name in unit.names}
        parts = {case.pseudonym: _part(case, external, chosen, tune) for case in cohort.cases}
        folds.append(Fold(index=index, parts=parts))
        if study.federation is None:  # over sites, no single one need have both outcomes in every part
            _check_classes(folds[-1], cohort.cases)
    return tuple(folds)


def check_leakage(
    cohort: Cohort, folds: Sequence[Fold], fingerprints: Mapping[Digest, Fingerprint], distance: int
) -> Evidence:
    """Return evidence (metric "leakage") that no patient and no image crosses a part in any of `folds`.

    Compares every pair of images of different patients within a modality, external ones too: identical
    content, the publisher's duplicate groups, and fingerprints within `distance` bits. The detail holds the
    images and pairs compared, and the smallest distance between two parts.

    Raises `LeakageError` on the first crossing, and when a case has no part or stands twice.
    """
    cases = cohort.cases
    _check_patients(cases, folds)
    where = _signatures(cases, folds)
    _check_shared(cases, where)
    images = pairs = 0
    nearest = BITS
    for name, members in images_by_modality(cases).items():
        patient = np.array([i for i, _ in members])
        codes = as_codes([fingerprints[record.digest] for _, record in members])
        closest, at = _closest_crossing(codes, where[patient])
        if closest <= distance:
            raise _crossing(
                f"nearly the same {name} image ({closest} bits apart)", [cases[patient[k]] for k in at]
            )
        nearest = min(nearest, closest)
        images += len(members)
        pairs += _pairs_of_different(patient)
    return Evidence(
        key="data/leakage",
        metric="leakage",
        stage=STAGE,
        n=len(cases),
        verdict=Verdict.PASS,
        reason="no patient, identical or nearly identical image stands in two parts of a fold",
        descriptive=True,
        phantom=is_phantom(cases),
        detail={
            "folds": len(folds),
            "images": images,
            "pairs_compared": pairs,
            "distance_limit": distance,
            "nearest_across_parts": nearest if nearest < BITS else None,
            "bits": BITS,
        },
    )


def _units(cases: Sequence[Case], links: Groups) -> list[_Unit]:
    """Return patients and groups, sorted by outcome, site, size and then patient: never by pseudonym."""
    by_name = {case.pseudonym: case for case in cases}
    group_of = {name: group for group in links for name in group if name in by_name}
    members: dict[tuple[str, ...], list[Case]] = defaultdict(list)
    for case in sorted(cases, key=lambda case: (case.site, case.patient_id)):
        members[group_of.get(case.pseudonym, (case.pseudonym,))].append(case)
    first = {group: (held[0].site, held[0].patient_id) for group, held in members.items()}
    units = {
        group: _Unit(
            names=tuple(case.pseudonym for case in held),
            site=held[0].site,
            outcome=int(held[0].outcome == 1),
            labelled=all(case.outcome is not None for case in held),
        )
        for group, held in members.items()
    }
    order = sorted(units, key=lambda g: (units[g].outcome, first[g][0], -len(g), first[g][1]))
    return [units[group] for group in order]


def _shuffled(units: Sequence[_Unit], seed: int, *names: str | int) -> list[_Unit]:
    """Return `units` shuffled within outcome, site and size, which stay sorted."""
    order = stream(seed, "split", *names).permutation(len(units))
    mixed = [units[i] for i in order]
    return sorted(mixed, key=lambda unit: (unit.outcome, unit.site, -len(unit.names)))


def _draw(units: Sequence[_Unit], share: float, seed: int, *names: str | int) -> list[_Unit]:
    """Return about `share` of `units`: of each outcome the rounded number, at least one, over all sites."""
    drawn: list[_Unit] = []
    for outcome in (0, 1):
        listed = [unit for unit in _shuffled(units, seed, *names) if unit.outcome == outcome]
        step = max(share, 1 / max(1, len(listed)))
        drawn += [unit for i, unit in enumerate(listed) if int((i + 1) * step + 0.5) > int(i * step + 0.5)]
    return drawn


def _deal(units: Sequence[_Unit], folds: int, seed: int, *, first: int) -> list[list[_Unit]]:
    """Return `units` dealt over `folds` like cards, so that every outcome and site is spread evenly.

    The first card goes to the fold `first`.
    """
    listed = _shuffled(units, seed, "test")
    return [listed[(fold - first) % folds :: folds] for fold in range(folds)]


def _first_fold(study: Study) -> int:
    """Return where a site begins to deal: each elsewhere, or small sites would all fill the first folds."""
    if study.federation is None:
        return 0
    return stream_seed(study.seed, "split", "first", *(site.name for site in study.site)) % study.split.folds


def _part(case: Case, external: set[str], test: set[str], tune: set[str]) -> Part:
    if case.site in external:
        return Part.EXTERNAL
    if case.pseudonym in test:
        return Part.TEST
    return Part.TUNE if case.pseudonym in tune else Part.TRAIN


def _check_classes(fold: Fold, cases: Iterable[Case]) -> None:
    found = Counter((fold.parts[case.pseudonym], case.outcome) for case in cases)
    for part in (Part.TRAIN, Part.TUNE, Part.TEST):
        if not (found[part, 0] and found[part, 1]):
            raise DataError(
                f"part {part.value} of fold {fold.index} has {found[part, 1]} positive and {found[part, 0]}"
                " negative patients; it needs both",
                remedy="use fewer folds or other shares, or add patients of the rarer outcome",
                field="split",
            )


def _check_patients(cases: Sequence[Case], folds: Sequence[Fold]) -> None:
    for what, count in (
        ("pseudonym", Counter(case.pseudonym for case in cases)),
        ("patient of one site", Counter((case.site, case.patient_id) for case in cases)),
    ):
        if twice := sum(n > 1 for n in count.values()):
            raise LeakageError(
                f"{twice} cases share a {what} with another case", remedy="build the cohort with intake"
            )
    for fold in folds:
        if absent := [case.pseudonym for case in cases if case.pseudonym not in fold.parts]:
            raise LeakageError(
                f"fold {fold.index} has no part for {absent[0]}", remedy="split the cohort that is checked"
            )


def _signatures(cases: Sequence[Case], folds: Sequence[Fold]) -> NDArray[np.int64]:
    """Return (n,) numbers: two cases have the same one if and only if no fold parts them."""
    known: dict[tuple[Part, ...], int] = {}
    parts = [tuple(fold.parts[case.pseudonym] for fold in folds) for case in cases]
    return np.array([known.setdefault(signature, len(known)) for signature in parts], dtype=np.int64)


def _check_shared(cases: Sequence[Case], where: NDArray[np.int64]) -> None:
    """Raise `LeakageError` when identical content or a publisher's group stands in two parts."""
    holder: dict[tuple[str, str], int] = {}
    for i, case in enumerate(cases):
        for record in (record for bag in case.images.values() for record in bag):
            for what, value in (
                ("the same image", record.digest),
                ("a duplicate group", record.duplicate_group),
            ):
                other = holder.setdefault((what, value), i) if value else i
                if where[other] != where[i]:
                    raise _crossing(what, [cases[other], case])


def _closest_crossing(codes: NDArray[np.uint64], where: NDArray[np.int64]) -> tuple[int, tuple[int, int]]:
    """Return the smallest distance between images that some fold parts, and the two images; else `BITS`."""
    closest, at = BITS, (0, 0)
    for row, column, distances in compare(codes):
        here, there = where[row : row + len(distances)], where[column : column + distances.shape[1]]
        apart = np.where(here[:, None] != there[None], distances.astype(np.int64), BITS)
        k = int(apart.argmin())
        if apart.flat[k] < closest:
            closest = int(apart.flat[k])
            at = (row + k // apart.shape[1], column + k % apart.shape[1])
    return closest, at


def _pairs_of_different(patient: NDArray[np.int64]) -> int:
    bags = np.bincount(patient)
    return int((len(patient) ** 2 - (bags**2).sum()) // 2)


def _crossing(what: str, cases: Sequence[Case]) -> LeakageError:
    one, other = cases
    return LeakageError(
        f"{what} stands in two parts: {one.pseudonym} at {one.site} and {other.pseudonym} at {other.site}",
        remedy="link these patients, or leave one of them out, before splitting",
    )
