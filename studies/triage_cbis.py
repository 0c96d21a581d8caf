"""Triage on the BI-RADS assessments of CBIS-DDSM: one observed reader, an AI from the descriptors, pathology.

    OMP_NUM_THREADS=1 nice python studies/triage_cbis.py OUT [--data DATA_FOLDER]

The first reader is the radiologist whose assessments the set holds: 0, 4 and 5 count as recall. The AI is a
logistic regression on the lesions' descriptors (density, shape, margins, type, distribution), never on the
assessment or the subtlety, fitted on the set's training patients; cut points come from their out-of-fold
risks. Second reader and consensus are simulated with the first reader's accuracy on training patients.
Policies are compared on the set's test patients, of whom nobody is in training. Writes triage_cbis.md; with
its seed it repeats. The set has no screening population: see docs/results/triage.md.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from huizhen.core.files import write_text
from huizhen.core.streams import stream
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.estimates import Estimate
from huizhen.validate.proportions import wilson
from huizhen.validate.triage.comparison import Minutes, compare_policies
from huizhen.validate.triage.levels import RiskLevels, fix_levels
from huizhen.validate.triage.noninferiority import paired_detection
from huizhen.validate.triage.observed import correlation_with_ai, reader_from
from huizhen.validate.triage.panel import Panel, complete_reads, normal_scores
from huizhen.validate.triage.policies import (
    AISecondReader,
    AITriage,
    DoubleReading,
    Policy,
    RuleOut,
    SingleReading,
    carried_out,
)
from huizhen.validate.triage.reads import Exams
from huizhen.validate.triage.worklist import minutes_to_read

SEED = 1
FOLDS = 5
DRAWS = 50
BETWEEN_READERS = 0.5
PREVALENCE = 0.006
MARGIN = 0.05
BATCH = 50
RECALLED = ("0", "4", "5")
USED = ("mass shape", "mass margins", "calc type", "calc distribution", "breast density", "abnormality type")
POLICIES: Mapping[str, Policy] = {
    "double reading": DoubleReading(),
    "single reading": SingleReading(),
    "AI triage, 10 read twice": AITriage(top="read"),
    "AI triage, top per cent recalled": AITriage(),
    "AI as second reader, flags 6-10": AISecondReader(flag_from=6),
    "rule-out of levels 1-2": RuleOut(read_from=3),
    "rule-out of levels 1-4": RuleOut(read_from=5),
}

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesions:
    """Rows of the set: patient, descriptors, whether malignant, and whether the reader would recall."""

    patient: NDArray[np.str_]
    described: Sequence[Mapping[str, str]]
    malignant: Flags
    recalled: Flags

    def of(self, kept: Flags) -> Lesions:
        """Return the rows that are kept."""
        described = [row for row, keep in zip(self.described, kept, strict=True) if keep]
        return Lesions(
            patient=self.patient[kept],
            described=described,
            malignant=self.malignant[kept],
            recalled=self.recalled[kept],
        )

    def by_patient(self, value: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the largest value of each patient, in the order of names."""
        _, group = np.unique(self.patient, return_inverse=True)
        found = np.full(int(group.max()) + 1, -np.inf)
        np.maximum.at(found, group, value.astype(np.float64))
        return found


def read_lesions(folder: Path, part: str) -> Lesions:
    """Return the masses and calcifications of the training or the test set."""
    rows: list[Mapping[str, str]] = []
    for kind in ("mass", "calc"):
        with (folder / f"cbis_ddsm_{kind}_case_description_{part}_set.csv").open(encoding="utf-8") as stream_:
            rows += [
                {key.replace("_", " "): cell for key, cell in row.items()} for row in csv.DictReader(stream_)
            ]
    return Lesions(
        patient=np.array([row["patient id"] for row in rows]),
        described=[dict(pairs_of(row)) for row in rows],
        malignant=np.array([row["pathology"] == "MALIGNANT" for row in rows]),
        recalled=np.array([row["assessment"] in RECALLED for row in rows]),
    )


def pairs_of(row: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Yield the descriptors that the AI may use."""
    return ((key, row[key]) for key in USED if row.get(key))


def fitted(train: Lesions) -> tuple[DictVectorizer, LogisticRegression]:
    """Return the regression on the lesions' descriptors."""
    encoder = DictVectorizer(sparse=False)
    model = LogisticRegression(C=1.0, max_iter=2000)
    model.fit(encoder.fit_transform(train.described), train.malignant)
    return encoder, model


def risk_of(model: tuple[DictVectorizer, LogisticRegression], lesions: Lesions) -> Floats:
    """Return each lesion's risk."""
    encoder, regression = model
    return np.asarray(regression.predict_proba(encoder.transform(lesions.described))[:, 1])


def out_of_fold(train: Lesions) -> Floats:
    """Return each training lesion's risk by a model that saw none of its patient."""
    found = np.empty(train.patient.size)
    for rest, held in GroupKFold(n_splits=FOLDS).split(found, groups=train.patient):
        keep = np.zeros(found.size, dtype=np.bool_)
        keep[rest] = True
        found[held] = risk_of(fitted(train.of(keep)), train.of(~keep))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Test patients with frozen levels, and the panel that training patients gave."""

    exams: Exams
    panel: Panel
    risk: Floats
    levels: RiskLevels
    trained: int


def prepare(folder: Path, *, between: float = BETWEEN_READERS) -> Prepared:
    """Return everything that the policies need; test outcomes are used for nothing but measuring."""
    train, test = read_lesions(folder, "train"), read_lesions(folder, "test")
    test = test.of(~np.isin(test.patient, train.patient))
    risks = train.by_patient(out_of_fold(train))
    truth, flag = train.by_patient(train.malignant) > 0, train.by_patient(train.recalled) > 0
    reader = reader_from(flag, truth)
    with_ai = correlation_with_ai(flag, normal_scores(risks, truth), truth)
    panel = Panel(
        first=reader,
        second=reader,
        consensus=reader,
        between_readers=max(between, with_ai**2),
        with_ai=with_ai,
    )
    levels = fix_levels(risks)
    risk = test.by_patient(risk_of(fitted(train), test))
    outcome, first = test.by_patient(test.malignant) > 0, test.by_patient(test.recalled)
    ai = normal_scores(risk, outcome)
    unseen = np.full(outcome.size, np.nan)
    draw = stream(SEED, "cbis")
    reads = complete_reads(draw, panel, outcome, ai, (first, unseen, unseen), draws=DRAWS)
    exams = Exams(outcome=outcome, level=levels.of(risk), top=levels.in_top(risk), reads=reads)
    return Prepared(exams=exams, panel=panel, risk=risk, levels=levels, trained=truth.size)


def shown(found: Estimate, scale: float = 100.0, digits: int = 1) -> str:
    """Return an estimate with its interval."""
    low, high = found.interval.low * scale, found.interval.high * scale
    return f"{scale * found.value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def described(ready: Prepared) -> list[str]:
    """Return what is known of patients, AI and reader before any policy."""
    exams, reader = ready.exams, ready.panel.first
    n, events = exams.outcome.size, int(exams.outcome.sum())
    found = auc_interval(exams.outcome, ready.risk, method="logit")
    first = exams.reads.first[0]
    hits, lets = first[exams.outcome], ~first[~exams.outcome]
    cells = []
    for part in (hits, lets):
        limits = wilson(int(part.sum()), part.size)
        cells.append(
            f"{100 * part.mean():.1f} % [{100 * limits.low:.1f}, {100 * limits.high:.1f}] of {part.size}"
        )
    top = wilson(int((exams.level == 10).sum()), n)
    return [
        f"{n} test patients, {events} with a malignant lesion; {ready.trained} training patients",
        f"AI: AUC {found.value:.3f} [{found.interval.low:.3f}, {found.interval.high:.3f}]",
        f"first reader on test patients: sensitivity {cells[0]}, specificity {cells[1]}",
        f"first reader on training patients, used for the simulated ones: sensitivity "
        f"{reader.sensitivity:.3f}, specificity {reader.specificity:.3f}; correlation with the AI given the "
        f"truth {ready.panel.with_ai:.2f}; between readers {ready.panel.between_readers:.2f} (assumed)",
        f"level 10 of the frozen cut points: {100 * np.mean(exams.level == 10):.1f} % "
        f"[{100 * top.low:.1f}, {100 * top.high:.1f}] of test patients",
    ]


def policy_rows(ready: Prepared, prevalence: float | None) -> list[str]:
    """Return a row a policy; with `prevalence` what carries over to it under its assumption."""
    found = compare_policies(
        ready.exams, list(POLICIES.values()), minutes=Minutes(), prevalence=prevalence, seed=SEED
    )
    rows = []
    events = ready.exams.outcome
    reference = carried_out(DoubleReading(), ready.exams).recalled.mean(axis=0)[events]
    for name, result in zip(POLICIES, found, strict=True):
        m = result.measures
        recalled = carried_out(result.policy, ready.exams).recalled.mean(axis=0)[events]
        test = paired_detection(recalled, reference, margin=MARGIN)
        gap = (
            "reference"
            if name == "double reading"
            else f"{100 * test.estimate:.1f} [{100 * test.interval.low:.1f}, {100 * test.interval.high:.1f}]"
            f" {'yes' if test.passed else 'no'}"
        )
        cells = (
            [shown(m["sensitivity"]), gap] if prevalence is None else [shown(m["detection_rate"], 1000, 2)]
        )
        cells += [
            shown(m["recall_rate"]),
            shown(m["ppv"]),
            shown(m["readings"], 1, 2),
            shown(m["readings_saved"]),
        ]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def waits(ready: Prepared) -> str:
    """Return how long patients with cancer wait in lists, in order of arrival and sorted by level."""
    exams, parts = ready.exams, []
    everybody = np.ones(exams.outcome.size, dtype=np.bool_)
    for by_level in (False, True):
        draw = stream(SEED, "cbis list", str(by_level))
        found = minutes_to_read(draw, everybody, exams.level, by_level=by_level, batch=BATCH, arrivals=200)
        own = found[exams.outcome]
        drawn = draw.choice(own, size=(2000, own.size)).mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        parts.append(f"{own.mean():.1f} [{low:.1f}, {high:.1f}]")
    return (
        f"lists of {BATCH}, one minute a reading: patients with cancer are read after {parts[0]} minutes in "
        f"order of arrival, {parts[1]} sorted by level"
    )


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    chosen = parser.parse_args()
    folder = chosen.data / "mammography_tabular"
    ready = prepare(folder)
    shared = "recalled, % | PPV, % | readings | saved, % |"
    here = [f"| policy | sensitivity, % | difference, non-inferior | {shared}", "|" + "---|" * 7]
    there = [f"| policy | detected in 1,000 | {shared}", "|" + "---|" * 6]
    lines = [*described(ready), "", *here, *policy_rows(ready, None), "", waits(ready), ""]
    lines += [f"at a prevalence of {PREVALENCE}", "", *there, *policy_rows(ready, PREVALENCE), ""]
    for between in (0.3, 0.7):
        other = prepare(folder, between=between)
        lines += [f"correlation between readers {between}", "", *here, *policy_rows(other, None), ""]
    print("\n".join(lines))
    write_text(chosen.out / "triage_cbis.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
