"""One check of a study's data: everything that the report tells, gathered in one pass over the cohort."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huizhen.core.cohort import Case
from huizhen.core.progress import Progress
from huizhen.core.study import ReaderKind, Site, Source, Study
from huizhen.core.study_file import load_study, study_roots
from huizhen.data.cache import Cache
from huizhen.data.checks.columns import OddValue, odd_values
from huizhen.data.checks.dates import OddDate, odd_dates
from huizhen.data.checks.protocol import Protocol, protocol_of
from huizhen.data.consent.screening import today
from huizhen.data.flow import is_phantom
from huizhen.data.intake import Intake, intake
from huizhen.data.readers.paths import find_path
from huizhen.data.readers.tables import read_table
from huizhen.errors import StudyError
from huizhen.pipeline.checks.images import OddImages, measured
from huizhen.pipeline.checks.missing import Missing, missing_by_outcome, missing_of
from huizhen.pipeline.consent_lists import barred_at
from huizhen.pipeline.labels.study_risks import training_cases

if TYPE_CHECKING:
    from huizhen.federate.site.folder import SiteFolder

__all__ = ["Checked", "ColumnCheck", "DateCheck", "check_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCheck:
    """One numeric column at one site: its odd values, each with its case."""

    site: str
    modality: str
    column: str
    values: int
    odd: tuple[tuple[Case, OddValue], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DateCheck:
    """The dates of one table that can't be, each with its line."""

    site: str
    file: str
    rows: int
    odd: tuple[tuple[int, OddDate], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found in a study's data."""

    study: Study
    taken: Intake
    images: tuple[OddImages, ...]
    protocols: tuple[tuple[str, str, Protocol], ...]
    """(site, modality, protocol)."""
    columns: tuple[ColumnCheck, ...]
    dates: tuple[DateCheck, ...]
    missing: Missing
    by_outcome: tuple[dict[str, Any], ...]
    training: int
    """Patients whose outcomes the tests by outcome are over."""

    @property
    def phantom(self) -> bool:
        """Whether images are of phantoms."""
        return is_phantom(self.taken.cohort.cases)


def check_data(
    study_file: Path,
    *,
    site: SiteFolder | None,
    data_root: Path | None,
    cache: Path,
    progress: Progress,
    day: date | None = None,
    home: Path | None = None,
) -> Checked:
    """Return what is found in the data of a study, or with `site` in that site's part of it.

    Who withdrew is left out, by the site's list or that in `home`.

    Raises `StudyError` for a study of a table, or of a federation without `site`; and what intake raises.
    """
    whole = load_study(study_file)
    study, roots = _part(whole, study_file, site, data_root)
    held = Cache(cache)
    secret = secrets.token_bytes(32)
    taken = intake(
        study,
        roots=roots,
        pseudonym_secret=secret,
        cache=held,
        progress=progress,
        barred=barred_at(site, home),
        asked=whole,
    )
    cases = taken.cohort.cases
    images = [
        measured(cases, one.name, modality, taken.readers, held, progress)
        for one in study.site
        for modality in study.image_modalities
        if any(modality.name in case.images for case in cases if case.site == one.name)
    ]
    training = {case.pseudonym: int(case.outcome or 0) for case in _training(taken, study)}
    missing = missing_of(cases, study)
    return Checked(
        study=study,
        taken=taken,
        images=tuple(images),
        protocols=tuple((one.site, one.modality, _protocol(one, taken)) for one in images),
        columns=tuple(_columns(cases, study)),
        dates=tuple(_dates(study, roots, day or today())),
        missing=missing,
        by_outcome=tuple(missing_by_outcome(missing, training)),
        training=len(training),
    )


def _part(
    study: Study, file: Path, site: SiteFolder | None, data_root: Path | None
) -> tuple[Study, list[Path]]:
    """Return the study and where its data lies; with a site, the part of it that is that site's."""
    if study.is_given:
        raise StudyError(
            "has no data of its own: it judges a table",
            remedy="check the study that the model was made in, at its hospital",
            file=str(file),
        )
    if site is None and study.federation is not None:
        raise StudyError(
            "its sites keep their data to themselves",
            remedy="check the data at each hospital, with --site and its folder",
            field="federation",
            file=str(file),
        )
    if site is None:
        return study, study_roots(file, data_root)
    own = [one for one in study.site if one.name == site.name]
    if not own:
        raise StudyError(
            f"has no site {site.name}", remedy="name the study that this hospital is in", file=str(file)
        )
    return study.model_copy(update={"site": own}), [site.data, file.parent]


def _training(taken: Intake, study: Study) -> Sequence[Case]:
    """Return the training patients; nobody at a site that only tests."""
    if not any(one.role.value == "development" for one in study.site):
        return ()
    return training_cases(taken, study)


def _protocol(found: OddImages, taken: Intake) -> Protocol:
    """Return the protocol of a site's images of one modality, over all their sources."""
    shapes = {record.digest: shape for record, shape in zip(found.record, found.shape, strict=True)}
    whole = Protocol()
    for source in sorted({record.source for record in found.record}):
        records = [record for record in found.record if record.source == source]
        part = protocol_of(records, taken.readers[found.site, source], shapes)
        whole.images += part.images
        for name, values in part.items.items():
            whole.items.setdefault(name, type(values)()).update(values)
    return whole


def _columns(cases: Sequence[Case], study: Study) -> list[ColumnCheck]:
    """Return the numeric columns of each site, with their odd values."""
    found: list[ColumnCheck] = []
    for site in dict.fromkeys(case.site for case in cases):
        for table in study.table_modalities:
            here = [case for case in cases if case.site == site and table.name in case.covariates]
            for name in table.numeric:
                values = [
                    _number(case.covariates[table.name].get(name), table.missing_codes) for case in here
                ]
                odd = tuple((here[one.row], one) for one in odd_values(name, values))
                known = sum(value is not None for value in values)
                found.append(ColumnCheck(site=site, modality=table.name, column=name, values=known, odd=odd))
    return found


def _number(value: float | str | None, missing: Sequence[str]) -> float | None:
    """Return a cell as a number, None where it is missing or text (which encoding refuses by its column)."""
    if value is None or (isinstance(value, str) and value.strip() in missing):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _dates(study: Study, roots: Sequence[Path], day: date) -> list[DateCheck]:
    """Return the dates of each table source that can't be; a table that several sources share, once."""
    found: dict[tuple[str, str], DateCheck] = {}
    for site in study.site:
        for source in site.source:
            path = source.path if source.reader is ReaderKind.TABLE else source.labels
            if path is not None and (site.name, path) not in found:
                found[site.name, path] = _dates_of(site, source, path, roots, day)
    return list(found.values())


def _dates_of(site: Site, source: Source, path: str, roots: Sequence[Path], day: date) -> DateCheck:
    table = read_table(
        find_path(path, roots, field="site.source"), field="site.source", encoding=source.encoding
    )
    rows = table.kept(source.where)
    columns = {name: [row.cells[name] for row in rows] for name in table.columns}
    odd = tuple((rows[one.row].line, one) for one in odd_dates(columns, today=day))
    return DateCheck(site=site.name, file=table.file, rows=len(rows), odd=odd)
