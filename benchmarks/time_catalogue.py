"""Whether the time of an answer tells if nobody meets a question or a few: the area under the ROC curve.

    PYTHONPATH=src python benchmarks/time_catalogue.py

A guard over a synthetic index has told some sixty counts. Questions of one form (a year, a year of age, sex,
maker, modality, body part) are worked out again and again, in random order and without being told; the time
of the processor is compared between those that nobody, one to nine, and ten or more subjects meet. .5 is
chance. The interval resamples questions, by percentiles of 2,000 draws.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_catalogue import questions
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.data.catalogue.disclosure import Disclosure
from huizhen.data.catalogue.matching import match
from huizhen.data.catalogue.synthetic import WORDS, synthetic_index
from huizhen.federate.catalogue.desk import Desk
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

FEW = 10


def narrow(draw: np.random.Generator) -> Query:
    """Return a question of the one form."""
    age, year = int(draw.integers(20, 90)), int(draw.integers(2005, 2026))
    bands = [("age", age), ("year", year)]
    leaves = [{"key": key, "type": "BETWEEN", "value": {"min": at, "max": at}} for key, at in bands]
    for key in ("manufacturer", "modality", "body_part"):
        leaves.append({"key": key, "type": "IN", "value": [str(draw.choice(WORDS[key][1:]))]})
    leaves.append({"key": "sex", "type": "IN", "value": [str(draw.choice(["F", "M"]))]})
    return parse_query({"operand": "AND", "children": leaves})


def area(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """Return how often one of `high` is larger than one of `low`; ties count half."""
    above = (high[:, None] > low[None, :]).mean() + 0.5 * (high[:, None] == low[None, :]).mean()
    return float(above)


def interval(low: NDArray[np.float64], high: NDArray[np.float64], draw: np.random.Generator) -> list[float]:
    """Return the 95 percent interval of `area`."""
    found = [area(draw.choice(low, len(low)), draw.choice(high, len(high))) for _ in range(2000)]
    return [round(float(value), 3) for value in np.percentile(found, [2.5, 97.5])]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--series", type=int, default=1_000_000)
    options.add_argument("--each", type=int, default=60)
    options.add_argument("--times", type=int, default=5)
    given = options.parse_args()
    draw = stream(1, "times")
    with tempfile.TemporaryDirectory() as scratch:
        index = synthetic_index(Path(scratch) / "index", series=given.series, seed=1)
        log = Log.open(Path(scratch) / "ledger", SigningKey.generate())
        desk = Desk(index, Disclosure(age_step=1, most_a_day=100_000), log, None)
        for query in questions(90, 2):
            desk.answer(query, asker="0" * 16)
        groups: dict[str, list[Query]] = {"nobody": [], "one to nine": [], "ten or more": []}
        while min(map(len, groups.values())) < given.each:
            query = narrow(draw)
            count = match(index, query).counts[0]
            name = "nobody" if not count else "one to nine" if count < FEW else "ten or more"
            if len(groups[name]) < given.each:
                groups[name].append(query)
        every = [(name, query) for name, found in groups.items() for query in found]
        spent: dict[str, dict[str, list[float]]] = {name: {} for name in groups}
        for _ in range(given.times):
            for place in draw.permutation(len(every)):
                name, query = every[place]
                start = time.process_time()
                desk._planned(query)
                spent[name].setdefault(query.digest, []).append(1000 * (time.process_time() - start))
        log.close()
    least = {name: np.array([min(times) for times in found.values()]) for name, found in spent.items()}
    said: dict[str, object] = {"median_ms": {n: round(float(np.median(v)), 2) for n, v in least.items()}}
    for low, high in (("nobody", "one to nine"), ("one to nine", "ten or more")):
        both = least[low], least[high]
        said[f"{low} / {high}"] = [round(area(*both), 3), *interval(*both, draw)]
    print(
        json.dumps(said | {"questions of each": given.each, "told": desk._guards["subjects"].told}, indent=1)
    )


if __name__ == "__main__":
    main()
