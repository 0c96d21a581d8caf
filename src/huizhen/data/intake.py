"""Intake: from a study's sources to its cohort, with a reason and a count for everything that is left out.

Site by site: scan, look at the pixels, make one case a patient. Then over all sites: nobody twice, nobody in
an external site who is also in development, patients who share an image linked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from huizhen.core.cohort import Case, Cohort, Exclusion, ImageRecord
from huizhen.core.digests import Digest
from huizhen.core.progress import Progress
from huizhen.core.study import Role, Study
from huizhen.data.assembly import SiteCases, assemble_site, spread
from huizhen.data.cache import Cache
from huizhen.data.consent.barred import NOBODY, Barred
from huizhen.data.consent.screening import Screening, today
from huizhen.data.fingerprints import Fingerprint
from huizhen.data.flow import ExclusionCount, Flow, Step, Tally
from huizhen.data.identity import keep_one_site, pseudonymiser
from huizhen.data.linkage import Groups, link_patients
from huizhen.data.readers.interface import Reader
from huizhen.data.survey import OpenReader, Survey, survey_site
from huizhen.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A study's cohort and what is needed to use it.

    `readers` give an image's pixels, by site and source index; `fingerprints` go by an image's digest;
    `links` are groups of pseudonyms that a split must keep together.
    """

    cohort: Cohort
    readers: Mapping[tuple[str, int], Reader]
    fingerprints: Mapping[Digest, Fingerprint]
    flow: Flow
    links: Groups
    body_parts: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    """The DICOM images found, by site, modality and Body Part Examined ("" where it is left out)."""
    screenings: tuple[Screening, ...] = ()
    """What the patients permit, of each site that keeps consents."""


def intake(
    study: Study,
    *,
    roots: Sequence[Path],
    pseudonym_secret: bytes,
    cache: Cache,
    progress: Progress,
    open_reader: OpenReader | None = None,
    day: date | None = None,
    barred: Barred = NOBODY,
    asked: Study | None = None,
) -> Intake:
    """Return the study's cohort from its sources, whose paths are looked for under `roots`.

    Cases come in the order of the study's sites, then of patient_id. A bag holds at most the modality's
    `max_images`, evenly spaced in reading order. Pseudonyms are "P-" and ten hexadecimal digits of
    HMAC-SHA256 under `pseudonym_secret`. `open_reader` stands in for `open_source` in tests. Consents are
    held against `day`, today by default; `barred` are those who withdrew, whatever a register says of it;
    `asked` is the study over all its sites, where `study` is one site's part of it.

    Raises `DataError` when phantom and real images don't fit `study.phantom`, when a patient is both at a
    development and at an external site, when a site has no case left, when all development patients have one
    outcome, and whatever the readers raise; `StorageError` from the cache.
    """
    opener = open_reader or _open_source()
    surveys: list[Survey] = []
    assembled: list[SiteCases] = []
    for site in study.site:
        survey = survey_site(
            site,
            study,
            roots=roots,
            cache=cache,
            progress=progress,
            open_reader=opener,
            day=day or today(),
            barred=barred,
            asked=asked,
        )
        surveys.append(survey)
        assembled.append(
            assemble_site(survey.findings, study, pseudonym=pseudonymiser(pseudonym_secret, site))
        )
    fingerprints = {digest: bits for survey in surveys for digest, bits in survey.fingerprints.items()}
    single, twice = keep_one_site([case for part in assembled for case in part.cases], study)
    linkage = link_patients(
        single,
        external=frozenset(site.name for site in study.site if site.role is Role.EXTERNAL),
        fingerprints=fingerprints,
        distance=study.split.near_duplicate_distance,
    )
    cases, beyond = _limit_bags(linkage.cases, study)
    exclusions = (*(one for part in assembled for one in part.exclusions), *twice, *linkage.exclusions)
    flow = _flow(study, assembled, cases, exclusions, (*linkage.tallies, *beyond))
    _refuse_empty(study, flow, exclusions)
    _refuse_one_class(study, cases)
    return Intake(
        cohort=Cohort(cases=cases, exclusions=exclusions),
        readers={key: reader for survey in surveys for key, reader in survey.readers.items()},
        fingerprints={record.digest: fingerprints[record.digest] for record in _records(cases)},
        flow=flow,
        links=linkage.links,
        body_parts={part.findings.site: part.findings.body_parts for part in surveys},
        screenings=tuple(part.findings.screening for part in surveys if part.findings.screening),
    )


def _open_source() -> OpenReader:
    from huizhen.data.readers.open import open_source

    return open_source


def _limit_bags(cases: Sequence[Case], study: Study) -> tuple[tuple[Case, ...], tuple[Tally, ...]]:
    """Return `cases` with at most `max_images` images a modality, and the images dropped by site."""
    most = {modality.name: modality.max_images for modality in study.image_modalities}
    dropped: Counter[str] = Counter()
    limited: list[Case] = []
    for case in cases:
        bags = {name: spread(bag, most[name]) for name, bag in case.images.items()}
        dropped[case.site] += sum(len(bag) - len(bags[name]) for name, bag in case.images.items())
        limited.append(replace(case, images=bags))
    return tuple(limited), tuple(
        tally for site, n in dropped.items() for tally in Tally.of(site, {"beyond_bag_limit": n})
    )


def _flow(
    study: Study,
    assembled: Sequence[SiteCases],
    cases: Sequence[Case],
    exclusions: Sequence[Exclusion],
    tallies: Sequence[Tally],
) -> Flow:
    included = Cohort(cases=tuple(cases))
    steps = [
        (*part.steps, Step.count(site.name, "included", included.at([site.name])))
        for site, part in zip(study.site, assembled, strict=True)
    ]
    return Flow(
        steps=tuple(step for of_site in steps for step in of_site),
        exclusions=ExclusionCount.of(exclusions),
        tallies=(*(tally for part in assembled for tally in part.tallies), *tallies),
    )


def _refuse_empty(study: Study, flow: Flow, exclusions: Sequence[Exclusion]) -> None:
    included = {step.site: step.patients for step in flow.steps if step.step == "included"}
    found = {step.site: step.patients for step in flow.steps if step.step == "found"}
    for site in study.site:
        if included[site.name]:
            continue
        why = ", ".join(_counted(e, exclusions) for e in flow.exclusions if e.site == site.name)
        raise DataError(
            f"no case is left of {found[site.name]} patients found; left out: {why or 'nothing'}",
            remedy="check the paths, `where` filters, label columns and task.positive / task.negative of this"
            " site (and, with two_sites, patient_ids), or take the site out of the study",
            field=f"site {site.name}",
            file=", ".join(dict.fromkeys(source.labels or source.path for source in site.source)),
        )


def _counted(count: ExclusionCount, exclusions: Sequence[Exclusion]) -> str:
    """Return a count with the first file or row of it, e.g. "3 image unreadable (mg/1.dcm, ...)"."""
    same = (count.site, count.unit, count.reason)
    places = [one.subject for one in exclusions if (one.site, one.unit, one.reason) == same]
    shown = f" ({places[0]}{', ...' if len(places) > 1 else ''})" if count.unit != "patient" else ""
    return f"{count.count} {count.unit} {count.reason}{shown}"


def _refuse_one_class(study: Study, cases: Iterable[Case]) -> None:
    if study.federation is not None:  # one site alone may have one outcome; the lead counts over all
        return
    development = {site.name for site in study.site if site.role is Role.DEVELOPMENT}
    found = Counter(case.outcome for case in cases if case.site in development)
    if not (found[0] and found[1]):
        raise DataError(
            f"all development patients have one outcome ({found[1]} positive, {found[0]} negative)",
            remedy="check task.positive and task.negative against the label column, or add a site with both",
            field="task",
        )


def _records(cases: Iterable[Case]) -> Iterable[ImageRecord]:
    return (record for case in cases for bag in case.images.values() for record in bag)
