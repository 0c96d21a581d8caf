"""From what the readers found at one site to cases, one a patient: who is in, who is out, and why."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from huizhen.core.cohort import Case, Exclusion, ImageRecord
from huizhen.core.study import Role, Study, TableModality, Task
from huizhen.core.study_active import Annotator
from huizhen.data.consent.screening import Screening
from huizhen.data.flow import Step, Tally
from huizhen.data.readers.bags import evenly
from huizhen.data.readers.interface import Row
from huizhen.data.readers.keys import natural_order

Bags = Mapping[str, tuple[ImageRecord, ...]]
"""A patient's images by modality."""
Namer = Callable[[str], str]
"""From a patient_id to its pseudonym."""


@dataclass(slots=True, kw_only=True)
class SiteFindings:
    """All that a site's readers found, before it is judged. Filled source by source.

    `images` are those that passed quality control; `found_images` counts those that were there at all.
    `rows` maps modality -> patient -> row, `outcomes` patient -> outcome texts. `several` are the patient ids
    that more than one person has, `screening` what patients permit where the site keeps consents,
    `contradicting` the rows of patients with several outcomes, `body_parts` the images of each modality by
    Body Part Examined.
    """

    site: str
    images: list[ImageRecord] = field(default_factory=list)
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    outcomes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exclusions: list[Exclusion] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    found_images: int = 0
    tallies: Counter[str] = field(default_factory=Counter)
    several: frozenset[str] = frozenset()
    screening: Screening | None = None
    contradicting: dict[str, dict[str, None]] = field(default_factory=dict)
    body_parts: dict[str, Counter[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCases:
    """A site's labelled cases with something to predict from, and the way there."""

    cases: tuple[Case, ...]
    exclusions: tuple[Exclusion, ...]
    steps: tuple[Step, ...]
    tallies: tuple[Tally, ...]


def outcome_of(texts: Iterable[str], task: Task) -> int | str:
    """Return 1 or 0, or the reason why neither: missing_label, other_class, contradictory_outcomes.

    A patient of both outcomes is left out, or with `task.mixed_outcomes` positive: a row a lesion, of which
    one is enough.

    >>> task = Task(outcome="malignancy", positive=("malignant",), negative=("benign",))
    >>> [outcome_of(t, task) for t in (["benign", "malignant"], ["benign", "normal"], ["normal"], [" "])]
    ['contradictory_outcomes', 0, 'other_class', 'missing_label']
    >>> outcome_of(["1.0"], Task(outcome="pCR", positive=("1",), negative=("0",)))
    1
    """
    found = {text for text in map(_level, texts) if text}
    if not found:
        return "missing_label"
    if task.mixed_outcomes == "exclude" and _is_mixed(found, task):
        return "contradictory_outcomes"
    if found & set(map(_level, task.positive)):
        return 1
    return 0 if found & set(map(_level, task.negative)) else "other_class"


def assemble_site(findings: SiteFindings, study: Study, *, pseudonym: Namer) -> SiteCases:
    """Return the cases of one site and the count at each step; `pseudonym` maps a patient_id.

    Steps: found; readable (something usable is left); labelled (with an outcome of the task). Where readers
    will be asked for labels (`study.active`), cases without an outcome stay, and count as labelled.
    """
    site, tallies = findings.site, Counter(findings.tallies)
    readable, left_out = usable_cases(findings, study, pseudonym=pseudonym, tallies=tallies)
    labelled, unlabelled = _labelled(readable, findings.outcomes, study.task, tallies)
    waiting = {one.subject for one in unlabelled if _may_wait(study, one)}
    unlabelled = [one for one in unlabelled if one.subject not in waiting]
    open_ = [case for case in readable if case.pseudonym in waiting]
    return SiteCases(
        cases=tuple(sorted([*labelled, *open_], key=lambda case: case.patient_id)),
        exclusions=(*left_out, *unlabelled, *_contradictions(readable, unlabelled, findings)),
        steps=(
            Step(site=site, step="found", patients=len(findings.patients), images=findings.found_images),
            Step.count(site, "readable", readable),
            Step.count(site, "labelled", [*labelled, *open_]),
        ),
        tallies=Tally.of(site, tallies),
    )


def usable_cases(
    findings: SiteFindings, study: Study, *, pseudonym: Namer, tallies: Counter[str]
) -> tuple[list[Case], list[Exclusion]]:
    """Return the patients of one site of whom something usable is left, without outcomes, and what was not.

    Counts what excluded nobody in `tallies`.
    """
    images, copies = _without_copies(findings)
    rows = _usable_rows(findings.rows, study, tallies)
    readable, unusable = _with_data(findings, images, rows, pseudonym)
    return readable, [*findings.exclusions, *copies, *unusable]


def reading_order(record: ImageRecord) -> tuple[object, ...]:
    """Return the sort key of a bag: study, then source, then file and slice with numbers as numbers."""
    return (natural_order(record.study_id), record.source, natural_order(record.key))


def spread(records: Sequence[ImageRecord], most: int) -> tuple[ImageRecord, ...]:
    """Return at most `most` of `records`, evenly spaced, as readers choose slices of a volume."""
    return tuple(records[i] for i in evenly(len(records), most))


def _with_data(
    findings: SiteFindings,
    images: Mapping[str, Bags],
    rows: Mapping[str, Mapping[str, Row]],
    pseudonym: Namer,
) -> tuple[list[Case], list[Exclusion]]:
    """Return the patients of whom something usable is left, sorted, and the others' exclusions."""
    cases = [
        Case(
            pseudonym=pseudonym(patient),
            patient_id=patient,
            site=findings.site,
            outcome=None,
            images=images.get(patient, {}),
            covariates={name: table[patient] for name, table in rows.items() if patient in table},
        )
        for patient in sorted(findings.patients)
    ]
    refused = findings.screening.refused() if findings.screening else frozenset()
    barred = [_left_out(case, "no_consent") for case in cases if case.patient_id in refused]
    cases = [case for case in cases if case.patient_id not in refused]
    single = [case for case in cases if case.patient_id not in findings.several]
    unusable = [_left_out(case, "several_persons") for case in cases if case.patient_id in findings.several]
    unusable += [_left_out(case, "no_usable_data") for case in single if not case.modalities]
    return [case for case in single if case.modalities], barred + unusable


def _labelled(
    cases: Sequence[Case], outcomes: Mapping[str, tuple[str, ...]], task: Task, tallies: Counter[str]
) -> tuple[list[Case], list[Exclusion]]:
    """Return the cases with their outcome, and exclusions of those without one."""
    labelled: list[Case] = []
    unlabelled: list[Exclusion] = []
    for case in cases:
        texts = outcomes.get(case.patient_id, ())
        outcome = outcome_of(texts, task)
        if isinstance(outcome, str):
            unlabelled.append(_left_out(case, outcome))
        else:
            labelled.append(replace(case, outcome=outcome))
            tallies["mixed_outcomes"] += _is_mixed(texts, task)
    return labelled, unlabelled


def _contradictions(
    cases: Sequence[Case], left_out: Sequence[Exclusion], findings: SiteFindings
) -> list[Exclusion]:
    """Return the exclusions of the rows for which patients of both outcomes were left out."""
    mixed = {one.subject for one in left_out if one.reason == "contradictory_outcomes"}
    patients = [case.patient_id for case in cases if case.pseudonym in mixed]
    places = (place for patient in patients for place in findings.contradicting.get(patient, ()))
    return [
        Exclusion(unit="row", reason="contradictory_outcomes", site=findings.site, subject=place)
        for place in dict.fromkeys(places)
    ]


def _may_wait(study: Study, exclusion: Exclusion) -> bool:
    """Tell whether a patient without an outcome stays: at development sites whose readers are asked."""
    asks = study.active is not None and study.active.annotator is Annotator.QUEUE
    sites = {site.name for site in study.site if site.role is Role.DEVELOPMENT}
    return asks and exclusion.reason == "missing_label" and exclusion.site in sites


def _without_copies(findings: SiteFindings) -> tuple[dict[str, Bags], list[Exclusion]]:
    """Return patient -> modality -> bag in reading order, each content once, and what was dropped."""
    bags: dict[str, dict[str, dict[str, ImageRecord]]] = defaultdict(lambda: defaultdict(dict))
    copies: list[Exclusion] = []
    for record in sorted(findings.images, key=reading_order):
        bag = bags[record.patient_id][record.modality]
        if bag.setdefault(record.digest, record) is not record:
            copies.append(
                Exclusion(unit="image", reason="exact_duplicate", site=findings.site, subject=record.key)
            )
    return {p: {m: tuple(bag.values()) for m, bag in by.items()} for p, by in bags.items()}, copies


def _usable_rows(
    rows: Mapping[str, Mapping[str, Row]], study: Study, tallies: Counter[str]
) -> dict[str, dict[str, Row]]:
    """Return the rows with any value in a column that the study uses; infinite numbers become missing."""
    usable: dict[str, dict[str, Row]] = {}
    for modality in study.table_modalities:
        for patient, row in rows.get(modality.name, {}).items():
            values = {name: _finite(row.get(name), tallies) for name in _columns(modality)}
            if any(value is not None for value in values.values()):
                usable.setdefault(modality.name, {})[patient] = values
    return usable


def _finite(value: float | str | None, tallies: Counter[str]) -> float | str | None:
    if isinstance(value, float) and not math.isfinite(value):
        tallies["non_finite_values"] += not math.isnan(value)
        return None
    return value


def _columns(modality: TableModality) -> tuple[str, ...]:
    return (*modality.numeric, *modality.categorical)


def _is_mixed(texts: Iterable[str], task: Task) -> bool:
    found = set(map(_level, texts))
    return bool(found & set(map(_level, task.positive)) and found & set(map(_level, task.negative)))


def _left_out(case: Case, reason: str) -> Exclusion:
    return Exclusion(unit="patient", reason=reason, site=case.site, subject=case.pseudonym)


def _level(text: str) -> str:
    """Return an outcome's text as it is compared: trimmed, and 1.0 as 1."""
    text = text.strip()
    return text[:-2] if re.fullmatch(r"-?\d+\.0", text) else text
