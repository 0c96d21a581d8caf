"""How often the non-inferiority tests of triage err: trials in which the policy is worse by just the margin.

    OMP_NUM_THREADS=1 nice python studies/triage_type_one.py OUT --trials 10000

Readers and the AI are correlated given the truth. The AI's separation is solved for, without drawing, so that
the policy detects a share of the events that is lower than double reading's by just the margin. Then trials
are drawn exam by exam, both policies read the same exams, and each test that passes has erred: 2.5 % should.
Two-armed trials draw each arm by itself. Writes triage_type_one.md; with its seed it repeats.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri

from huizhen.core.files import write_text
from huizhen.core.streams import stream
from huizhen.validate.proportions import wilson
from huizhen.validate.triage.expected import BinormalAI, expected_shares, patterns_of
from huizhen.validate.triage.levels import RiskLevels
from huizhen.validate.triage.noninferiority import paired_score, unpaired_score
from huizhen.validate.triage.panel import Panel, Reader, simulate_reads
from huizhen.validate.triage.policies import (
    AISecondReader,
    AITriage,
    DoubleReading,
    Policy,
    RuleOut,
    carried_out,
)
from huizhen.validate.triage.reads import Exams

SEED = 1
PASSES = float(ndtri(0.975))
PREVALENCE = 0.007
READER = Reader(sensitivity=0.68, specificity=0.955)
CONSENSUS = Reader(sensitivity=0.85, specificity=0.88)
PANEL = Panel(first=READER, second=READER, consensus=CONSENSUS, between_readers=0.5, with_ai=0.5)
DRAWS = 20
RESAMPLES = 1000
BLOCK = 400_000
"""Exams held at once."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A policy against double reading on `events` events, worse by just `margin`."""

    name: str
    policy: Policy
    events: int
    margin: float


SETTINGS = tuple(
    Setting(name=name, policy=policy, events=events, margin=margin)
    for name, policy, margin in (
        ("AI triage", AITriage(top="read"), 0.05),
        ("AI as second reader", AISecondReader(referral="any"), 0.05),
        ("rule-out below level 7", RuleOut(read_from=7), 0.05),
        ("rule-out below level 7", RuleOut(read_from=7), 0.10),
    )
    for events in (100, 200, 400, 1000)
)


def gap_of(policy: Policy, separation: float) -> float:
    """Return the expected sensitivity of `policy` less that of double reading."""
    patterns = patterns_of(PANEL, BinormalAI(separation=separation, prevalence=PREVALENCE))
    return float(expected_shares(policy, patterns)[0, 0] - expected_shares(DoubleReading(), patterns)[0, 0])


def ai_at(policy: Policy, margin: float) -> BinormalAI:
    """Return the AI with which `policy` detects just `margin` less."""
    separation = brentq(lambda at: gap_of(policy, at) + margin, 0.0, 5.0, xtol=1e-10)
    return BinormalAI(separation=separation, prevalence=PREVALENCE)


def recalled(
    draw: np.random.Generator, ai: BinormalAI, policy: Policy, shape: tuple[int, int], draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of draws that recalls each event (trials, events), by the policy and double reading.

    All draws of readers meet the same exams of their trial.
    """
    trials, events = shape
    *cuts, top = ai.cuts().tolist()
    levels = RiskLevels(cuts=tuple(cuts), top=top)
    normal = draw.standard_normal(trials * events)
    score, truth = normal + ai.separation, np.ones(trials * events, dtype=np.bool_)
    reads = simulate_reads(draw, PANEL, truth, normal, draws=draws)
    exams = Exams(outcome=truth, level=levels.of(score), top=levels.in_top(score), reads=reads)
    found = (carried_out(each, exams).recalled.mean(axis=0) for each in (policy, DoubleReading()))
    new, reference = (each.reshape(shape) for each in found)
    return new, reference


def discordant(setting: Setting, ai: BinormalAI, trials: int) -> tuple[Counts, Counts]:
    """Return for each trial the events that only the policy, and only double reading, recalls."""
    draw = stream(SEED, "triage type one", setting.name, setting.events, f"{setting.margin}")
    only_new, only_old = [], []
    size = max(1, BLOCK // setting.events)
    for done in range(0, trials, size):
        new, old = recalled(draw, ai, setting.policy, (min(size, trials - done), setting.events), 1)
        only_new.append(((new == 1) & (old == 0)).sum(axis=1))
        only_old.append(((new == 0) & (old == 1)).sum(axis=1))
    return np.concatenate(only_new), np.concatenate(only_old)


def wald_passes(b: Counts, c: Counts, n: int, margin: float) -> NDArray[np.bool_]:
    """Return which trials the usual interval, difference ± 1.96 standard errors, would pass."""
    gap = (b - c) / n
    error = np.sqrt((b + c) / n - gap**2) / np.sqrt(n)
    return np.asarray(gap - PASSES * error > -margin)


def bootstrap_passes(
    draw: np.random.Generator, b: Counts, c: Counts, n: int, margin: float
) -> NDArray[np.bool_]:
    """Return which trials the percentile interval over patients passes."""
    passes = np.empty(b.size, dtype=np.bool_)
    for k in range(b.size):
        drawn = draw.multinomial(n, [b[k] / n, c[k] / n, 1 - (b[k] + c[k]) / n], size=RESAMPLES)
        passes[k] = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, 0.025) > -margin
    return passes


def averaged_errors(setting: Setting, ai: BinormalAI, trials: int) -> int:
    """Return how many trials the test on shares over `DRAWS` draws of readers passes."""
    draw, passed = stream(SEED, "triage averaged", setting.name, setting.events, f"{setting.margin}"), 0
    size = max(1, BLOCK // (setting.events * DRAWS))
    for done in range(0, trials, size):
        new, old = recalled(draw, ai, setting.policy, (min(size, trials - done), setting.events), DRAWS)
        b, c = (np.maximum(side * (new - old), 0).sum(axis=1) for side in (1, -1))
        score = paired_score(b, c, setting.events, setting.margin)
        passed += int(np.count_nonzero(score > PASSES))
    return passed


def share(count: int, n: int) -> str:
    """Return a percentage with its Monte-Carlo interval."""
    found = wilson(count, n)
    return f"{100 * count / n:.2f} [{100 * found.low:.2f}, {100 * found.high:.2f}]"


def paired_row(setting: Setting, trials: int) -> str:
    """Return one row of the table of paired trials."""
    ai, n = ai_at(setting.policy, setting.margin), setting.events
    b, c = discordant(setting, ai, trials)
    score = paired_score(b, c, n, setting.margin) > PASSES
    boot = bootstrap_passes(
        stream(SEED, "triage bootstrap", setting.name, n, f"{setting.margin}"), b, c, n, setting.margin
    )
    errors = (
        int(np.count_nonzero(score)),
        int(np.count_nonzero(wald_passes(b, c, n, setting.margin))),
        int(np.count_nonzero(boot)),
        averaged_errors(setting, ai, trials),
    )
    row = f"| {setting.name} | {setting.margin} | {n} | {ai.auc:.3f} | {trials} | "
    return row + " | ".join(share(count, trials) for count in errors) + " |"


def arms_row(rate: float, margin: float, exams: int, trials: int) -> str:
    """Return a row of two-armed trials whose detection rates differ by just `margin`."""
    draw = stream(SEED, "triage arms", exams, f"{rate} {margin}")
    new, old = draw.binomial(exams, rate - margin, size=trials), draw.binomial(exams, rate, size=trials)
    passed = int(np.count_nonzero(unpaired_score(new, exams, old, exams, margin) > PASSES))
    return f"| {exams} | {1000 * rate:g} | {1000 * margin:g} | {trials} | {share(passed, trials)} |"


def main() -> None:
    """Run all settings and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=10_000)
    chosen = parser.parse_args()
    lines = [
        "| policy | margin | events | AUC of the AI | trials | Tango's score | Wald | bootstrap | averaged |",
        "|" + "---|" * 9,
    ]
    for setting in SETTINGS:
        lines.append(paired_row(setting, chosen.trials))
        print(lines[-1], flush=True)
    lines += [
        "",
        "| exams an arm | detected in 1,000 | margin | trials | Farrington-Manning |",
        "|---|---|---|---|---|",
    ]
    for exams in (10_000, 40_000):
        for margin in (0.0005, 0.001):
            lines.append(arms_row(0.0051, margin, exams, chosen.trials))
            print(lines[-1], flush=True)
    write_text(chosen.out / "triage_type_one.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
