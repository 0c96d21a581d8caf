"""What the headers of a study's DICOM folders say against its sources: the modality, and the patients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huizhen.cli.dicom_choice import match_ids, refuse_strangers
from huizhen.core.dicom_modality import wanted_modality
from huizhen.core.study import ReaderKind, Source, Study
from huizhen.core.study_sources import find_path
from huizhen.core.study_wording import Problem
from huizhen.core.table_text import rows_of
from huizhen.errors import DataError, HuizhenError

__all__ = ["check_headers"]

Findings = tuple[list[Problem], list[Problem]]
"""Problems, and what should be known though it stops no run."""


def check_headers(study: Study, roots: Sequence[Path]) -> Findings:
    """Return what is wrong between a study's DICOM sources and the headers of the files under `roots`."""
    problems: list[Problem] = []
    notes: list[Problem] = []
    for i, site in enumerate(study.site):
        for j, source in enumerate(site.source):
            path = find_path(source.path, roots)
            if source.reader is ReaderKind.DICOM and path is not None and path.is_dir():
                wrong, odd = _check_source(f"site[{i}].source[{j}]", source, path, roots)
                problems += wrong
                notes += odd
    return problems, notes


def _check_source(field: str, source: Source, path: Path, roots: Sequence[Path]) -> Findings:
    """Return the problems and notes of one DICOM source."""
    from huizhen.data.readers.dicom_kinds import count_headers
    from huizhen.data.readers.paths import list_files

    try:
        headers = count_headers(path, list_files(path)[0])
    except HuizhenError as error:
        return [Problem(field=f"{field}.path", reason=error.message, remedy=error.remedy)], []
    wanted = wanted_modality(source)
    if wanted is not None and wanted not in headers.modalities:
        problem = Problem(
            field=f"{field}.dicom_modality",
            reason=f"the folder holds no image of DICOM modality {wanted}; it holds {headers or 'none'}",
            remedy="correct dicom_modality or path",
        )
        return [problem], []
    known = headers.patients.get(wanted, frozenset()) if wanted else headers.all_patients
    return _check_ids(f"{field}.columns.patient", source, known, roots)


def _check_ids(field: str, source: Source, known: frozenset[str], roots: Sequence[Path]) -> Findings:
    """Return the problem or note of a table whose patients aren't those of the headers."""
    from huizhen.data.readers.tables import plain_text

    table = find_path(source.labels, roots) if source.labels else None
    if table is None or not table.is_file() or source.columns is None or source.where:
        return [], []
    column = source.columns.patient
    try:
        rows = list(rows_of(table, [column], encoding=source.encoding))
        match = match_ids((plain_text(row[column]) for row in rows), known)
        refuse_strangers(match, file=table.name)
    except DataError as error:
        return [Problem(field=field, reason=error.message, remedy=error.remedy)], []
    except HuizhenError:
        return [], []
    if not match.is_poor:
        return [], []
    note = Problem(
        field=field,
        reason=f"only {match.matched} of {match.ids} patient ids match a Patient ID in the headers"
        f" (9 for a digit, A for a letter: table {match.table}, headers {match.headers})",
        remedy="compare both; leading zeros may be lost",
    )
    return [], [note]
