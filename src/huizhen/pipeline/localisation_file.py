"""What each image's heatmap gave against its lesion, as CSV with pseudonyms: both games can be made again."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from huizhen.core.files import write_text
from huizhen.explain.localisation import LocalisationRow

LOCALISATION = "localisation.csv"
COLUMNS = ("patient", "cohort", "modality", "hit", "energy", "area_share")


def row_of(row: LocalisationRow, modality: str, cohort: str) -> dict[str, str]:
    """Return an image's line; numbers are exact to the last bit.

    >>> row = LocalisationRow(pseudonym="P-1", hit=True, energy=0.5, area_share=0.25)
    >>> row_of(row, "US", "internal")["hit"]
    '1'
    """
    return {
        "patient": row.pseudonym,
        "cohort": cohort,
        "modality": modality,
        "hit": str(int(row.hit)),
        "energy": repr(float(row.energy)),
        "area_share": repr(float(row.area_share)),
    }


def write_rows(path: Path, rows: Sequence[Mapping[str, str]], *, phantom: bool) -> None:
    """Write the lines of all images; without any, nothing is written. Of phantoms a column says so."""
    if not rows:
        return
    text = io.StringIO()
    names = (*COLUMNS[:1], *(["phantom"] if phantom else []), *COLUMNS[1:])
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **({"phantom": "1"} if phantom else {})} for row in rows)
    write_text(path, text.getvalue())
