"""What MASAI's totals say of readings, and what AI triage would do with readers whom AI doesn't change.

    OMP_NUM_THREADS=1 nice python studies/triage_masai.py OUT

Totals: Lång et al., Lancet Oncol 24:936-944 (2023). Readers are fitted to each arm's totals under stated
assumptions; then arms are drawn exam by exam and read by the policies. Writes triage_masai.md; with its seed
it repeats.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from huizhen.core.files import write_text
from huizhen.core.streams import stream
from huizhen.errors import NotEstimableError
from huizhen.validate.estimates import Estimate
from huizhen.validate.triage.comparison import PolicyResult, compare_policies
from huizhen.validate.triage.expected import BinormalAI, expected_shares, patterns_of, separation_of
from huizhen.validate.triage.levels import RiskLevels
from huizhen.validate.triage.panel import Panel, simulate_reads
from huizhen.validate.triage.policies import AITriage, DoubleReading, Policy
from huizhen.validate.triage.published import ArmTotals, panel_for
from huizhen.validate.triage.reads import Exams

SEED = 4
CONTROL = ArmTotals(exams=40_024, events=275, detected=203, recalled=817, readings=83_231)
WITH_AI = ArmTotals(exams=39_996, events=303, detected=244, recalled=861, readings=46_345)
TRIAGE, DOUBLE = AITriage(top="read"), DoubleReading()
CONSENSUS_SENSITIVITY = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What the totals don't fix."""

    auc: float = 0.93
    between_readers: float = 0.5
    with_ai: float = 0.5
    top_level: float = 0.10

    def ai(self, totals: ArmTotals) -> BinormalAI:
        """Return the AI over an arm's prevalence; its highest level holds `top_level` of the exams."""
        below = tuple(np.linspace(0, 1 - self.top_level, 10)[1:].tolist())
        prevalence = totals.events / totals.exams
        return BinormalAI(separation=separation_of(self.auc), prevalence=prevalence, shares=below)

    def panel(self, totals: ArmTotals, policy: Policy) -> Panel:
        """Return the readers who come to an arm's totals."""
        return panel_for(
            totals,
            policy,
            self.ai(totals),
            consensus_sensitivity=CONSENSUS_SENSITIVITY,
            between_readers=self.between_readers,
            with_ai=self.with_ai,
        )


def drawn(totals: ArmTotals, panel: Panel, assumed: Assumed, name: str) -> Exams:
    """Return an arm drawn exam by exam."""
    ai, draw = assumed.ai(totals), stream(SEED, "MASAI", name)
    *cuts, top = ai.cuts().tolist()
    levels = RiskLevels(cuts=tuple(cuts), top=top)
    truth = np.arange(totals.exams) < totals.events
    normal = draw.standard_normal(truth.size)
    score = normal + ai.separation * truth
    reads = simulate_reads(draw, panel, truth, normal)
    return Exams(outcome=truth, level=levels.of(score), top=levels.in_top(score), reads=reads)


def shown(found: Estimate, scale: float = 1.0, digits: int = 2) -> str:
    """Return an estimate with its interval."""
    low, high = found.interval.low * scale, found.interval.high * scale
    return f"{scale * found.value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def arm_row(name: str, totals: ArmTotals, policy: Policy, assumed: Assumed) -> str:
    """Return one arm's row: drawn exam by exam, published."""
    exams = drawn(totals, assumed.panel(totals, policy), assumed, name)
    found = compare_policies(exams, [policy], seed=SEED)[0].measures
    cells = (
        (shown(found["readings"], totals.exams, 0), f"{totals.readings}"),
        (shown(found["consensus"], totals.exams, 0), ""),
        (shown(found["detection_rate"], 1000), f"{1000 * totals.detected / totals.exams:.2f}"),
        (shown(found["recall_rate"], 100), f"{100 * totals.recalled / totals.exams:.2f}"),
        (shown(found["ppv"], 100, 1), f"{100 * totals.detected / totals.recalled:.1f}"),
    )
    text = " | ".join(f"{one} ({other})" if other else one for one, other in cells)
    return f"| {name} | {totals.exams} | {text} |"


def unchanged(assumed: Assumed) -> list[PolicyResult]:
    """Return double reading and AI triage over the same exams, read by the control arm's readers."""
    panel = assumed.panel(CONTROL, DOUBLE)
    exams = drawn(CONTROL, panel, assumed, "control arm's readers")
    return compare_policies(exams, [DOUBLE, TRIAGE], seed=SEED)


def accounts() -> list[str]:
    """Return by the share of the highest level what consensus the published totals leave."""
    head = "| highest level, % | read twice | consensus left | consensus, % | saved, % |"
    lines = [f"{head} saved without consensus, % |", "|" + "---|" * 6]
    for top in (0.0635, 0.0792, 0.10, 0.12, 0.1587):
        twice = top * WITH_AI.exams
        left = WITH_AI.readings - WITH_AI.exams - twice
        saved = 1 - WITH_AI.readings / CONTROL.readings
        plain = 1 - (WITH_AI.exams + twice) / (2 * CONTROL.exams)
        lines.append(
            f"| {100 * top:.2f} | {twice:.0f} | {left:.0f} | {100 * left / WITH_AI.exams:.2f} | "
            f"{100 * saved:.1f} | {100 * plain:.1f} |"
        )
    return lines


def varied() -> list[str]:
    """Return what AI triage does with unchanged readers, on average, as the assumptions vary."""
    lines = [
        "| AUC of the AI | between readers | with AI | readings saved, % | found of double reading's, % |"
    ]
    lines.append("|" + "---|" * 5)
    for auc, between, with_ai in itertools.product((0.88, 0.93), (0.3, 0.5, 0.7), (0.3, 0.5, 0.7)):
        assumed = Assumed(auc=auc, between_readers=between, with_ai=with_ai)
        head = f"| {auc} | {between} | {with_ai} | "
        try:
            patterns = patterns_of(assumed.panel(CONTROL, DOUBLE), assumed.ai(CONTROL))
        except NotEstimableError:
            lines.append(head + "no readers fit | |")
            continue
        except ValueError:
            continue  # no panel has these correlations
        share = np.array([patterns.prevalence, 1 - patterns.prevalence])
        one, two = (expected_shares(policy, patterns) for policy in (TRIAGE, DOUBLE))
        saved = 1 - float((one[1:] @ share).sum() / (two[1:] @ share).sum())
        lines.append(head + f"{100 * saved:.1f} | {100 * one[0, 0] / two[0, 0]:.1f} |")
    return lines


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    assumed = Assumed()
    lines = [
        "| arm | exams | readings | consensus | detected in 1,000 | recalled, % | PPV, % |",
        "|" + "---|" * 7,
        arm_row("double reading", CONTROL, DOUBLE, assumed),
        arm_row("AI triage", WITH_AI, TRIAGE, assumed),
        "",
        *accounts(),
        "",
    ]
    for name, result in zip(("double reading", "AI triage"), unchanged(assumed), strict=True):
        found, gap = result.measures, result.differences
        lines.append(
            f"{name}: detected {shown(found['detection_rate'], 1000)} in 1,000, recalled "
            f"{shown(found['recall_rate'], 100)} %, readings saved "
            f"{shown(found['readings_saved'], 100, 1)} %, difference in sensitivity "
            f"{shown(gap['sensitivity'], 100, 1)} points"
        )
    lines += ["", *varied()]
    print("\n".join(lines))
    write_text(chosen.out / "triage_masai.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
