"""The survey of one site: scan its sources, look at every image once, and gather what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Protocol

import huizhen
from huizhen.core.cohort import Exclusion, ImageRecord
from huizhen.core.digests import Digest, digest_bytes, digest_value
from huizhen.core.progress import Progress
from huizhen.core.study import AnyModality, ImageModality, Site, Source, Study
from huizhen.data.assembly import SiteFindings
from huizhen.data.cache import Cache
from huizhen.data.consent.barred import NOBODY, Barred
from huizhen.data.consent.screening import site_screening
from huizhen.data.fingerprints import Fingerprint
from huizhen.data.quality import inspect_images
from huizhen.data.readers.interface import Reader, Row, Scan
from huizhen.data.readers.keys import split_key
from huizhen.data.readers.persons import Person, are_several
from huizhen.errors import DataError


class OpenReader(Protocol):
    """`huizhen.data.readers.open.open_source`, or what stands in for it in a test."""

    def __call__(
        self, source: Source, *, roots: Sequence[Path], site: str, index: int, modality: AnyModality
    ) -> Reader:
        """Return the reader of one source."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one site's sources hold, the readers that give its pixels, and its images' fingerprints."""

    findings: SiteFindings
    readers: dict[tuple[str, int], Reader] = field(default_factory=dict)
    fingerprints: dict[Digest, Fingerprint] = field(default_factory=dict)


def survey_site(
    site: Site,
    study: Study,
    *,
    roots: Sequence[Path],
    cache: Cache,
    progress: Progress,
    open_reader: OpenReader,
    day: date,
    barred: Barred = NOBODY,
    asked: Study | None = None,
) -> Survey:
    """Return what is found at `site`, source by source; consents are held against `day`; `barred` withdrew.

    `asked`: the study over all its sites, as consents are asked, where `study` is this site's part of it.

    Raises `DataError` when an image is a phantom in a study that isn't declared one or the reverse, and what
    the readers and the cache raise.
    """
    survey = Survey(findings=SiteFindings(site=site.name))
    files = _Files()
    modalities = {modality.name: modality for modality in study.modality}
    scans: list[Scan] = []
    for index, source in enumerate(site.source):
        modality = modalities[source.modality]
        reader = open_reader(source, roots=roots, site=site.name, index=index, modality=modality)
        survey.readers[site.name, index] = reader
        scans.append(reader.scan(progress))
    survey.findings.several = _several_persons(scans)
    listed = _listing(site, scans)
    everybody = {patient for scan in scans for patient in _patients(scan)}
    survey.findings.screening = site_screening(
        site, asked or study, everybody, roots=roots, day=day, barred=barred
    )
    for index, (source, found) in enumerate(zip(site.source, scans, strict=True)):
        modality, reader = modalities[source.modality], survey.readers[site.name, index]
        scan = found if source.patients == "all" else _listed(found, listed, source)
        scan = _permitted(survey.findings, scan, modality.name)
        _refuse_phantoms(scan.images, study, site.name)
        files.note(source, scan)
        _take_texts(survey.findings, scan, modality)
        if isinstance(modality, ImageModality):
            survey.findings.body_parts.setdefault(modality.name, Counter()).update(scan.body_parts)
            one_person = _without_several(survey.findings, scan)
            _take_images(survey, one_person, source, modality, reader, cache, progress)
    unused = files.unused()
    survey.findings.found_images += len(unused)
    survey.findings.exclusions[:0] = [*unused, *files.rows.values()]
    return survey


def _listing(site: Site, scans: Sequence[Scan]) -> frozenset[str]:
    """Return the patients whom the site's sources with an outcome column list, with or without an outcome."""
    labelled = [
        scan
        for source, scan in zip(site.source, scans, strict=True)
        if source.patients == "all" and (scan.outcomes or (source.columns and source.columns.outcome))
    ]
    images = (record.patient_id for scan in labelled for record in scan.images)
    return frozenset(images).union(*(scan.outcomes for scan in labelled), *(scan.rows for scan in labelled))


def _several_persons(scans: Sequence[Scan]) -> frozenset[str]:
    """Return the patient ids under which the headers of the site's files name more than one person."""
    persons: dict[str, set[Person]] = {}
    for scan in scans:
        for patient, found in scan.persons.items():
            persons.setdefault(patient, set()).update(found)
    return frozenset(patient for patient, found in persons.items() if are_several(found))


def _patients(scan: Scan) -> set[str]:
    """Return everybody whom a scan knows something of."""
    return {record.patient_id for record in scan.images} | set(scan.rows) | set(scan.outcomes)


def _permitted(findings: SiteFindings, scan: Scan, modality: str) -> Scan:
    """Return a scan without what patients don't permit; where they permit some of it, the rest is counted."""
    screening = findings.screening
    if screening is None:
        return scan
    refused = screening.refused()
    findings.patients.update(_patients(scan))
    barred = [record for record in scan.images if not screening.allows(record.patient_id, modality)]
    rows = [patient for patient in scan.rows if not screening.allows(patient, modality)]
    findings.found_images += len(barred)
    findings.exclusions += [
        Exclusion(unit="image", reason="no_consent", site=findings.site, subject=record.key)
        for record in barred
        if record.patient_id not in refused
    ]
    findings.exclusions += [
        Exclusion(unit="row", reason="no_consent", site=findings.site, subject=f"{modality} row {k}")
        for k, patient in enumerate(rows, 1)
        if patient not in refused
    ]
    return replace(
        scan,
        images=tuple(one for one in scan.images if screening.allows(one.patient_id, modality)),
        rows={patient: row for patient, row in scan.rows.items() if screening.allows(patient, modality)},
        outcomes={patient: found for patient, found in scan.outcomes.items() if patient not in refused},
        contradicting={who: rows for who, rows in scan.contradicting.items() if who not in refused},
    )


def _without_several(findings: SiteFindings, scan: Scan) -> Scan:
    """Return a scan without the images of ids that several persons share; their files are left out."""
    shared = [record for record in scan.images if record.patient_id in findings.several]
    findings.exclusions += [
        Exclusion(unit="image", reason="several_persons", site=findings.site, subject=file)
        for file in dict.fromkeys(split_key(record.key)[0][0] for record in shared)
    ]
    kept = tuple(record for record in scan.images if record.patient_id not in findings.several)
    return replace(scan, images=kept)


def _listed(scan: Scan, listed: frozenset[str], source: Source) -> Scan:
    """Return the part of `scan` that is about the patients `listed` at the site.

    Raises `DataError` when nothing is: the tables would write the same patients differently.
    """
    kept = replace(
        scan,
        images=tuple(record for record in scan.images if record.patient_id in listed),
        rows={patient: row for patient, row in scan.rows.items() if patient in listed},
    )
    if not kept.images and not kept.rows:
        raise DataError(
            f"nobody in it is among the {len(listed)} patients whom the site lists",
            remedy="check that both tables write patients in the same way, or take this source out",
            field="site.source.patients",
            file=Path(source.labels or source.path).name,
        )
    return kept


@dataclass(slots=True)
class _Files:
    """Which files of a site some source takes, and which all of them leave out.

    Sources for MG, MR and US may share a folder: what is wrong for one of them is right for another, and a
    broken file is seen by all three but counts once. So does a row of a table that they share.
    """

    taken: set[tuple[str, str]] = field(default_factory=set)
    left_out: dict[tuple[str, str], Exclusion] = field(default_factory=dict)
    rows: dict[tuple[str, Exclusion], Exclusion] = field(default_factory=dict)

    def note(self, source: Source, scan: Scan) -> None:
        """Take down what a source takes and leaves out. A sharper reason beats wrong_modality.

        Whether a patient's label is missing is judged when all sources of the site are known, not here. What
        else a reader leaves out as a patient is a row of a table: the patient may still have images, or no
        name.
        """
        path, table = source.path, source.labels or source.path
        self.taken.update((path, file) for record in scan.images for file, _ in split_key(record.key))
        for one in scan.exclusions:
            if one.unit == "image":
                known = self.left_out.get((path, one.subject))
                if known is None or known.reason == "wrong_modality":
                    self.left_out[path, one.subject] = one
            elif one.reason != "missing_label":
                self.rows[table, one] = replace(one, unit="row") if one.unit == "patient" else one

    def unused(self) -> list[Exclusion]:
        """Return the exclusions of files that no source takes."""
        return [one for place, one in self.left_out.items() if place not in self.taken]


def _take_texts(findings: SiteFindings, scan: Scan, modality: AnyModality) -> None:
    """Take over patients, rows and outcomes."""
    findings.found_images += len(scan.images)
    findings.patients.update(record.patient_id for record in scan.images)
    findings.patients.update(scan.rows, scan.outcomes)
    for patient, texts in scan.outcomes.items():
        findings.outcomes[patient] = (*findings.outcomes.get(patient, ()), *texts)
    for patient, places in scan.contradicting.items():
        findings.contradicting.setdefault(patient, {}).update(dict.fromkeys(places))
    table = findings.rows.setdefault(modality.name, {})
    for patient, row in scan.rows.items():
        table[patient] = _merged(table.get(patient, {}), row, findings.tallies)


def _merged(held: Row, row: Row, tallies: Counter[str]) -> Row:
    """Return two rows of one patient as one: a column's first value stays, differing ones are counted."""
    merged = dict(held)
    for name, value in row.items():
        if merged.get(name) is None:
            merged[name] = value
        elif value is not None and value != merged[name]:
            tallies["conflicting_values"] += 1
    return merged


def _take_images(
    survey: Survey,
    scan: Scan,
    source: Source,
    modality: ImageModality,
    reader: Reader,
    cache: Cache,
    progress: Progress,
) -> None:
    site = survey.findings.site
    scope = digest_bytes((source.labels or source.path).encode())[:8]
    found = inspect_images(
        scan.images,
        reader,
        channels=modality.channels,
        settings=reading_settings(source),
        cache=cache,
        progress=progress,
        about=f"{site} {modality.name}",
    )
    for record, seen in zip(scan.images, found, strict=True):
        if seen.fingerprint is None:
            survey.findings.exclusions.append(
                Exclusion(unit="image", reason=seen.problem, site=site, subject=record.key)
            )
            continue
        survey.fingerprints[record.digest] = seen.fingerprint
        group = f"{scope}:{record.duplicate_group}" if record.duplicate_group else ""
        survey.findings.images.append(replace(record, duplicate_group=group))


def reading_settings(source: Source) -> Digest:
    """Return the digest of what decides the pixels read from a file, besides its content and the modality."""
    where_not_how = {"path", "labels", "columns", "where", "ids", "modality", "patients", "encoding"}
    return digest_value([huizhen.__version__, source.model_dump(mode="json", exclude=where_not_how)])


def _refuse_phantoms(images: Sequence[ImageRecord], study: Study, site: str) -> None:
    wrong = sum(record.phantom != study.phantom for record in images)
    if not wrong:
        return
    if study.phantom:
        message = (
            f"{wrong} images at site {site} are not marked as phantoms, but the study says phantom = true"
        )
        remedy = "use the folder that the phantom generator wrote, or declare phantom = false"
    else:
        message = f"{wrong} images at site {site} are phantoms, but the study doesn't say phantom = true"
        remedy = "declare phantom = true, or take the phantoms out: their results are never clinical"
    raise DataError(message, remedy=remedy, field="phantom")
