"""A table of labels to be audited: out-of-sample probabilities of each class, readings, or both.

Messages name columns, lines and counts, never a case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import Digest, digest_file
from huizhen.errors import DataError, InvalidInputError
from huizhen.pipeline.table_columns import (
    MISSING,
    Columns,
    header_of,
    numbers_of,
    read_columns,
    refuse_formulas,
)

__all__ = ["MOST_CLASSES", "AuditColumns", "AuditInput", "read_audit_table"]

NAMED = ("case", "id", "patient")
"""What a column that tells rows apart may be called."""

MOST_CLASSES = 50
PREFIXES = ("", "p_", "prob_", "probability_", "risk_")
"""How a class's column of probabilities may be called, before the class's name."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditColumns:
    """Which columns hold what. `probability`: class -> column; found by name where it is empty."""

    label: str = "label"
    case: str | None = None
    patient: str | None = None
    probability: Mapping[str, str] = field(default_factory=dict)
    readers: tuple[str, ...] = ()
    encoding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditInput:
    """n cases with a label each: `label` (n,) as places in `classes`, `probability` (n, K) of models that did
    not see the case, `read` (n, R) places in `classes`, -1 where a reader didn't read. What was left out is
    counted.
    """

    name: str
    unit: str
    case: tuple[str, ...]
    patient: tuple[str, ...]
    classes: tuple[str, ...]
    label: Ints
    probability: Floats | None
    read: Ints | None
    readers: tuple[str, ...]
    left_out: Mapping[str, int]
    digest: Digest
    origin: Mapping[str, object] = field(default_factory=dict)
    """How the probabilities were made, as far as it is known."""


def read_audit_table(path: Path, columns: AuditColumns) -> AuditInput:
    """Return the table at `path`. Cases without a label, or without a probability, are left out and counted.

    Raises `DataError` on an absent column, two rows of one case, a class without probabilities, a reader's
    answer that is no class, more than `MOST_CLASSES` classes, or neither probabilities nor readers;
    `UnreadableFileError` on a broken table.
    """
    held = header_of(path, encoding=columns.encoding)
    case = columns.case or next((name for name in NAMED if name in held), None)
    wanted = [columns.label, *([case] if case else []), *([columns.patient] if columns.patient else [])]
    wanted += [*columns.readers, *columns.probability.values()]
    table = read_columns(path, wanted, encoding=columns.encoding)
    refuse_formulas(table, [columns.label, *columns.readers])
    names = table.cells[case] if case else [str(line) for line in table.line]
    classes = _classes(table, columns)
    risks = _probabilities(path, table, held, columns, classes)
    if risks is None and not columns.readers:
        raise DataError(
            "no column holds probabilities of the classes, and no readers are named",
            remedy="name them with --probability CLASS=COLUMN, or the readers' columns with --reader",
            field=columns.label,
            file=table.file,
        )
    label = _codes(table, columns.label, classes)
    keep, left = _kept(table, names, label, risks)
    _check_cases(table, replace(columns, case=case), [names[k] for k in keep])
    patients = table.cells[columns.patient] if columns.patient else names
    read = [_codes(table, reader, classes)[keep] for reader in columns.readers]
    return AuditInput(
        name=path.stem,
        unit="row",
        case=tuple(names[k] for k in keep),
        patient=tuple(patients[k] or names[k] for k in keep),
        classes=classes,
        label=label[keep],
        probability=None if risks is None else risks[keep],
        read=np.column_stack(read).astype(np.int64) if read else None,
        readers=columns.readers,
        left_out=left,
        digest=digest_file(path),
        origin={"kind": "table", "columns": len(held)},
    )


def _classes(table: Columns, columns: AuditColumns) -> tuple[str, ...]:
    """Return the classes: those that probabilities are named for, then the labels that are no others."""
    found = {cell for cell in table.cells[columns.label] if cell.lower() not in MISSING}
    named = dict.fromkeys(columns.probability)
    if len(columns.probability) > 1 and (other := found - set(named)):
        raise DataError(
            f"{len(other)} classes of the labels have no probability",
            remedy="name a column for each with --probability CLASS=COLUMN",
            field=columns.label,
            file=table.file,
        )
    classes = (*named, *sorted(found - set(named))) if len(named) < 2 else tuple(named)
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise DataError(
            f"{len(classes)} different labels; an audit takes 2 to {MOST_CLASSES}",
            remedy="name the column of the labels with --label",
            field=columns.label,
            file=table.file,
        )
    return tuple(sorted(classes)) if len(named) < 2 else classes


def _probabilities(
    path: Path, table: Columns, held: Sequence[str], columns: AuditColumns, classes: tuple[str, ...]
) -> Floats | None:
    """Return each case's probability of each class (n, K), NaN where it has none; None without columns."""
    chosen = dict(columns.probability) or _by_name(held, classes)
    if not chosen:
        return None
    if unknown := [name for name in chosen if name not in classes]:
        raise InvalidInputError(
            f"{len(unknown)} of the classes named are none of the labels",
            remedy="write --probability CLASS=COLUMN with the labels as the table has them",
            field="--probability",
        )
    more = read_columns(path, chosen.values(), encoding=columns.encoding)
    found = {name: numbers_of(more, column) for name, column in chosen.items()}
    if len(found) == 1 and len(classes) == 2:
        ((name, risk),) = found.items()
        found[next(one for one in classes if one != name)] = 1 - risk
    if absent := [name for name in classes if name not in found]:
        raise DataError(
            f"{len(absent)} of {len(classes)} classes have no column of probabilities",
            remedy="name one for each with --probability CLASS=COLUMN",
            field=columns.label,
            file=table.file,
        )
    return np.column_stack([found[name] for name in classes])


def _by_name(held: Sequence[str], classes: tuple[str, ...]) -> dict[str, str]:
    """Return the columns that are called after classes."""
    named = {name: [f"{prefix}{name}" for prefix in PREFIXES] for name in classes}
    found = {name: next((one for one in forms if one in held), None) for name, forms in named.items()}
    return {name: column for name, column in found.items() if column is not None}


def _codes(table: Columns, column: str, classes: tuple[str, ...]) -> Ints:
    """Return a column's classes (n,) as places, -1 where it is empty. Raises `DataError` on another value."""
    place = {name: k for k, name in enumerate(classes)}
    count, line = table.first(column, lambda cell: cell.lower() not in MISSING and cell not in place)
    if count:
        raise DataError(
            f"{count} cells are no class, the first on line {line}; classes are {', '.join(classes)}",
            remedy="write the classes as the labels do, and leave the cell empty where nobody read",
            field=column,
            file=table.file,
        )
    return np.array([place.get(cell, -1) for cell in table.cells[column]], dtype=np.int64)


def _kept(
    table: Columns, names: Sequence[str], label: Ints, risks: Floats | None
) -> tuple[list[int], dict[str, int]]:
    """Return the rows that count, and how many don't for which reason."""
    nameless = np.array([name.lower() in MISSING for name in names])
    unlabelled = ~nameless & (label < 0)
    unanswered = np.zeros(len(label), dtype=np.bool_)
    if risks is not None:
        unanswered = ~nameless & ~unlabelled & np.isnan(risks).any(axis=1)
    keep = np.flatnonzero(~nameless & ~unlabelled & ~unanswered)
    if not keep.size:
        raise DataError(
            "no row has a case, a label and a probability of each class",
            remedy="check the columns that were named",
            file=table.file,
        )
    counts = {"missing_case": nameless, "missing_label": unlabelled, "no_probability": unanswered}
    return keep.tolist(), {why: int(rows.sum()) for why, rows in counts.items() if rows.any()}


def _check_cases(table: Columns, columns: AuditColumns, names: Sequence[str]) -> None:
    """Raise `DataError` when a case stands twice."""
    repeated = sum(n > 1 for n in Counter(names).values())
    if repeated:
        raise DataError(
            f"{repeated} cases stand in several rows",
            remedy="name the column that tells rows apart with --case, and the patient's with --patient",
            field=columns.case,
            file=table.file,
        )
