"""What holding consents again costs a site before each round, by the size of its register.

    PYTHONPATH=src python benchmarks/bench_consents.py

Registers of made-up patients, a tenth of whom are in the study. Unchanged: the register is looked at, by its
digest. Changed: one patient withdrew, and all of it is read and held against the study again. Medians of 7.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from huizhen.core.cohort import Case
from huizhen.core.study import Study
from huizhen.data.consent.barred import NOBODY
from huizhen.data.consent.screening import today
from huizhen.data.splits import Fold
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.site_consents import SiteConsents

REPEATS = 7
SIZES = (1_000, 10_000, 100_000)


def study() -> Study:
    """Return a study that one site keeps consents for."""
    source = {
        "reader": "table",
        "modality": "T",
        "path": "t.csv",
        "columns": {"patient": "p", "outcome": "y"},
    }
    return Study.model_validate(
        {
            "name": "asked",
            "title": "Asked",
            "question": "?",
            "seed": 1,
            "task": {"outcome": "y", "positive": ["1"], "negative": ["0"]},
            "modality": [{"name": "T", "kind": "table", "numeric": ["x"]}],
            "site": [{"name": "north", "consent": "consents.csv", "source": [source]}],
            "use": {"commercial": False},
        }
    )


def write(path: Path, size: int, gone: int = -1) -> None:
    """Write a register in which one patient withdrew."""
    day = (today() - timedelta(days=1)).isoformat()
    rows = [f"{i},1,2025-01-01,HMB; IRB,{day if i == gone else ''}" for i in range(size)]
    rows = [row.replace("; IRB", "; NMDS") if i % 7 == 6 else row for i, row in enumerate(rows)]
    path.write_text("patient,version,given,terms,withdrawn\n" + "\n".join(rows) + "\n", encoding="utf-8")


def measured(size: int) -> tuple[float, float, float]:
    """Return megabytes, and milliseconds of a look at an unchanged and at a changed register."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        register = folder / "consents.csv"
        write(register, size)
        cases = tuple(case(number) for number in range(0, size, 10))
        cohort = OpenCohort(stage=None, cases=cases, folds=(Fold(index=0, parts={}),))  # type: ignore[arg-type]  # unused
        consents = SiteConsents(
            study=study(),
            site="north",
            roots=(folder,),
            folder=folder,
            secret=b"s",
            cohort=lambda: cohort,
            barred=lambda: NOBODY,
            enter=lambda body: None,
            entered=lambda: None,
            least=lambda: 5,
        )
        consents.look()
        same, other = [], []
        for k in range(REPEATS):
            same.append(seconds(consents))
            write(register, size, gone=10 * k)
            other.append(seconds(consents))
        return register.stat().st_size / 2**20, 1e3 * statistics.median(same), 1e3 * statistics.median(other)


def case(number: int) -> Case:
    """Return a patient of the study."""
    about = {"patient_id": str(number), "site": "north", "outcome": number % 2}
    return Case(pseudonym=f"P-{number}", images={}, covariates={"T": {}}, **about)


def seconds(consents: SiteConsents) -> float:
    """Return the processor seconds that a look takes."""
    started = time.process_time()
    consents.look()
    return time.process_time() - started


if __name__ == "__main__":
    for size in map(int, sys.argv[1:]) if sys.argv[1:] else SIZES:
        megabytes, unchanged, changed = measured(size)
        print(f"{size} rows, {megabytes:.2f} MiB: unchanged {unchanged:.2f} ms, changed {changed:.0f} ms")
