"""The phantom trio: CMAN against its baselines over several seeds, on a shifted external hospital.

    python studies/phantom_trio.py OUT [--seeds 5] [--patients 150] [--external 400]

Makes one set of phantom hospitals in OUT, runs the study once per seed (split, initial weights and augmented
copies differ) and prints Markdown tables: AUC per model, CMAN less each baseline, and every modality subset
against the specialist trained on it. Intervals are over external patients, resampled, of the mean over
seeds. A second call goes on where the first one stood. Phantoms: no figure is clinical.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.cli.progress import LineProgress
from huizhen.core.cohort import Part
from huizhen.core.files import write_text
from huizhen.core.predictions import Predictions
from huizhen.core.streams import stream
from huizhen.core.words import Language
from huizhen.data.phantom import breast_trio_spec, generate
from huizhen.pipeline.demo import demo_study
from huizhen.pipeline.predictions_file import read_predictions
from huizhen.pipeline.run import run_study
from huizhen.validate.discrimination import auc

VARIANTS = '"cman", "concatenation", "late_average", "single", "specialist"'
RESAMPLES = 2000
Score = Callable[[Predictions, NDArray[np.int64]], float]


def main() -> None:
    """Run the study over the seeds and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--patients", type=int, default=150)
    parser.add_argument("--external", type=int, default=400)
    given = parser.parse_args()
    spec = breast_trio_spec(patients_per_hospital=given.patients, external_patients=given.external)
    phantoms = generate(spec, given.out / "phantoms", seed=101, progress=LineProgress(language=Language.EN))
    tables: dict[Part, list[Predictions]] = {Part.TEST: [], Part.EXTERNAL: []}
    for seed in range(1, given.seeds + 1):
        study_file = given.out / f"seed{seed}.toml"
        write_text(study_file, demo_study(phantoms, seed=seed, variants=VARIANTS))
        run = run_study(
            study_file,
            out=None,
            data_root=given.out,
            home=given.out / "home",
            progress=LineProgress(language=Language.EN),
            language=Language.EN,
        )
        for part, found in tables.items():
            found.append(read_predictions(run.dossier / "files" / f"predictions_{part.value}.csv", part))
    print(report(tables))


def report(tables: dict[Part, list[Predictions]]) -> str:
    """Return the result as Markdown."""
    external = tables[Part.EXTERNAL]
    models = [m for m in external[0].risk if "|" not in m]
    lines = [f"Seeds: {len(external)}; external patients: {len(external[0].outcome)}.", ""]
    lines += ["| model | internal AUC, mean (range) | external AUC, mean (range) |", "|---|---|---|"]
    for model in models:
        cells = [spread([_auc(t, model) for t in tables[part]]) for part in (Part.TEST, Part.EXTERNAL)]
        lines.append(f"| {model} | {cells[0]} | {cells[1]} |")
    lines += ["", "| CMAN less (external) | mean difference (95 % interval) | n |", "|---|---|---|"]
    lines += [_difference(external, "cman", model) for model in models if model != "cman"]
    lines += ["", "| subset (external) | CMAN, shown only it, less its specialist | n |", "|---|---|---|"]
    pairs = [m for m in external[0].risk if m.startswith("cman|")]
    lines += [_difference(external, m, m.replace("cman|", "specialist|")) for m in pairs]
    return "\n".join(lines)


def _auc(table: Predictions, model: str) -> float:
    known = ~np.isnan(table.risk[model])
    return auc(table.outcome[known], table.risk[model][known])


def spread(values: list[float]) -> str:
    """Return "mean (least-most)" with three decimals."""
    return f"{np.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def _difference(tables: list[Predictions], a: str, b: str) -> str:
    """Return a table row: mean over seeds of AUC(a) - AUC(b), on patients whom both answer, resampled."""
    first = tables[0]
    order = {p: i for i, p in enumerate(first.patient.tolist())}
    gathered = []
    for table in tables:
        rows = np.argsort([order[p] for p in table.patient.tolist()])
        gathered.append((table.risk[a][rows], table.risk[b][rows]))
    known = ~np.isnan(np.array([x + y for x, y in gathered])).any(0)
    outcome = first.outcome[known]
    scores = [(x[known], y[known]) for x, y in gathered]

    def mean_difference(rows: NDArray[np.int64]) -> float:
        return float(np.mean([auc(outcome[rows], x[rows]) - auc(outcome[rows], y[rows]) for x, y in scores]))

    rng = stream(0, "phantom_trio", a, b)
    positive, negative = np.flatnonzero(outcome), np.flatnonzero(~outcome)
    drawn = [
        mean_difference(
            np.concatenate([rng.choice(positive, len(positive)), rng.choice(negative, len(negative))])
        )
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    name = b if a == "cman" else a.removeprefix("cman|")
    mean = mean_difference(np.arange(len(outcome)))
    return f"| {name} | {mean:+.3f} ({low:+.3f} to {high:+.3f}) | {known.sum()} |"


if __name__ == "__main__":
    main()
