"""The stages of a study that judges a table of readers' ratings: the reads, then their analysis.

Readers are called by numbers and patients by pseudonyms, in files and in the ledger alike.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import digest_file
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_text
from huizhen.core.study import Study
from huizhen.core.study_predictions import ReadTable, key_name
from huizhen.core.table_cells import as_meant, as_shown
from huizhen.data.readers.paths import find_path
from huizhen.errors import DataError, InvalidInputError, StageError
from huizhen.pipeline.assess_stage import not_assessed
from huizhen.pipeline.prediction_table import pseudonyms
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage, study_part
from huizhen.pipeline.table_columns import (
    MISSING,
    Columns,
    classes_of,
    numbers_of,
    read_columns,
    refuse_formulas,
)
from huizhen.validate.assessments.readers import ReaderEvaluation, assess_readers
from huizhen.validate.readers.study import ReaderStudy, from_reads

__all__ = ["readers_again", "reads_stage"]

READS = "reads.csv"
FORM = 1
ONE_ARM = "reading"
READ = ("reads", "task", "phantom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """The reads that count (k,), by columns: reader, arm, patient, truth, rating; and how many don't."""

    reader: list[str]
    arm: list[str]
    patient: list[str]
    truth: NDArray[np.bool_]
    rating: NDArray[np.float64]
    rows: int
    left_out: dict[str, int]

    def study(self) -> ReaderStudy:
        """Return the reads as the analysis takes them. Raises `InvalidInputError`, as `from_reads`."""
        return from_reads(
            reader=self.reader, modality=self.arm, case=self.patient, truth=self.truth, rating=self.rating
        )


def reads_of(study: Study) -> ReadTable:
    """Return a study's [reads]. Raises `StageError` without one."""
    if study.reads is None:
        raise StageError("the study has no [reads]", remedy="add the section to the study file")
    return study.reads


def reads_stage(run: Run) -> Stage:
    """Read the table of reads, keep it without names, and judge it by the signed plan."""
    path = find_path(reads_of(run.study).table, run.roots, field="reads.table")
    digest = digest_file(path)

    def body(folder: Path) -> Made:
        with run.progress.track("ingest", 1) as advance:
            reads = read_reads(run.study, path, secret=run.key.derive_secret("pseudonyms"))
            advance(1)
        _write(folder / ARTEFACTS / READS, reads, phantom=run.study.phantom)
        evidence = [_flow(run, reads), *_judged(run.study, reads, path.name)]
        read = {
            "outcomes_read_for": [],
            "table": {"sha256": digest, "rows": reads.rows, "counted": len(reads.arm)},
        }
        return Made(entries=[("intake", read)], evidence=[*evidence, *not_assessed(run.study, evidence)])

    settings = run.study.model_dump(mode="json", include=set(READ))
    made_from = {**study_part(run.study, *READ), "table": digest}
    return run.stage("reads", [settings, digest, run.key.key_id, FORM], body, made_from=made_from)


def _judged(study: Study, reads: Reads, file: str) -> list[Evidence]:
    """Return the analysis. Raises `DataError` on reads that no study can hold."""
    try:
        evaluation = ReaderEvaluation(reads=reads.study(), plan=reads_of(study), phantom=study.phantom)
        return assess_readers(evaluation)
    except InvalidInputError as error:
        raise DataError(error.message, remedy=error.remedy, field=error.field, file=file) from error


def readers_again(files: Path, study: Study) -> list[Evidence]:
    """Return the analysis made again from the dossier's own table of reads."""
    with (files / READS).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    reads = Reads(
        reader=[row["reader"] for row in rows],
        arm=[as_meant(row["arm"]) for row in rows],
        patient=[row["patient"] for row in rows],
        truth=np.array([row["outcome"] == "1" for row in rows]),
        rating=np.array([float(row["rating"]) for row in rows]),
        rows=len(rows),
        left_out={},
    )
    return _judged(study, reads, READS)


# --- the table -----------------------------------------------------------------------------------------


def read_reads(study: Study, path: Path, *, secret: bytes) -> Reads:
    """Return the reads of the table at `path`. Raises `DataError` on what can't be judged."""
    plan = reads_of(study)
    named = [plan.patient, plan.outcome, plan.reader, plan.rating, *([plan.arm] if plan.arm else [])]
    columns = read_columns(path, named, encoding=plan.encoding)
    rating = numbers_of(columns, plan.rating)
    classes = classes_of(columns, plan.outcome, study.task, refuse_others=False)
    refuse_formulas(columns, [plan.arm] if plan.arm else [])
    arm = [key_name(name) for name in columns.cells[plan.arm]] if plan.arm else [ONE_ARM] * len(columns.line)
    unnamed = np.array([_unnamed(columns, plan, row) for row in range(len(columns.line))])
    kept = np.flatnonzero(~unnamed & (classes >= 0) & ~np.isnan(rating)).tolist()
    _check_twice(columns, plan, arm, kept)
    readers = {
        name: f"R{number}" for number, name in enumerate(sorted(set(columns.cells[plan.reader])), start=1)
    }
    return Reads(
        reader=[readers[columns.cells[plan.reader][row]] for row in kept],
        arm=[arm[row] for row in kept],
        patient=pseudonyms([columns.cells[plan.patient][row] for row in kept], secret),
        truth=classes[kept] == 1,
        rating=rating[kept],
        rows=len(columns.line),
        left_out=_left_out(unnamed, classes, rating),
    )


def _unnamed(columns: Columns, plan: ReadTable, row: int) -> bool:
    """Tell whether a row lacks its case, its reader or its arm."""
    names = [plan.patient, plan.reader, *([plan.arm] if plan.arm else [])]
    return any(columns.cells[name][row].lower() in MISSING for name in names)


def _left_out(
    unnamed: NDArray[np.bool_], classes: NDArray[np.int8], rating: NDArray[np.float64]
) -> dict[str, int]:
    counts = {
        "missing_patient": int(unnamed.sum()),
        "missing_label": int((~unnamed & (classes == -1)).sum()),
        "other_class": int((~unnamed & (classes == -2)).sum()),
        "non_finite": int((~unnamed & (classes >= 0) & np.isnan(rating)).sum()),
    }
    return {reason: count for reason, count in counts.items() if count}


def _check_twice(columns: Columns, plan: ReadTable, arm: list[str], kept: list[int]) -> None:
    """Refuse a case that a reader read twice in one arm, naming the lines."""
    first: dict[tuple[str, str, str], int] = {}
    for row in kept:
        read = (columns.cells[plan.reader][row], arm[row], columns.cells[plan.patient][row])
        if first.setdefault(read, row) != row:
            raise DataError(
                f"one reader rated one case twice in one arm: lines {columns.line[first[read]]} and "
                f"{columns.line[row]}, to begin with",
                remedy="name the column of arms with --arm, or keep one read of each",
                field=plan.rating,
                file=columns.file,
            )


def _write(path: Path, reads: Reads, *, phantom: bool) -> None:
    """Write the reads as CSV: numbers exact, no names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["reader", "arm", "patient", *(["phantom"] if phantom else []), "outcome", "rating"])
    rows = zip(
        reads.reader, reads.arm, reads.patient, reads.truth.tolist(), reads.rating.tolist(), strict=True
    )
    for reader, arm, patient, truth, rating in rows:
        writer.writerow(
            [reader, as_shown(arm), patient, *(["1"] if phantom else []), int(truth), repr(rating)]
        )
    write_text(path, text.getvalue())


def _flow(run: Run, reads: Reads) -> Evidence:
    """Return who read what: reads found and left out, cases, readers."""
    cases = len(set(reads.patient))
    steps = [
        {"site": "", "step": "found", "rows": reads.rows},
        {"site": "", "step": "included", "patients": cases, "rows": len(reads.arm)},
    ]
    left_out: list[dict[str, Any]] = [
        {"site": "", "unit": "row", "reason": reason, "count": count}
        for reason, count in reads.left_out.items()
    ]
    per_reader = Counter(zip(reads.reader, reads.arm, strict=True))
    readers = [
        {"reader": reader, "arm": arm, "reads": count} for (reader, arm), count in sorted(per_reader.items())
    ]
    return Evidence(
        key="data/flow",
        metric="flow",
        stage="data",
        n=cases,
        descriptive=True,
        phantom=run.study.phantom,
        detail={"steps": steps, "exclusions": left_out, "tallies": readers},
    )
