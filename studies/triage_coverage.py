"""How often the intervals of triage hold the truth: trials drawn exam by exam, the truth computed.

    OMP_NUM_THREADS=1 nice python studies/triage_coverage.py OUT --trials 1000

Readers and consensus as in triage_type_one.py; the prevalence is 0.3 so that small trials have events. The
truth is computed without a draw. Writes triage_coverage.md; with its seed it repeats.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from huizhen.core.files import write_text
from huizhen.core.streams import stream
from huizhen.errors import NotEstimableError
from huizhen.validate.proportions import wilson
from huizhen.validate.triage.cells import QUANTITIES
from huizhen.validate.triage.comparison import Minutes, compare_policies, measures_of
from huizhen.validate.triage.expected import BinormalAI, expected_shares, patterns_of
from huizhen.validate.triage.levels import RiskLevels
from huizhen.validate.triage.panel import Panel, Reader, simulate_reads
from huizhen.validate.triage.policies import AITriage, DoubleReading
from huizhen.validate.triage.reads import Exams

SEED = 1
PREVALENCE = 0.3
READER = Reader(sensitivity=0.68, specificity=0.955)
CONSENSUS = Reader(sensitivity=0.85, specificity=0.88)
PANEL = Panel(first=READER, second=READER, consensus=CONSENSUS, between_readers=0.5, with_ai=0.5)
AI = BinormalAI(separation=2.0, prevalence=PREVALENCE)
POLICIES = (DoubleReading(), AITriage(top="read"))
MEASURES = ("sensitivity", "specificity", "recall_rate", "ppv", "readings", "readings_saved")
DIFFERENCES = ("sensitivity", "recall_rate", "readings")
RESAMPLES = 500


def truth() -> dict[str, float]:
    """Return what AI triage comes to on average, and its differences from double reading."""
    patterns = patterns_of(PANEL, AI)
    shares = [expected_shares(policy, patterns) for policy in POLICIES]  # (quantity, class)
    weights = np.array([PREVALENCE, 1 - PREVALENCE])
    sums = np.concatenate([weights, *[(each * weights).reshape(2 * len(QUANTITIES)) for each in shares]])
    found = measures_of(sums[np.newaxis], Minutes())
    values = {name: float(found[name][0, 1]) for name in MEASURES}
    return values | {f"less {name}": float(found[name][0, 1] - found[name][0, 0]) for name in DIFFERENCES}


def drawn(draw: np.random.Generator, n: int) -> Exams:
    """Return a trial of n exams."""
    *cuts, top = AI.cuts().tolist()
    levels = RiskLevels(cuts=tuple(cuts), top=top)
    outcome = draw.random(n) < PREVALENCE
    normal = draw.standard_normal(n)
    score = normal + AI.separation * outcome
    reads = simulate_reads(draw, PANEL, outcome, normal)
    return Exams(outcome=outcome, level=levels.of(score), top=levels.in_top(score), reads=reads)


def coverage(n: int, trials: int) -> list[str]:
    """Return a row a measure: how many of the intervals hold the truth."""
    wanted, draw = truth(), stream(SEED, "triage coverage", n)
    held: dict[str, int] = defaultdict(int)
    done = 0
    for trial in range(trials):
        try:
            found = compare_policies(drawn(draw, n), POLICIES, resamples=RESAMPLES, seed=trial)[1]
        except NotEstimableError:
            continue
        done += 1
        estimates = {name: found.measures[name] for name in MEASURES}
        estimates |= {f"less {name}": found.differences[name] for name in DIFFERENCES}
        for name, value in wanted.items():
            held[name] += estimates[name].interval.low <= value <= estimates[name].interval.high
    rows = []
    for name, value in wanted.items():
        limits = wilson(held[name], done)
        share = f"{100 * held[name] / done:.1f} [{100 * limits.low:.1f}, {100 * limits.high:.1f}]"
        rows.append(f"| {n} | {name} | {value:.3f} | {done} | {share} |")
    return rows


def main() -> None:
    """Run all sizes and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=1000)
    chosen = parser.parse_args()
    lines = ["| exams | measure of AI triage | truth | trials | held, % |", "|" + "---|" * 5]
    for n in (50, 200, 1000):
        lines += coverage(n, chosen.trials)
        print("\n".join(lines[-9:]), flush=True)
    write_text(chosen.out / "triage_coverage.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
