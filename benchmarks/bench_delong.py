"""Time DeLong's test at scale, beside scikit-learn's AUC, which gives no variance, in one interleaved run.

    OMP_NUM_THREADS=1 python benchmarks/bench_delong.py --cases 1000000

Prints medians in seconds and their ratio. Aim: under 2 s for a million cases on one core.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from huizhen.core.streams import stream
from huizhen.validate.discrimination import delong, paired_difference


def simulated(cases: int, *, decimals: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return outcomes (n,), 10 % events, and two scores (2, n), rounded so that ties occur."""
    draw = stream(1, "bench", "delong", cases)
    outcome = draw.random(cases) < 0.1
    return outcome, np.round(draw.normal(size=(2, cases)) + outcome, decimals)


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(cases: int, *, repeats: int, decimals: int) -> dict[str, float]:
    """Return the median seconds of each measure, taken in turns after one run to warm up."""
    outcome, scores = simulated(cases, decimals=decimals)
    works: dict[str, Callable[[], Any]] = {
        "huizhen delong, one score": lambda: delong(outcome, scores[0]),
        "scikit-learn roc_auc_score": lambda: roc_auc_score(outcome, scores[0]),
        "huizhen paired difference": lambda: paired_difference(outcome, *scores),
    }
    agreed = delong(outcome, scores[0]).aucs[0] - roc_auc_score(outcome, scores[0])
    if abs(agreed) > 1e-10:
        raise SystemExit(f"the AUCs differ by {agreed}")
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            taken[name].append(timed(work))
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for kind, decimals in (("few ties", 12), ("many ties", 2)):
        medians = compare(arguments.cases, repeats=arguments.repeats, decimals=decimals)
        reference = medians["scikit-learn roc_auc_score"]
        print(f"{arguments.cases} cases, {kind}, median of {arguments.repeats}:")
        for name, seconds in medians.items():
            print(f"  {name:28s} {seconds:8.3f} s   {seconds / reference:5.2f} x scikit-learn")


if __name__ == "__main__":
    main()
