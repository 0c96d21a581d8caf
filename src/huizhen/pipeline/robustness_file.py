"""Each sampled patient's risk at each step of a disturbance, as a table that all numbers follow from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.files import write_json, write_text

__all__ = ["DisturbedRisks", "read_risks", "write_risks"]

PREFIX = "robustness_"
RISK = "risk:"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisturbedRisks:
    """One kind's table: `patient` (n,), `outcome` (n,), by step (0: undisturbed) risks (n,), and notes."""

    patient: NDArray[np.str_]
    outcome: NDArray[np.bool_]
    risks: Mapping[int, NDArray[np.float64]]
    notes: Mapping[str, Any]


def write_risks(folder: Path, kind: str, table: DisturbedRisks, *, phantom: bool) -> None:
    """Write `table` into `folder`, exact to the last bit; its notes beside it where there are any."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    marks = ["1"] if phantom else []
    writer.writerow(
        ["patient", *(["phantom"] if phantom else []), "outcome", *(f"{RISK}{k}" for k in table.risks)]
    )
    for row, (patient, outcome) in enumerate(zip(table.patient, table.outcome, strict=True)):
        values = ["" if np.isnan(risk[row]) else repr(float(risk[row])) for risk in table.risks.values()]
        writer.writerow([patient, *marks, int(outcome), *values])
    write_text(folder / f"{PREFIX}{kind}.csv", text.getvalue())
    if table.notes:
        write_json(folder / f"{PREFIX}{kind}.json", dict(table.notes))


def read_risks(folder: Path, kind: str) -> DisturbedRisks | None:
    """Return what `write_risks` wrote into `folder`, or None where this kind wasn't tried."""
    path = folder / f"{PREFIX}{kind}.csv"
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    steps = [name for name in (rows[0] if rows else {}) if name.startswith(RISK)]
    beside = path.with_suffix(".json")
    return DisturbedRisks(
        patient=np.array([row["patient"] for row in rows]),
        outcome=np.array([row["outcome"] == "1" for row in rows], bool),
        risks={
            int(name.removeprefix(RISK)): np.array(
                [float(row[name]) if row[name] else np.nan for row in rows]
            )
            for name in steps
        },
        notes=json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {},
    )
