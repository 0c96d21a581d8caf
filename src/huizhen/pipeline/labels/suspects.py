"""What stays at the site: the ranked list of suspects, and the sheet for a second reading.

suspects.csv   the list, the most suspect label first, with the label and what it may be instead
review.csv     the same cases and a random sample of the others, shuffled, without labels: whoever reads again
               sees neither what was given nor which are suspect
review.json    which cases are which, so that the answers can be counted

All are for their owner alone (mode 0600) and hold case names: they never leave the site.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.files import private_folder, storage_error, write_json, write_text
from huizhen.core.streams import stream
from huizhen.core.table_cells import csv_text
from huizhen.errors import DataError
from huizhen.pipeline.labels.audit import FAMILY, LabelAudit

__all__ = ["CONTROLS", "LEAST", "REVIEW", "SHEET", "SUSPECTS", "Sheet", "read_sheet", "write_private"]

SUSPECTS = "suspects.csv"
SHEET = "review.csv"
REVIEW = "review.json"
LEAST = 20
"""Cases that are listed at least, though fewer are suspected."""
CONTROLS = 60
"""Cases that are not listed and are drawn at random beside: with none wrong, at most 6 % of them are."""
HEAD = ("rank", "case", "patient", "label", "likely", "p_label", "p_likely", "suspected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is to be read again: the listed cases, the controls, and every case's label as a class."""

    classes: tuple[str, ...]
    label: Mapping[str, str]
    listed: tuple[str, ...]
    controls: tuple[str, ...]
    name: str
    unit: str
    digest: str
    seed: int


def write_private(
    audit: LabelAudit, folder: Path, *, top: int | None = None, controls: int = CONTROLS
) -> Sheet:
    """Write the three files to `folder` and return what is to be read again.

    `top`: how many are listed, by default all suspected, at least `LEAST`. Raises `DataError` where the
    folder holds the sheet of another audit, `StorageError`.
    """
    given = audit.given
    count = min(len(given.case), max(LEAST, audit.suspects) if top is None else top)
    rest = audit.order[count:]
    draw = stream(audit.seed, FAMILY, "controls")
    drawn = draw.permutation(rest)[: min(controls, len(rest))]
    sheet = Sheet(
        classes=given.classes,
        label={case: given.classes[k] for case, k in zip(given.case, given.label, strict=True)},
        listed=tuple(given.case[k] for k in audit.order[:count]),
        controls=tuple(given.case[k] for k in drawn),
        name=given.name,
        unit=given.unit,
        digest=given.digest,
        seed=audit.seed,
    )
    _refuse_another(folder / REVIEW, sheet)
    try:
        private_folder(folder)
        os.chmod(folder, 0o700)
    except OSError as error:
        raise storage_error(folder, error) from error
    write_text(folder / SUSPECTS, csv_text([HEAD, *_rows(audit, count)]))
    shuffled = draw.permutation(np.array([*sheet.listed, *sheet.controls], dtype=object))
    if not ((folder / SHEET).exists() and (folder / REVIEW).exists()):  # a reader's answers may stand in it
        head = ("case", "decision", "comment")
        write_text(folder / SHEET, csv_text([head, *((one, "", "") for one in shuffled)]))
    write_json(folder / REVIEW, _json(sheet))
    return sheet


def _rows(audit: LabelAudit, count: int) -> list[tuple[object, ...]]:
    """Return the lines of the list."""
    given = audit.given
    return [
        (
            rank,
            given.case[k],
            given.patient[k],
            given.classes[given.label[k]],
            given.classes[audit.likely[k]],
            round(float(audit.belief[k, given.label[k]]), 4),
            round(float(audit.belief[k, audit.likely[k]]), 4),
            "yes" if audit.suspect[k] else "no",
        )
        for rank, k in enumerate(audit.order[:count].tolist(), 1)
    ]


def _json(sheet: Sheet) -> dict[str, Any]:
    return {
        "name": sheet.name,
        "unit": sheet.unit,
        "digest": sheet.digest,
        "seed": sheet.seed,
        "classes": list(sheet.classes),
        "label": dict(sheet.label),
        "listed": list(sheet.listed),
        "controls": list(sheet.controls),
    }


def _refuse_another(path: Path, sheet: Sheet) -> None:
    """Refuse to write over the sheet of another audit: somebody may be reading by it."""
    if path.exists() and _json(read_sheet(path.parent)) != _json(sheet):
        raise DataError(
            "holds the sheet of another audit, or of another number of suspects",
            remedy="give the same arguments, or another folder",
            file=str(path.parent),
        )


def read_sheet(folder: Path) -> Sheet:
    """Return the sheet that `write_private` wrote to `folder`. Raises `DataError` if there is none."""
    path = folder / REVIEW
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Sheet(
            classes=tuple(held["classes"]),
            label=dict(held["label"]),
            listed=tuple(held["listed"]),
            controls=tuple(held["controls"]),
            name=str(held["name"]),
            unit=str(held["unit"]),
            digest=str(held["digest"]),
            seed=int(held["seed"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "holds no sheet of an audit",
            remedy="run huizhen data audit-labels first, with the same --site or --out",
            file=str(path),
        ) from error
