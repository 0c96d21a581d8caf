"""Tables of predictions as hospitals might send them, with known numbers, and a run over one."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.progress import Silent
from huizhen.core.words import Language
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.table_run import run_given

PLAN = """\
name = "given"
title = "Given predictions"
question = "Do the scores tell?"
seed = 7
[task]
outcome = "label"
positive = ["1"]
negative = ["0"]
[predictions]
table = "{table}"
patient = "id"
outcome = "label"
score = "prob"
{more}
[evaluation]
resamples = 200
"""


def scored(n: int = 120, *, seed: int = 3) -> list[dict[str, Any]]:
    """Return rows of id, label, prob, rival, sex and site; the score tells the classes apart fairly well."""
    draw = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        label = int(draw.random() < 0.4)
        prob = 1 / (1 + np.exp(-(1.4 * label - 0.7 + draw.normal())))
        rival = int(np.clip(round(2 + label + draw.normal()), 1, 5))
        rows.append(
            {
                "id": f"person-{k}",
                "label": label,
                "prob": round(float(prob), 4),
                "rival": rival,
                "sex": "FM"[k % 2],
                "site": ("north", "south")[k % 3 == 0],
            }
        )
    return rows


def as_csv(rows: Sequence[Mapping[str, Any]], *, delimiter: str = ",") -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_study(folder: Path, rows: Sequence[Mapping[str, Any]], more: str = "", **other: str) -> Path:
    """Write a table of `rows` and its plan into `folder`, and return the plan; `other` are further files."""
    (folder / "table.csv").write_text(as_csv(rows), encoding="utf-8")
    for name, text in other.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    plan = folder / "plan.toml"
    plan.write_text(PLAN.format(table="table.csv", more=more), encoding="utf-8")
    return plan


def judged(plan: Path, out: Path | None = None) -> RunResult:
    """Run a plan without progress, with a key of its own."""
    return run_given(
        plan,
        out=out or plan.with_suffix(".run"),
        roots=[],
        home=plan.parent / "home",
        progress=Silent(),
        language=Language.EN,
    )
