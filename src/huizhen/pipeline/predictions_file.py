"""The prediction table as CSV: exact numbers, pseudonyms only, readable by any statistics program."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.files import write_text
from huizhen.core.predictions import Predictions
from huizhen.core.table_cells import as_meant, as_shown


def write_predictions(path: Path, table: Predictions, *, phantom: bool = False, outcome: bool = True) -> None:
    """Write `table`: patient, cluster, site, outcome, present:<modality>, group:<column>, risk:<model>,
    decision:<model>, level:<model>; of a model whose scores only order patients rank:<model> instead of risk.

    A model that can't answer leaves its cells empty. Floats are written so that they read back exactly.
    Of phantoms a column `phantom` of ones says so. Without `outcome` that column is left out, all else is the
    same: this is what is committed to before outcomes are opened.
    """

    def shown(values: NDArray[np.str_]) -> list[str]:
        cells: list[str] = values.tolist()
        known = {cell: as_shown(cell) for cell in set(cells)}
        return [known[cell] for cell in cells]

    columns: dict[str, list[str]] = {"patient": [str(v) for v in table.patient]}
    columns |= {} if table.cluster is None else {"cluster": [str(v) for v in table.cluster]}
    columns |= {"site": shown(table.site)}
    columns |= {"phantom": ["1"] * len(table.patient)} if phantom else {}
    columns |= {"outcome": [str(int(v)) for v in table.outcome]} if outcome else {}
    columns |= {f"present:{n}": [str(int(v)) for v in values] for n, values in table.present.items()}
    columns |= {f"group:{n}": shown(values) for n, values in table.groups.items()}
    for name, risk in table.risk.items():
        blank = np.isnan(risk)
        kind = "rank" if name in table.ranked else "risk"
        columns[f"{kind}:{name}"] = ["" if b else repr(float(v)) for v, b in zip(risk, blank, strict=True)]
        if name in table.decision:
            columns[f"decision:{name}"] = [
                "" if b else str(int(v)) for v, b in zip(table.decision[name], blank, strict=True)
            ]
    columns |= {f"level:{n}": [str(v) for v in values.tolist()] for n, values in table.level.items()}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    write_text(path, stream.getvalue())


def read_predictions(path: Path, part: Part, outcomes: Mapping[str, int] | None = None) -> Predictions:
    """Return the table that `write_predictions` wrote; `outcomes` by patient where it lacks them."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream)
        names = next(reader, [])
        columns = dict(zip(names, zip(*reader, strict=True), strict=True))

    def meant(cells: Sequence[str]) -> NDArray[np.str_]:
        known = {cell: as_meant(cell) for cell in set(cells)}
        return np.array([known[cell] for cell in cells])

    def number(cell: str) -> float:
        return float(cell) if cell else math.nan

    def group(prefix: str, parse: Callable[[str], Any], dtype: type) -> dict[str, NDArray[Any]]:
        return {
            name.removeprefix(prefix): np.array([parse(cell) for cell in cells], dtype)
            for name, cells in columns.items()
            if name.startswith(prefix)
        }

    return Predictions(
        patient=np.array(columns["patient"]),
        site=meant(columns["site"]),
        part=part,
        outcome=np.array(columns["outcome"]) == "1"
        if outcomes is None
        else np.array([outcomes[name] == 1 for name in columns["patient"]], bool),
        present=group("present:", lambda cell: cell == "1", bool),
        risk=group("risk:", number, float) | group("rank:", number, float),
        decision=group("decision:", lambda cell: cell == "1", bool),
        level=group("level:", int, np.int64),
        groups={n.removeprefix("group:"): meant(columns[n]) for n in columns if n.startswith("group:")},
        cluster=np.array(columns["cluster"]) if "cluster" in columns else None,
        ranked=tuple(name.removeprefix("rank:") for name in columns if name.startswith("rank:")),
    )
