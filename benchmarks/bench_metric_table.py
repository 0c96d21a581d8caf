"""Time the patient bootstrap of all measures, beside a loop that sorts each resample anew, interleaved.

    OMP_NUM_THREADS=1 python benchmarks/bench_metric_table.py --cases 1000000

The loop calls each measure's own function on the resampled cases. Prints wall and processor seconds for each
resample, scaled to 2,000, and the ratio. Aim: 2,000 resamples of a million cases within 60 s on one core.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.validate.calibration import brier, in_the_large, observed_expected, recalibrate
from huizhen.validate.discrimination import auc
from huizhen.validate.metric_table import _measured, _prepared, _resampled
from huizhen.validate.proportions import confusion, npv, ppv, sensitivity, specificity


def naive(outcome: NDArray[Any], risk: NDArray[np.float64], draw: np.random.Generator) -> list[float]:
    """Return the measures of one resample, each by its own function."""
    picked = draw.integers(0, outcome.size, outcome.size)
    truth, values = outcome[picked], risk[picked]
    table, fit = confusion(truth, values >= 0.2), recalibrate(truth, values)
    shares = [measure(table).value for measure in (sensitivity, specificity, ppv, npv)]
    rest = [measure(truth, values).value for measure in (brier, observed_expected, in_the_large)]
    return [auc(truth, values), *shares, *rest, fit.intercept.value, fit.slope.value]


def main() -> None:
    """Run both in turns and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    draw = stream(1, "bench", "metric table")
    risk = draw.random(chosen.cases) ** 2
    outcome = draw.random(chosen.cases) < risk
    prepared = _prepared(outcome, risk, 0.2, None)
    spent = {"table": [0.0, 0.0, 0.0], "loop": [0.0, 0.0, 0.0]}
    for _ in range(chosen.rounds):
        for name in spent:
            wall, own = time.perf_counter(), time.process_time()
            if name == "table":
                times = sum(len(_measured(prepared, counts)) for counts in _resampled(draw, prepared, 16))
            else:
                times = len([naive(outcome, risk, draw)])
            gone = (time.perf_counter() - wall, time.process_time() - own, times)
            spent[name] = [sum(pair) for pair in zip(spent[name], gone, strict=True)]
    for name, (wall, own, times) in spent.items():
        print(f"{name}: 2,000 resamples in {2000 * wall / times:.0f} s, processor {2000 * own / times:.0f} s")
    ratio = spent["loop"][1] / spent["loop"][2] / (spent["table"][1] / spent["table"][2])
    print(f"processor time, loop / table: {ratio:.1f}")


if __name__ == "__main__":
    main()
