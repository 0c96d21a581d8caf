"""Which row of an npz array belongs to which row of the labels table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from huizhen.core.cohort import Exclusion
from huizhen.data.readers.labels import Label, Labels
from huizhen.errors import DataError

__all__ = ["Pairing", "pair_by_id", "pair_in_order", "pair_without_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Array rows with their labels, and what has no counterpart."""

    pairs: tuple[tuple[int, Label], ...]
    exclusions: tuple[Exclusion, ...] = ()


def pair_without_table(count: int, ids: Sequence[str] | None) -> Pairing:
    """Return each array row as a patient of its own, named by its identifier or its number."""
    names = ids if ids is not None else [str(row) for row in range(count)]
    return Pairing(pairs=tuple((row, _own_label(row, name)) for row, name in enumerate(names)))


def pair_in_order(labels: Labels, count: int, *, file: str) -> Pairing:
    """Return the n-th row of the array with the n-th row of the table (`file`).

    Raises `DataError` when they differ in number.
    """
    if len(labels.rows) != count:
        raise DataError(
            f"the table has {len(labels.rows)} rows, the array {count}",
            remedy="give one row an image, or link them by ids and columns.image",
            field="site.source.labels",
            file=file,
        )
    return Pairing(pairs=tuple((label.position, label) for label in labels.kept))


def pair_by_id(labels: Labels, ids: Sequence[str], *, site: str, file: str) -> Pairing:
    """Return array rows with the table rows of the same identifier.

    Several table rows may name one image (a row a lesion), as long as they name one patient. Left out:
    identifiers that stand twice in the array or for two patients (duplicate_id), array rows that the table
    doesn't know (missing_label), table rows without an image (unreadable). `file` is the npz's name.
    """
    rows = {name: row for row, name in enumerate(ids)}
    in_array = Counter(ids)
    patients: dict[str, dict[str, None]] = {}
    for label in labels.kept:
        patients.setdefault(label.image, {})[label.patient] = None
    known = {label.image for label in labels.rows}

    def left_out() -> Iterator[Exclusion]:
        for row, name in enumerate(ids):
            if in_array[name] > 1:
                yield Exclusion(unit="image", reason="duplicate_id", site=site, subject=f"{file}#{row}")
            elif name not in known:
                yield Exclusion(unit="image", reason="missing_label", site=site, subject=f"{file}#{row}")
        for label in labels.kept:
            if not in_array[label.image]:
                yield Exclusion(unit="image", reason="unreadable", site=site, subject=label.place)
            elif len(patients[label.image]) > 1:
                yield Exclusion(unit="image", reason="duplicate_id", site=site, subject=label.place)

    first = {label.image: label for label in reversed(labels.kept)}
    fits = [name for name in patients if in_array[name] == len(patients[name]) == 1]
    return Pairing(pairs=tuple((rows[name], first[name]) for name in fits), exclusions=tuple(left_out()))


def _own_label(row: int, name: str) -> Label:
    """Return the label of an array row that no table describes."""
    return Label(
        patient=name, outcome="", image=name, view="", duplicate_group="", position=row, place="", kept=True
    )
