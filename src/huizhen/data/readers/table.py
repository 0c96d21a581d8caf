"""The table reader: one row of covariates a patient, from CSV or Parquet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Exclusion, ImageRecord
from huizhen.core.progress import Progress
from huizhen.core.study import Columns, Source, TableModality
from huizhen.data.readers.interface import SILENT, Located, Row, Scan
from huizhen.data.readers.labels import (
    distinct_outcomes,
    outcome_text,
    places_of_several,
    wanted_columns,
)
from huizhen.data.readers.tables import MISSING, Table, TableRow, plain_text, read_table
from huizhen.errors import DataError, InvalidInputError

__all__ = ["TableReader", "parse_cells"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReader:
    """Reads a table modality's columns. A table has no images."""

    source: Source
    place: Located
    modality: TableModality

    def scan(self, progress: Progress = SILENT) -> Scan:
        """Return each patient's row and outcomes.

        A number that is not finite, or no number, becomes None and an exclusion of unit "cell". A patient
        whose rows differ in a used column has no row and the exclusion duplicate_id. Raises `DataError` when
        a column is absent (the nearest is named) or no row with a patient is left, `UnreadableFileError` on a
        broken table.
        """
        table, columns = self._table()
        gathered = _Gathered(site=self.place.site, file=table.file)
        with progress.track(
            "ingest", len(table.rows), about=f"{self.place.site} {self.modality.name}"
        ) as advance:
            kept = table.kept(self.source.where)
            for row in kept:
                gathered.add(row, columns, self.modality)
                advance(1)
        if not gathered.lines:
            wrong, key = ("no row names a patient", "columns") if kept else ("no row is left", "where")
            raise DataError(
                wrong,
                remedy=f"check {key} against the table",
                field=f"site.source.{key}",
                file=table.file,
            )
        return gathered.scan(asked=columns.outcome is not None)

    def pixels(self, record: ImageRecord) -> NDArray[np.float32]:
        """Raise `InvalidInputError`: a table has no images."""
        self._refuse()

    def mask(self, record: ImageRecord) -> NDArray[np.bool_] | None:
        """Return None: a table has no images."""
        return None

    def spacing_mm(self, record: ImageRecord) -> tuple[float, float] | None:
        """Return None: a table has no images."""
        return None

    def dataset_path(self, record: ImageRecord) -> Path | None:
        """Return None: a table has no images."""
        return None

    def _table(self) -> tuple[Table, Columns]:
        """Return the table with every column that is used checked."""
        if self.source.columns is None:
            self._refuse()
        table = read_table(self.place.path, field="site.source.path", encoding=self.source.encoding)
        table.need(wanted_columns(self.source.columns), field="site.source.columns")
        table.need(self.modality.numeric, field=f"modality {self.modality.name} numeric")
        table.need(self.modality.categorical, field=f"modality {self.modality.name} categorical")
        return table, self.source.columns

    def _refuse(self) -> NoReturn:
        raise InvalidInputError(
            "a table source holds rows, not images",
            remedy="ask a reader of images",
            field="site.source.reader",
        )


class _Gathered:
    """Rows, outcomes and exclusions as a table is read."""

    def __init__(self, *, site: str, file: str) -> None:
        self.site, self.file = site, file
        self.rows: dict[str, Row] = {}
        self.lines: dict[str, int] = {}
        self.twice: dict[str, int] = {}
        self.told: list[tuple[str, str, str]] = []
        self.exclusions: list[Exclusion] = []

    def add(self, row: TableRow, columns: Columns, modality: TableModality) -> None:
        """Take in one row."""
        patient = plain_text(row.cells[columns.patient])
        if patient.lower() in MISSING:
            self.leave_out("patient", "missing_patient", row.line)
            return
        if columns.outcome is not None:
            outcome = outcome_text(row.cells[columns.outcome])
            self.told.append((patient, outcome, f"{self.file}:{row.line}"))
        parsed, odd = parse_cells(row, modality)
        if patient not in self.rows:
            self.rows[patient], self.lines[patient] = parsed, row.line
        elif self.rows[patient] != parsed:
            self.twice.setdefault(patient, row.line)
        for name in odd:
            self.leave_out("cell", "non_finite", row.line, f":{name}")

    def leave_out(self, unit: str, reason: str, line: int, column: str = "") -> None:
        """Count one exclusion, named by its line."""
        subject = f"{self.file}:{line}{column}"
        self.exclusions.append(Exclusion(unit=unit, reason=reason, site=self.site, subject=subject))

    def scan(self, *, asked: bool) -> Scan:
        """Return what was gathered; `asked` says that patients without an outcome count as unlabelled."""
        outcomes = distinct_outcomes(row[:2] for row in self.told)
        for patient, line in self.twice.items():
            self.leave_out("patient", "duplicate_id", line)
            del self.rows[patient]
        for patient, line in self.lines.items() if asked else ():
            if patient not in outcomes:
                self.leave_out("patient", "missing_label", line)
        rows = {patient: self.rows[patient] for patient in sorted(self.rows)}
        return Scan(
            rows=rows,
            outcomes=dict(sorted(outcomes.items())),
            contradicting=places_of_several(self.told),
            exclusions=tuple(self.exclusions),
        )


def parse_cells(row: TableRow, modality: TableModality) -> tuple[Row, tuple[str, ...]]:
    """Return a row's covariates, and the numeric columns whose cell is not a finite number.

    >>> age = TableModality(name="clinic", kind="table", numeric=("age", "size"), categorical=("side",))
    >>> cells = {"age": "41.5", "size": "inf", "side": "NA"}
    >>> parse_cells(TableRow(line=2, position=0, cells=cells), age)
    ({'age': 41.5, 'size': None, 'side': None}, ('size',))
    """
    missing = {plain_text(code) for code in modality.missing_codes} | {""}
    parsed: dict[str, float | str | None] = {}
    odd: list[str] = []
    for name in modality.numeric:
        text = plain_text(row.cells[name])
        parsed[name] = None if text in missing else _number(text)
        if text not in missing and parsed[name] is None:
            odd.append(name)
    for name in modality.categorical:
        text = plain_text(row.cells[name])
        parsed[name] = None if text in missing else text
    return parsed, tuple(odd)


def _number(text: str) -> float | None:
    """Return a finite number, or None."""
    try:
        value = float(text.replace("_", "x"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
