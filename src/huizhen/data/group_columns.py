"""What the sites' labels tables say of patients in the columns of subgroups: no input of a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from huizhen.core.cohort import Case
from huizhen.core.study import ReaderKind, Site, Study
from huizhen.data.readers.paths import find_path
from huizhen.data.readers.tables import MISSING, TableRow, plain_text, read_table
from huizhen.errors import DataError

__all__ = ["with_groups"]

Told = dict[str, dict[str, set[str]]]
"""Column -> patient id -> what its rows say."""


def with_groups(
    study: Study, cases: Sequence[Case], roots: Sequence[Path], *, lenient: bool = False
) -> tuple[Case, ...]:
    """Return `cases` with `groups`: column of each subgroup -> what a labels table says of the patient.

    Empty cells count as saying nothing; a patient whose rows differ has no value. A scanner's column holds
    the scanners of the patient's images of that modality. Raises `DataError` when no table of a site has a
    column, unless `lenient`, where it says nothing of anybody then, and what reading a table raises.
    """
    columns = [one.column for one in study.subgroup if one.source == "table"]
    scanners = {one.column: one.modality for one in study.subgroup if one.source == "scanner"}
    if not columns and not scanners:
        return tuple(cases)
    codes = {m.name: set(m.missing_codes) for m in study.table_modalities}
    told = {site.name: _told(site, columns, codes, roots, lenient=lenient) for site in study.site}
    return tuple(
        replace(case, groups=_of_tables(case, told[case.site]) | _of_scanners(case, scanners))
        for case in cases
    )


def _of_tables(case: Case, told: Told) -> dict[str, str]:
    return {column: _single(of.get(case.patient_id, set())) for column, of in told.items()}


def _of_scanners(case: Case, scanners: Mapping[str, str]) -> dict[str, str]:
    """Return the patient's scanner by column; several count as one group of their own."""
    return {
        column: " + ".join(sorted({image.scanner for image in case.images.get(modality, ())} - {""}))
        for column, modality in scanners.items()
    }


def _single(values: set[str]) -> str:
    return next(iter(values)) if len(values) == 1 else ""


def _told(
    site: Site, columns: Sequence[str], codes: Mapping[str, set[str]], roots: Sequence[Path], *, lenient: bool
) -> Told:
    """Return what a site's tables say. Raises `DataError` for a column that none of them has."""
    told: Told = {}
    tables: list[str] = []
    for index, source in enumerate(site.source if columns else []):
        name = source.labels or (source.path if source.reader is ReaderKind.TABLE else None)
        if name is None or source.columns is None:
            continue
        path = find_path(name, roots, field=f"site {site.name} source {index + 1} labels")
        table = read_table(path, field="site.source.labels", encoding=source.encoding)
        tables.append(table.file)
        held = [column for column in columns if column in table.columns]
        table.need(held, field="subgroup.column")
        empty = MISSING | {code.lower() for code in codes.get(source.modality, ())}
        for column in held:
            of_column = told.setdefault(column, defaultdict(set))
            for row in table.kept(source.where):
                _take(of_column, row, source.columns.patient, column, empty)
    for column in columns:
        if column not in told and not lenient:
            raise DataError(
                f"no labels table of the site {site.name} has the column {column} of a subgroup",
                remedy="correct subgroup.column, or add the column to one of the site's tables",
                field="subgroup.column",
                file=", ".join(tables),
            )
    return told


def _take(
    of_column: dict[str, set[str]], row: TableRow, patients: str, column: str, empty: frozenset[str]
) -> None:
    """Add what a row says of its patient."""
    patient, value = plain_text(row.cells[patients]), plain_text(row.cells[column])
    if patient.lower() not in MISSING and value.lower() not in empty:
        of_column[patient].add(value)
