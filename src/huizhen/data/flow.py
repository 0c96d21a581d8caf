"""The flow diagram: how many patients and images came to each step, and why the others were left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from huizhen.core.cohort import Case, Cohort, Exclusion, Part
from huizhen.core.evidence import Evidence
from huizhen.errors import InvalidInputError

STAGE = "data"
STEPS = ("found", "readable", "labelled", "included")
CROSS_VALIDATION = "cross_validation"
ALLOCATIONS = (*("train", "tune", "test"), CROSS_VALIDATION, "external")
"""Where an included patient can be allocated to."""
TALLIES = (
    *("mixed_outcomes", "non_finite_values", "conflicting_values", "beyond_bag_limit"),
    *("linked_patients", "linked_groups", "largest_linked_group", "external_lookalikes"),
)
"""What is counted on the way though it excludes nobody; every report has a word for each."""


class Divided(Protocol):
    """A fold: who stands in which part."""

    @property
    def parts(self) -> Mapping[str, Part]:
        """Pseudonym -> part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How many patients and images of a site reached a step (one of `STEPS`)."""

    site: str
    step: str
    patients: int
    images: int

    @classmethod
    def count(cls, site: str, step: str, cases: Iterable[Case]) -> Step:
        """Return the step that `cases` reached."""
        reached = list(cases)
        images = sum(len(bag) for case in reached for bag in case.images.values())
        return cls(site=site, step=step, patients=len(reached), images=images)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionCount:
    """How many of `unit` (patient, image, row or cell) were left out of a site for one reason.

    The patients found less those left out are the patients included.
    """

    site: str
    unit: str
    reason: str
    count: int

    @classmethod
    def of(cls, exclusions: Iterable[Exclusion]) -> tuple[ExclusionCount, ...]:
        """Return the counts, in the order in which site, unit and reason first appear."""
        counts = Counter((one.site, one.unit, one.reason) for one in exclusions)
        return tuple(
            cls(site=site, unit=unit, reason=reason, count=n) for (site, unit, reason), n in counts.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Something counted on the way that excluded nobody, such as images beyond a bag's limit.

    `what` is one of `TALLIES`: mixed_outcomes (patients with positive and negative rows, taken as
    positive as the study says), non_finite_values (table values taken as missing), conflicting_values (cells
    in which two tables of one modality differ for a patient; the first stays), beyond_bag_limit (images),
    linked_patients
    (patients that share an image with another one and stay in one part), linked_groups, largest_linked_group,
    external_lookalikes (external patients who share an image with another external one). `site` is empty for
    what concerns the whole study. Raises `InvalidInputError` on another `what`.
    """

    site: str
    what: str
    count: int

    def __post_init__(self) -> None:
        if self.what not in TALLIES:
            raise InvalidInputError(
                f"nothing is counted as {self.what}",
                remedy="add it to TALLIES, and its words to the dossier",
            )

    @classmethod
    def of(cls, site: str, counts: Mapping[str, int]) -> tuple[Tally, ...]:
        """Return the tallies that are not zero, by name."""
        return tuple(cls(site=site, what=what, count=n) for what, n in sorted(counts.items()) if n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Per site the steps with their counts, the exclusions by reason, and what else was counted."""

    steps: tuple[Step, ...]
    exclusions: tuple[ExclusionCount, ...]
    tallies: tuple[Tally, ...] = ()

    def to_json(self) -> dict[str, list[dict[str, Any]]]:
        """Return plain JSON: steps, exclusions and tallies as lists of rows."""
        return {
            "steps": [
                {"site": s.site, "step": s.step, "patients": s.patients, "images": s.images}
                for s in self.steps
            ],
            "exclusions": [
                {"site": e.site, "unit": e.unit, "reason": e.reason, "count": e.count}
                for e in self.exclusions
            ],
            "tallies": [{"site": t.site, "what": t.what, "count": t.count} for t in self.tallies],
        }


def flow_evidence(flow: Flow, cohort: Cohort) -> list[Evidence]:
    """Return the flow diagram and the table of the cohort's sites as descriptive evidence.

    n is the included patients. No outcome is counted: this is entered before test outcomes are opened
    (`outcomes_evidence` comes after).
    """
    sites = [{k: v for k, v in row.items() if k != "positive"} for row in site_table(cohort)]
    return [
        Evidence(key="data/flow", metric="flow", detail=flow.to_json(), **_shared(cohort.cases)),
        Evidence(key="data/cohort", metric="cohort", detail={"sites": sites}, **_shared(cohort.cases)),
    ]


def _shared(cases: Sequence[Case]) -> dict[str, Any]:
    return {"stage": STAGE, "n": len(cases), "descriptive": True, "phantom": is_phantom(cases)}


def allocation_evidence(cohort: Cohort, folds: Sequence[Divided]) -> Evidence:
    """Return who was allocated to which part: patients by part and site, without outcomes.

    With several folds the development patients stand as "cross_validation": each is trained, tuned and tested
    on in turn.
    """
    counts = Counter((_part_of(case.pseudonym, folds), case.site) for case in cohort.cases)
    rows = [
        {"part": part, "site": site, "patients": counts[part, site]}
        for part in ALLOCATIONS
        for site in dict.fromkeys(case.site for case in cohort.cases)
        if counts[part, site]
    ]
    detail = {"parts": rows, "folds": len(folds)}
    return Evidence(key="data/allocation", metric="allocation", detail=detail, **_shared(cohort.cases))


def outcomes_evidence(cases: Sequence[Case], folds: Sequence[Divided]) -> Evidence:
    """Return how many events each part and site has. To be entered only after test outcomes are opened."""

    def row(chosen: Sequence[Case], **named: str) -> dict[str, Any]:
        known = [case for case in chosen if case.outcome is not None]
        return {**named, "patients": len(chosen), "positive": sum(case.outcome == 1 for case in known)}

    parts = {name: [c for c in cases if _part_of(c.pseudonym, folds) == name] for name in ALLOCATIONS}
    sites = dict.fromkeys(case.site for case in cases)
    detail = {
        "parts": [row(chosen, part=part) for part, chosen in parts.items() if chosen],
        "sites": [row([c for c in cases if c.site == site], site=site) for site in sites],
    }
    events = sum(case.outcome == 1 for case in cases)
    shared = _shared(cases)
    return Evidence(key="data/outcomes", metric="outcomes", detail=detail, n_events=events, **shared)


def _part_of(pseudonym: str, folds: Sequence[Divided]) -> str:
    """Return the name in `ALLOCATIONS` of where a case stands."""
    part = folds[0].parts[pseudonym]
    return CROSS_VALIDATION if len(folds) > 1 and part is not Part.EXTERNAL else part.value


def is_phantom(cases: Iterable[Case]) -> bool:
    """Tell whether any image is of a phantom."""
    return any(record.phantom for case in cases for bag in case.images.values() for record in bag)


def site_table(cohort: Cohort) -> list[dict[str, Any]]:
    """Return one row a site: patients, positive, modalities (patients, share, images), scanners (images).

    Sites and modalities come in the order of the cases.
    """
    sites = dict.fromkeys(case.site for case in cohort.cases)
    names = dict.fromkeys(name for case in cohort.cases for name in (*case.images, *case.covariates))
    return [_site_row(site, cohort.at([site]), tuple(names)) for site in sites]


def _site_row(site: str, cases: Sequence[Case], names: Sequence[str]) -> dict[str, Any]:
    records = [record for case in cases for bag in case.images.values() for record in bag]
    scanners = Counter(record.scanner for record in records if record.scanner)
    return {
        "site": site,
        "patients": len(cases),
        "positive": sum(case.outcome == 1 for case in cases),
        "modalities": [_modality_row(name, cases) for name in names],
        "scanners": [{"scanner": name, "images": n} for name, n in scanners.most_common()],
    }


def _modality_row(name: str, cases: Sequence[Case]) -> dict[str, Any]:
    patients = sum(name in case.modalities for case in cases)
    return {
        "modality": name,
        "patients": patients,
        "share": patients / len(cases),
        "images": sum(len(case.images.get(name, ())) for case in cases),
    }
