"""How often 95 % intervals hold the truth: every interval of the validation, by simulated patients.

    OMP_NUM_THREADS=1 nice python studies/interval_coverage.py OUT --trials 2000 --resampled 400

Patients have a latent risk whose logit is normal and an outcome drawn from it, so that risks are calibrated;
a second score is the logit with noise. What an interval should hold is taken from 4 million patients. "usual"
has an AUC near .80 and 30 % events, "extreme" one near .96 and 10 %. Bootstrap intervals have fewer trials.
Writes interval_coverage.md; cells that OUT holds already are kept, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.core.evidence import Interval
from huizhen.core.files import write_json, write_text
from huizhen.core.streams import stream
from huizhen.errors import NotEstimableError
from huizhen.validate.agreement import intraclass_correlation, weighted_kappa
from huizhen.validate.calibration import brier, in_the_large, observed_expected, recalibrate
from huizhen.validate.clusters import clustered_auc, clustered_share
from huizhen.validate.concordance import harrell_c
from huizhen.validate.decision_curves import decision_curve
from huizhen.validate.discrimination import auc, auc_interval, paired_difference, unpaired_difference
from huizhen.validate.error_costs import Costs, expected_cost
from huizhen.validate.metric_table import metric_table
from huizhen.validate.operating_points import sensitivity_at_specificity
from huizhen.validate.partial_auc import partial_auc
from huizhen.validate.prevalence import predictive_values
from huizhen.validate.proportions import confusion, npv, ppv, sensitivity, specificity
from huizhen.validate.share_differences import paired_shares, unpaired_shares

Floats = NDArray[np.float64]
SIZES, LARGE, AT = (50, 200, 1000), 4_000_000, 0.3
COSTS = Costs(false_negative=9.0, false_positive=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patients:
    """Outcomes, risks, a second score and a survival time with its event (n,); two patients a cluster."""

    outcome: NDArray[np.bool_]
    risk: Floats
    second: Floats
    time: Floats
    event: NDArray[np.bool_]
    cluster: NDArray[np.int64]
    ratings: Floats


def patients(draw: np.random.Generator, n: int, world: str) -> Patients:
    """Return `n` patients (even) of a world; logits of a cluster's two are correlated by .5."""
    centre, spread = {"usual": (-1.1, 1.5), "extreme": (-6.2, 4.5)}[world]
    shared = np.repeat(draw.normal(size=n // 2), 2)
    logit = centre + spread * (np.sqrt(0.5) * shared + np.sqrt(0.5) * draw.normal(size=n))
    wait, censored = draw.exponential(np.exp(-logit / 2)), draw.exponential(2.0, n)
    return Patients(
        outcome=draw.random(n) < expit(logit),
        risk=expit(logit),
        second=logit + spread * draw.normal(size=n),
        time=np.minimum(wait, censored),
        event=wait <= censored,
        cluster=np.arange(n) // 2,
        ratings=logit[:, None] / spread + draw.normal(size=(n, 2)),
    )


def independent(draw: np.random.Generator, n: int, world: str) -> Patients:
    """Return `n` patients no two of whom are alike: one of each of `n` clusters."""
    both = patients(draw, 2 * n, world)
    kept = slice(0, None, 2)
    return Patients(
        outcome=both.outcome[kept],
        risk=both.risk[kept],
        second=both.second[kept],
        time=both.time[kept],
        event=both.event[kept],
        cluster=both.cluster[kept],
        ratings=both.ratings[kept],
    )


def levels(column: Floats) -> NDArray[np.int64]:
    """Return ratings (n,) in four levels."""
    return np.digitize(column, [-1.0, 0.0, 1.0])


def halves(p: Patients) -> tuple[slice, slice]:
    """Return the first and the second half of the patients."""
    return slice(0, len(p.risk) // 2), slice(len(p.risk) // 2, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """An interval, and the value that it should hold (of very many patients)."""

    interval: Callable[[Patients], Interval]
    value: Callable[[Patients], float]
    resampled: bool = False
    clustered: bool = False


def measures() -> Mapping[str, Measure]:
    """Return every interval by name."""

    def called(p: Patients) -> NDArray[np.bool_]:
        return p.risk >= AT

    def table(p: Patients) -> object:
        return confusion(p.outcome, called(p))

    def share(of: NDArray[np.bool_], hit: NDArray[np.bool_]) -> float:
        return float(hit[of].mean())

    def apart(p: Patients) -> Interval:
        one, two = halves(p)
        return unpaired_difference(p.outcome[one], p.risk[one], p.outcome[two], p.second[two]).interval

    def shares_apart(p: Patients) -> Interval:
        one, two = halves(p)
        sides = [(int(called(p)[half].sum()), len(p.risk[half])) for half in (one, two)]
        return unpaired_shares(*sides)[0].interval

    def gap(p: Patients) -> float:
        return auc(p.outcome, p.risk) - auc(p.outcome, p.second)

    def pair(p: Patients) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        return called(p), expit(p.second) >= AT

    def at_ten(p: Patients) -> tuple[float, float]:
        se, sp = share(p.outcome, called(p)), share(~p.outcome, ~called(p))
        return 0.1 * se / (0.1 * se + 0.9 * (1 - sp)), 0.9 * sp / (0.9 * sp + 0.1 * (1 - se))

    def resampled(name: str) -> Callable[[Patients], Interval]:
        def interval(p: Patients) -> Interval:
            return metric_table(p.outcome, p.risk, threshold=AT, resamples=1000)[name].interval

        return interval

    found = {
        "AUC, logit": Measure(
            interval=lambda p: auc_interval(p.outcome, p.risk, method="logit").interval,
            value=lambda p: auc(p.outcome, p.risk),
        ),
        "AUC, DeLong": Measure(
            interval=lambda p: auc_interval(p.outcome, p.risk).interval,
            value=lambda p: auc(p.outcome, p.risk),
        ),
        "AUC, bootstrap of patients": Measure(
            interval=resampled("auc"), value=lambda p: auc(p.outcome, p.risk), resampled=True
        ),
        "AUC, clusters of two (Obuchowski)": Measure(
            interval=lambda p: clustered_auc(p.outcome, p.risk, p.cluster).interval,
            value=lambda p: auc(p.outcome, p.risk),
            clustered=True,
        ),
        "difference of AUCs, paired": Measure(
            interval=lambda p: paired_difference(p.outcome, p.risk, p.second).interval, value=gap
        ),
        "difference of AUCs, two halves": Measure(interval=apart, value=gap),
        "partial AUC, specificity .9 to 1": Measure(
            interval=lambda p: partial_auc(p.outcome, p.risk, resamples=1000).interval,
            value=lambda p: partial_auc(p.outcome, p.risk, resamples=1).value,
            resampled=True,
        ),
        "sensitivity at specificity .9": Measure(
            interval=lambda p: (
                sensitivity_at_specificity(p.outcome, p.risk, specificity=0.9, resamples=1000).interval
            ),
            value=lambda p: share(p.outcome, p.risk >= np.quantile(p.risk[~p.outcome], 0.9)),
            resampled=True,
        ),
        "sensitivity": Measure(
            interval=lambda p: sensitivity(table(p)).interval, value=lambda p: share(p.outcome, called(p))
        ),
        "specificity": Measure(
            interval=lambda p: specificity(table(p)).interval, value=lambda p: share(~p.outcome, ~called(p))
        ),
        "sensitivity, clusters of two": Measure(
            interval=lambda p: clustered_share(called(p)[p.outcome], p.cluster[p.outcome]).interval,
            value=lambda p: share(p.outcome, called(p)),
            clustered=True,
        ),
        "PPV": Measure(
            interval=lambda p: ppv(table(p)).interval, value=lambda p: share(called(p), p.outcome)
        ),
        "NPV": Measure(
            interval=lambda p: npv(table(p)).interval, value=lambda p: share(~called(p), ~p.outcome)
        ),
        "PPV at prevalence .1": Measure(
            interval=lambda p: predictive_values(table(p), prevalence=0.1).ppv.interval,
            value=lambda p: at_ten(p)[0],
        ),
        "NPV at prevalence .1": Measure(
            interval=lambda p: predictive_values(table(p), prevalence=0.1).npv.interval,
            value=lambda p: at_ten(p)[1],
        ),
        "difference of shares, paired (Tango)": Measure(
            interval=lambda p: paired_shares(*pair(p)).interval,
            value=lambda p: float(pair(p)[0].mean() - pair(p)[1].mean()),
        ),
        "difference of shares, two halves (Newcombe)": Measure(interval=shares_apart, value=lambda p: 0.0),
        "calibration slope": Measure(
            interval=lambda p: recalibrate(p.outcome, p.risk).slope.interval, value=lambda p: 1.0
        ),
        "calibration intercept": Measure(
            interval=lambda p: recalibrate(p.outcome, p.risk).intercept.interval, value=lambda p: 0.0
        ),
        "calibration in the large": Measure(
            interval=lambda p: in_the_large(p.outcome, p.risk).interval, value=lambda p: 0.0
        ),
        "observed to expected": Measure(
            interval=lambda p: observed_expected(p.outcome, p.risk).interval, value=lambda p: 1.0
        ),
        "Brier score": Measure(
            interval=lambda p: brier(p.outcome, p.risk).interval,
            value=lambda p: float(((p.outcome - p.risk) ** 2).mean()),
        ),
        "expected cost": Measure(
            interval=lambda p: expected_cost(table(p), COSTS).interval,
            value=lambda p: expected_cost(table(p), COSTS).value,
        ),
        "net benefit at .2": Measure(
            interval=lambda p: benefit(p, resamples=1000),
            value=lambda p: exact_benefit(p, 0.2),
            resampled=True,
        ),
        "kappa of two raters": Measure(
            interval=lambda p: (
                weighted_kappa(levels(p.ratings[:, 0]), levels(p.ratings[:, 1]), categories=4).interval
            ),
            value=lambda p: (
                weighted_kappa(levels(p.ratings[:, 0]), levels(p.ratings[:, 1]), categories=4).value
            ),
        ),
        "intraclass correlation": Measure(
            interval=lambda p: intraclass_correlation(p.ratings).interval, value=lambda p: 0.5
        ),
        "Harrell's C": Measure(
            interval=lambda p: harrell_c(p.time, p.event, p.risk).interval,
            value=lambda p: harrell_c(p.time[:200_000], p.event[:200_000], p.risk[:200_000]).value,
        ),
    }
    for name, value in (("ppv", "PPV"), ("calibration_slope", "calibration slope"), ("brier", "Brier score")):
        found[f"{value}, bootstrap of patients"] = Measure(
            interval=resampled(name), value=found[value].value, resampled=True
        )
    return found


def benefit(p: Patients, *, resamples: int) -> Interval:
    """Return the interval of the net benefit at .2."""
    band = decision_curve(p.outcome, p.risk, [0.2], resamples=resamples).net_benefit
    return Interval(low=float(band.low[0]), high=float(band.high[0]), method="bootstrap")


def exact_benefit(p: Patients, at: float) -> float:
    """Return the net benefit of acting on risks from `at`."""
    called = p.risk >= at
    return float((called & p.outcome).mean() - (called & ~p.outcome).mean() * at / (1 - at))


def covered(name: str, measure: Measure, world: str, n: int, trials: int, truth: float) -> dict[str, float]:
    """Return how often the interval held `truth`, lay above or below it, or could not be had."""
    draw = stream(1, "coverage", name, world, n)
    make = patients if measure.clustered else independent
    above = below = lost = 0
    for _ in range(trials):
        try:
            found = measure.interval(make(draw, n, world))
        except NotEstimableError:
            lost += 1
            continue
        above += found.low > truth
        below += found.high < truth
    return {"above": above, "below": below, "lost": lost, "trials": trials}


def main() -> None:
    """Simulate every cell, then write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--resampled", type=int, default=400, help="trials of intervals by bootstrap")
    asked = parser.parse_args()
    cells = {}
    for world in ("usual", "extreme"):
        many = independent(stream(0, "coverage", "truth", world), LARGE, world)
        for name, measure in measures().items():
            truth = measure.value(many)
            for n in SIZES:
                file = asked.out / "cells" / f"{world}-{zlib.crc32(name.encode()):08x}-{n}.json"
                if not file.exists():
                    trials = asked.resampled if measure.resampled else asked.trials
                    write_json(file, covered(name, measure, world, n, trials, truth))
                cells[world, name, n] = json.loads(file.read_text(encoding="utf-8"))
    write_text(asked.out / "interval_coverage.md", "\n".join(lines(cells)) + "\n")
    print("\n".join(lines(cells)))


def lines(cells: Mapping[tuple[str, str, int], Mapping[str, int]]) -> Iterator[str]:
    """Yield one table a world: per cent held; in brackets, above and below the truth."""
    for world in ("usual", "extreme"):
        yield f"\n**{world}**\n\n| interval | trials | " + " | ".join(f"n = {n}" for n in SIZES) + " |"
        yield "|---|---|" + "---|" * len(SIZES)
        for name in measures():
            row = [cells[world, name, n] for n in SIZES]
            yield f"| {name} | {row[0]['trials']} | " + " | ".join(map(cell, row)) + " |"


def cell(found: Mapping[str, int]) -> str:
    """Return a cell of the table."""
    had = found["trials"] - found["lost"]
    if had == 0:
        return "not estimable"
    held = 100 * (1 - (found["above"] + found["below"]) / had)
    lost = f"; {100 * found['lost'] / found['trials']:.0f} % not estimable" if found["lost"] else ""
    mark = "" if 93 <= held <= 97 else "**"
    sides = f"({100 * found['above'] / had:.1f}, {100 * found['below'] / had:.1f})"
    return f"{mark}{held:.1f}{mark} {sides}{lost}"


if __name__ == "__main__":
    main()
