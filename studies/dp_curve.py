"""What differential privacy costs: AUC against epsilon on real patients, tested by models without them.

    nice python studies/dp_curve.py OUT --data DATA

Two data sets: BUS-BRA ultrasound, of which a linear head sees the features of an encoder tuned at another
hospital (BUSI; `studies/real_patients.py` tunes it and caches them in OUT/features), and UCI heart disease.
Two settings: all training patients at one site, or the sites that the data names (scanners, hospitals), each
keeping its own promise, in rounds of one local epoch as a study with [privacy] runs them. Noise is calibrated
by `huizhen.privacy.plan`, drawn and added by `huizhen.privacy.dp_training`.

Nothing is fitted to patients outside the accountants: features are scaled by each patient's own numbers
(ultrasound) or by fixed ranges (heart), and learning rate, clip and rounds were set beforehand. Sampling and
noise come from seeds here, so that the curve can be made again; a hospital draws them from its secret.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from real_patients import Floats, Ints, study_parser, table, ultrasound
from torch import nn

from huizhen.core.files import write_json, write_text
from huizhen.core.streams import stream
from huizhen.core.study_privacy import Privacy
from huizhen.privacy.dp_settings import DpSettings
from huizhen.privacy.dp_training import (
    noise_generator,
    poisson_samples,
    private_optimiser,
    sample_generator,
)
from huizhen.privacy.plan import PrivatePlan, make_plan
from huizhen.validate.placements import place

EPSILONS = (1.0, 2.0, 4.0, 8.0, math.inf)
DELTA, RATE = 1e-5, 0.2
INTERCEPT = 0.25
"""The input of the intercept: small, since it takes its share of every patient's gradient."""
CLIP = 0.5 * math.sqrt(1 + INTERCEPT**2)
"""The length of every patient's gradient at weights of zero: so nobody is cut at first."""
ROUNDS, LEARNING_RATE, FOLDS = 20, 10.0, 5
SETTINGS = ("one site", "sites")
RANGES = {
    "age": (20, 90),
    "trestbps": (80, 200),
    "chol": (100, 400),
    "thalach": (60, 200),
    "oldpeak": (0, 4),
    "ca": (0, 3),
}
FLAGS = ("sex", "fbs", "exang")
CODES = {"cp": "1234", "restecg": "012", "slope": "123", "thal": "367"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Features (n, d) of length 1, a row a patient; outcome (n,), site (n,) and fold (n,)."""

    name: str
    features: Floats
    outcome: NDArray[np.bool_]
    site: Ints
    fold: Ints


def main() -> None:
    """Run the cells that are not there yet, then write the table."""
    parser = study_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    plans = {epsilon: plan_of(epsilon) for epsilon in EPSILONS if math.isfinite(epsilon)}
    found = []
    for task in (ultrasound_task(asked.data, asked.out / "features"), heart_task(asked.data)):
        for setting in SETTINGS:
            found += rows_of(task, setting, plans, asked.seeds, asked.out / "cells")
    write_json(asked.out / "dp_curve.json", {"plans": plan_rows(plans), "rows": found})
    write_text(asked.out / "dp_curve.md", "\n".join(lines(plans, found)) + "\n")
    print("\n".join(lines(plans, found)), flush=True)


def plan_of(epsilon: float) -> PrivatePlan:
    """Return the plan for `epsilon`: with one sampling rate everywhere it holds for a site of any size."""
    privacy = Privacy(epsilon=epsilon, delta=DELTA, clip_norm=CLIP, sampling=1000 * RATE)
    return make_plan(privacy, patients=1000, rounds=ROUNDS, epochs=1)


# -- data sets ---------------------------------------------------------------------------------------------


def ultrasound_task(data: Path, cache: Path) -> Task:
    """BUS-BRA: 1,064 patients of four scanners; a patient's features are the mean over his images."""
    features, outcome, site = ultrasound(data, cache)
    own = features - features.mean(1, keepdims=True)
    return make_task("ultrasound", own, outcome, site)


def heart_task(data: Path) -> Task:
    """UCI heart disease: 920 patients of four hospitals; numbers by fixed ranges, one flag a category."""
    rows = table(data / "uci_heart_disease_4_hospitals/heart_4_hospitals.csv")
    columns = [scaled([row[name] for row in rows], *ends) for name, ends in RANGES.items()]
    columns += [coded([row[name] for row in rows], "1") for name in FLAGS]
    columns += [coded([r[name] for r in rows], code) for name, codes in CODES.items() for code in codes]
    outcome = np.array([float(row["num"]) > 0 for row in rows])
    site = np.unique([row["hospital"] for row in rows], return_inverse=True)[1].astype(np.int64)
    return make_task("heart", np.column_stack(columns), outcome, site)


def scaled(cells: list[str], low: float, high: float) -> Floats:
    """Return numbers as -1 to 1 between two ends, cut there; 0 where missing or not a number."""
    values = np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    values[values == -9] = np.nan
    return np.nan_to_num(np.clip(2 * (values - low) / (high - low) - 1, -1, 1))


def coded(cells: list[str], code: str) -> Floats:
    """Return 1 where a cell has the code, -1 where another, 0 where it is missing."""
    known = [cell.strip() for cell in cells]
    missing = ("", "-9", "-9.0")
    return np.array([0.0 if c in missing else 2.0 * (float(c) == float(code)) - 1 for c in known])


def make_task(name: str, features: Floats, outcome: NDArray[np.bool_], site: Ints) -> Task:
    """Return the task: each patient's features have length 1, folds are stratified by outcome."""
    fold = np.zeros(len(outcome), np.int64)
    for value in (False, True):
        members = stream(0, "folds", name, int(value)).permutation(np.flatnonzero(outcome == value))
        fold[members] = np.arange(len(members)) % FOLDS
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return Task(name=name, features=features / length, outcome=outcome, site=site, fold=fold)


# -- training ----------------------------------------------------------------------------------------------


def scores_of(task: Task, setting: str, plan: PrivatePlan | None, seed: int) -> Floats:
    """Return every patient's log-odds (n,) by the model of the folds without the patient."""
    scores = np.zeros(len(task.outcome))
    for fold in range(FOLDS):
        train, test = np.flatnonzero(task.fold != fold), np.flatnonzero(task.fold == fold)
        groups = [train] if setting == "one site" else [train[task.site[train] == s] for s in sites(task)]
        weights = fitted(task, [g for g in groups if len(g)], plan, f"{seed}/{fold}")
        scores[test] = task.features[test] @ weights[:-1]
    return scores


def sites(task: Task) -> list[int]:
    """Return the sites' numbers."""
    return sorted(set(task.site.tolist()))


def fitted(task: Task, groups: list[Ints], plan: PrivatePlan | None, name: str) -> Floats:
    """Return a linear head's weights (d + 1,), the last its intercept, after all rounds over `groups`."""
    x = torch.from_numpy(np.column_stack([task.features, np.full(len(task.outcome), INTERCEPT)])).float()
    y = torch.from_numpy(task.outcome.astype(np.float32))
    shared = torch.zeros(1, x.shape[1])
    total = sum(map(len, groups))
    for number in range(ROUNDS):
        change = torch.zeros_like(shared)
        for site, rows in enumerate(groups):
            draw = f"{name}/{number}/{site}"
            change += len(rows) / total * (local_epoch(x, y, rows, shared, plan, draw) - shared)
        shared = shared + change
    return shared[0].double().numpy()


def local_epoch(
    x: torch.Tensor, y: torch.Tensor, rows: Ints, shared: torch.Tensor, plan: PrivatePlan | None, draw: str
) -> torch.Tensor:
    """Return one site's weights (1, d + 1) after an epoch of steps; without a plan no clip and no noise."""
    weight = nn.Parameter(shared.clone())
    secret = hashlib.sha256(draw.encode()).digest()
    optimiser = torch.optim.SGD([weight], lr=LEARNING_RATE)
    private = None
    if plan is not None:
        settings = DpSettings(
            noise_multiplier=plan.noise_multiplier, clip_norm=CLIP, sampling_rate=RATE, patients=len(rows)
        )
        private = private_optimiser(optimiser, settings, generator=noise_generator(secret, draw))
    for drawn in poisson_samples(rows, RATE, round(1 / RATE), sample_generator(secret, draw)):
        with torch.no_grad():
            error = torch.sigmoid(x[drawn] @ weight[0]) - y[drawn]  # (B,)
            each = (error[:, None] * x[drawn])[:, None]  # (B, 1, d + 1): the patients' gradients
        if private is None:
            weight.grad = each.sum(0) / (RATE * len(rows))
            optimiser.step()
        else:
            weight.grad_sample = each  # type: ignore[attr-defined]  # Opacus' own attribute
            private.step()
            private.zero_grad(set_to_none=True)
    return weight.detach()


# -- what it says ------------------------------------------------------------------------------------------


def rows_of(
    task: Task, setting: str, plans: dict[float, PrivatePlan], seeds: int, cells: Path
) -> list[dict[str, Any]]:
    """Return a row for each epsilon: AUC and loss against no privacy, with intervals over patients."""
    scores = {
        epsilon: np.stack([cell(task, setting, plans.get(epsilon), s, cells) for s in range(seeds)])
        for epsilon in EPSILONS
    }
    placed = {epsilon: components(task, each) for epsilon, each in scores.items()}
    free = placed[math.inf]
    found: list[dict[str, Any]] = []
    for epsilon, (pos, neg) in placed.items():
        auc, low, high = interval(pos.mean(0), neg.mean(0))
        loss = interval((free[0] - pos).mean(0), (free[1] - neg).mean(0))
        of_seed = pos.mean(1)
        found.append(
            {
                "task": task.name,
                "setting": setting,
                "sites": 1 if setting == "one site" else len(sites(task)),
                "epsilon": epsilon if math.isfinite(epsilon) else "none",
                "auc": [auc, low, high],
                "lost": loss,
                "seeds": [float(of_seed.min()), float(of_seed.max())],
                "patients": len(task.outcome),
                "events": int(task.outcome.sum()),
            }
        )
    return found


def cell(task: Task, setting: str, plan: PrivatePlan | None, seed: int, cells: Path) -> Floats:
    """Return the scores (n,) of one cell, from its file if it is there."""
    import json

    name = f"{task.name}-{setting.replace(' ', '_')}-{plan.privacy.epsilon if plan else 'none'}-{seed}.json"
    if not (cells / name).exists():
        write_json(cells / name, scores_of(task, setting, plan, seed).tolist())
    return np.array(json.loads((cells / name).read_text(encoding="utf-8")))


def components(task: Task, scores: Floats) -> tuple[Floats, Floats]:
    """Return each event's (k, m) and each other's (k, n) share of right pairs within their fold."""
    pos, neg = np.zeros((2, *scores.shape))
    for fold in range(FOLDS):
        mine = task.fold == fold
        placed = place(task.outcome[mine], scores[:, mine], least=2)
        pos[:, mine & task.outcome] = placed.pos / (2 * placed.n_neg)
        neg[:, mine & ~task.outcome] = placed.neg / (2 * placed.n_pos)
    return pos[:, task.outcome], neg[:, ~task.outcome]


def interval(pos: Floats, neg: Floats) -> tuple[float, float, float]:
    """Return the mean of components and its 95 % interval over patients (DeLong)."""
    spread = 1.959964 * math.sqrt(pos.var(ddof=1) / len(pos) + neg.var(ddof=1) / len(neg))
    return float(pos.mean()), float(pos.mean() - spread), float(pos.mean() + spread)


def plan_rows(plans: dict[float, PrivatePlan]) -> list[dict[str, float]]:
    """Return what each plan costs by both accountants."""
    return [
        {
            "epsilon": epsilon,
            "noise_multiplier": plan.noise_multiplier,
            "prv": plan.account.prv,
            "pld": plan.account.pld,
            "rdp": plan.account.rdp,
            "steps": plan.whole_spend.steps,
        }
        for epsilon, plan in plans.items()
    ]


def lines(plans: dict[float, PrivatePlan], found: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the tables as Markdown."""
    yield "| epsilon | noise multiplier | PRV | PLD | RDP bound |"
    yield "|---|---|---|---|---|"
    for row in plan_rows(plans):
        yield "| {epsilon:g} | {noise_multiplier:.2f} | {prv:.3f} | {pld:.3f} | {rdp:.3f} |".format(**row)
    yield ""
    yield "| data | sites | epsilon | AUC (95 %) | lowest and highest seed | points lost (95 %) |"
    yield "|---|---|---|---|---|---|"
    for row in found:
        auc, lost, seeds = (percent(row[name]) for name in ("auc", "lost", "seeds"))
        yield (
            f"| {row['task']} | {row['sites']} | {row['epsilon']} "
            f"| {auc[0]:.1f} ({auc[1]:.1f} to {auc[2]:.1f}) | {seeds[0]:.1f}, {seeds[1]:.1f} "
            f"| {lost[0]:.1f} ({lost[1]:.1f} to {lost[2]:.1f}) |"
        )


def percent(values: Any) -> list[float]:
    """Return shares in points."""
    return [100 * float(value) for value in values]


if __name__ == "__main__":
    main()
