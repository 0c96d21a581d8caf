"""Labels tables: which patient, outcome, view and near-duplicate group belong to an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from huizhen.core.cohort import Exclusion, ImageRecord
from huizhen.core.study import Columns, Source
from huizhen.data.readers.interface import Located
from huizhen.data.readers.keys import split_key
from huizhen.data.readers.tables import MISSING, TableRow, plain_text, read_table
from huizhen.errors import DataError

__all__ = [
    "Label",
    "Labels",
    "distinct_outcomes",
    "is_phantom",
    "places_of_several",
    "read_labels",
    "wanted_columns",
]

PHANTOM_PREFIX = "PHANTOM-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What one row of a labels table says. `place` is "labels.csv:17", fit for a report."""

    patient: str
    outcome: str
    """Empty when missing."""
    image: str
    """The cell of `columns.image`, or the patient where the source names no such column."""
    view: str
    duplicate_group: str
    position: int
    """From 0, counted before `where`."""
    place: str
    kept: bool
    """Whether `where` keeps the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels of a source; `rows` is empty for a source without a labels table."""

    rows: tuple[Label, ...] = ()
    asked: bool = False
    """Whether the table is there to give outcomes."""
    filtered: bool = False
    """Whether `where` chooses among the rows."""

    @property
    def kept(self) -> tuple[Label, ...]:
        """The rows that `where` keeps and that name a patient."""
        return tuple(row for row in self.rows if row.kept and row.patient)

    def outcomes(self) -> dict[str, tuple[str, ...]]:
        """Return each patient's distinct outcomes in the order found; patients without one are left out."""
        return distinct_outcomes((row.patient, row.outcome) for row in self.kept)

    def contradicting(self) -> dict[str, tuple[str, ...]]:
        """Return the rows of patients with more than one distinct outcome, by patient."""
        return places_of_several((row.patient, row.outcome, row.place) for row in self.kept)

    def by_patient(self) -> dict[str, Label]:
        """Return each kept patient's first row."""
        return {row.patient: row for row in reversed(self.kept)}

    def chosen_patients(self) -> frozenset[str] | None:
        """Return the patients that `where` leaves in, None when it leaves all in."""
        return frozenset(row.patient for row in self.kept) if self.filtered else None

    def nameless(self, site: str) -> Iterator[Exclusion]:
        """Yield an exclusion for each kept row without a patient id."""
        for row in self.rows:
            if row.kept and not row.patient:
                yield Exclusion(unit="patient", reason="missing_patient", site=site, subject=row.place)

    def unlabelled(self, images: Sequence[ImageRecord], site: str) -> Iterator[Exclusion]:
        """Yield an exclusion for each patient with images but no outcome, named by the first image's file."""
        known = self.outcomes() if self.asked else {}
        seen: set[str] = set()
        for image in images if self.asked else ():
            if image.patient_id not in known and image.patient_id not in seen:
                seen.add(image.patient_id)
                file = split_key(image.key)[0][0]
                yield Exclusion(unit="patient", reason="missing_label", site=site, subject=file)


def read_labels(source: Source, place: Located) -> Labels:
    """Return the labels of a source.

    Raises `DataError` when a column is absent, when `where` keeps no row, or when there is a `where` but no
    labels table, and `UnreadableFileError` when the table is broken.
    """
    if place.labels is None or source.columns is None:
        if source.where:
            raise DataError(
                "where chooses rows, but there is no labels table",
                remedy="name it in labels",
                field="site.source.where",
            )
        return Labels()
    table = read_table(place.labels, encoding=source.encoding)
    table.need(wanted_columns(source.columns), field="site.source.columns")
    kept = {row.position for row in table.kept(source.where)}
    if not kept:
        raise DataError(
            "no row has these values",
            remedy="check them against the table",
            field="site.source.where",
            file=table.file,
        )
    return Labels(
        rows=tuple(_label(row, source.columns, table.file, row.position in kept) for row in table.rows),
        asked=source.columns.outcome is not None,
        filtered=bool(source.where),
    )


def wanted_columns(columns: Columns) -> list[str]:
    """Return the columns that a source names."""
    return [str(name) for name in columns.model_dump().values() if name is not None]


def distinct_outcomes(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return patient -> distinct non-empty outcomes in the order found.

    >>> distinct_outcomes([("a", "1"), ("b", ""), ("a", "0"), ("a", "1")])
    {'a': ('1', '0')}
    """
    found: dict[str, dict[str, None]] = {}
    for patient, outcome in pairs:
        if outcome:
            found.setdefault(patient, {})[outcome] = None
    return {patient: tuple(outcomes) for patient, outcomes in found.items()}


def places_of_several(rows: Iterable[tuple[str, str, str]]) -> dict[str, tuple[str, ...]]:
    """Return patient -> places, of rows (patient, outcome, place), for those with several outcomes.

    >>> places_of_several([("a", "1", "t:2"), ("b", "0", "t:3"), ("a", "0", "t:4"), ("b", "", "t:5")])
    {'a': ('t:2', 't:4')}
    """
    told = [row for row in rows if row[1]]
    several = {patient for patient, found in distinct_outcomes(row[:2] for row in told).items() if found[1:]}
    places: dict[str, tuple[str, ...]] = {}
    for patient, _, place in told:
        if patient in several:
            places[patient] = (*places.get(patient, ()), place)
    return places


def is_phantom(patient: str) -> bool:
    """Tell whether a patient id is one that the phantom generator gives."""
    return patient.startswith(PHANTOM_PREFIX)


def outcome_text(cell: str) -> str:
    """Return an outcome cell's text, integers without ".0", "" when it is missing.

    >>> outcome_text("1.0"), outcome_text("NaN"), outcome_text(" benign ")
    ('1', '', 'benign')
    """
    text = plain_text(cell)
    return "" if text.lower() in MISSING else text


def _label(row: TableRow, columns: Columns, file: str, kept: bool) -> Label:
    """Return one row's label."""

    def cell(name: str | None, cells: Mapping[str, str] = row.cells) -> str:
        return cells[name] if name is not None else ""

    patient = plain_text(cell(columns.patient))
    return Label(
        patient="" if patient.lower() in MISSING else patient,
        outcome=outcome_text(cell(columns.outcome)),
        image=cell(columns.image) if columns.image is not None else patient,
        view=cell(columns.view),
        duplicate_group=cell(columns.duplicate_group),
        position=row.position,
        place=f"{file}:{row.line}",
        kept=kept,
    )
