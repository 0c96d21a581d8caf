"""What site classifiers said of each tested patient: a table that figures on harmonisation follow from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json, write_text
from huizhen.core.study import Study
from huizhen.validate.assessments.harmonisation import Telling, site_told_around

__all__ = ["read_tellings", "told_again", "write_tellings"]

NAME = "site_telling"
SCORE = "score:"
FIXED = ("modality", "showing", "patient", "site")


def write_tellings(folder: Path, tellings: Mapping[str, Telling], *, phantom: bool) -> None:
    """Write what was said by modality into `folder`, a row for each patient and showing; notes beside."""
    names = sorted({name for telling in tellings.values() for name in telling.scores})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    marks = ["1"] if phantom else []
    writer.writerow([*FIXED, *(["phantom"] if phantom else []), *(f"{SCORE}{name}" for name in names)])
    for modality, telling in tellings.items():
        shown = max((len(scores) for scores in telling.scores.values()), default=1)
        for showing in range(shown):
            for row, (patient, site) in enumerate(zip(telling.patient, telling.site, strict=True)):
                cells = [_cell(telling.scores.get(name), showing, row) for name in names]
                writer.writerow([modality, showing, patient, site, *marks, *cells])
    write_text(folder / f"{NAME}.csv", text.getvalue())
    notes = {name: {"features": dict(t.features), "refused": dict(t.refused)} for name, t in tellings.items()}
    write_json(folder / f"{NAME}.json", notes)


def _cell(scores: NDArray[np.float64] | None, showing: int, row: int) -> str:
    """Return a score, exact to the last bit; nothing where there is none."""
    said = np.nan if scores is None else float(scores[showing, row])
    return "" if np.isnan(said) else repr(float(said))


def read_tellings(folder: Path) -> dict[str, Telling]:
    """Return what `write_tellings` wrote into `folder`; nothing where it wrote none."""
    if not (folder / f"{NAME}.csv").exists():
        return {}
    with (folder / f"{NAME}.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    notes: dict[str, Any] = json.loads((folder / f"{NAME}.json").read_text(encoding="utf-8"))
    return {name: _read([row for row in rows if row["modality"] == name], notes[name]) for name in notes}


def _read(rows: list[dict[str, str]], notes: Mapping[str, Any]) -> Telling:
    """Return one modality's table."""
    first = [row for row in rows if row["showing"] == "0"]
    showings = max((int(row["showing"]) for row in rows), default=0) + 1
    columns = [name for name in (rows[0] if rows else {}) if name.startswith(SCORE)]
    said = {name: np.array([float(row[name]) if row[name] else np.nan for row in rows]) for name in columns}
    return Telling(
        patient=np.array([row["patient"] for row in first]),
        site=np.array([row["site"] for row in first]),
        scores={
            name.removeprefix(SCORE): values.reshape(showings, len(first))
            for name, values in said.items()
            if not np.isnan(values).all()
        },
        refused=notes["refused"],
        features=notes["features"],
    )


def told_again(tellings: Mapping[str, Telling], study: Study) -> list[Evidence]:
    """Return how well sites are told apart, before and after, from what classifiers said."""
    return [
        item
        for modality, telling in tellings.items()
        for item in site_told_around(telling, modality=modality, phantom=study.phantom, seed=study.seed)
    ]
