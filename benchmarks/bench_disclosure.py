"""Disclosure risk: seconds for k, l and t of one table against pycanon, and for the search of a recoding.

    PYTHONPATH=src python benchmarks/bench_disclosure.py --rows 3000 --repeats 3 --large 1000000

Patients with an age, a sex, a postcode of four digits, a year of admission and a diagnosis are drawn with
skewed shares. In every repeat each contender measures the smallest class, the fewest distinct diagnoses and
the largest distance of a class from everybody, in alternating order, from the same data in memory; medians
are printed, and that their answers are equal. The peer is asked for `--rows` rows only: it loops over
classes. `--large` rows are then measured and recoded by this package alone, also from a Parquet file.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from huizhen.data.disclosure.assess import assess
from huizhen.data.disclosure.ground import ground_of, standing
from huizhen.data.disclosure.lattice import search
from huizhen.data.disclosure.measures import measured
from huizhen.data.disclosure.microdata import Column, Microdata
from huizhen.data.disclosure.policy import DisclosurePolicy

QUASI = ["age", "sex", "postcode", "year"]
POLICY = DisclosurePolicy.model_validate(
    {
        "quasi": {
            "age": {"kind": "numeric", "bands": [5, 10, 20], "top": 90},
            "sex": {},
            "postcode": {"kind": "prefix", "keep": [3, 2, 1]},
            "year": {"kind": "numeric", "bands": [2, 4, 8]},
        },
        "sensitive": {"dx": {"distinct": 2, "t": 0.5}},
        "bounds": {"k": 5, "max_risk": 0.09, "suppress": 0.05},
    }
)


def table_of(rows: int) -> pd.DataFrame:
    """Return made-up patients; postcodes and diagnoses are as uneven as real ones."""
    rng = np.random.default_rng(20261123)
    codes = rng.choice(2000, rows, p=rng.dirichlet(np.ones(2000) * 0.5))
    return pd.DataFrame(
        {
            "age": np.clip(rng.normal(58, 18, rows), 0, 104).astype(int),
            "sex": rng.choice(["f", "m"], rows),
            "postcode": [f"{1000 + code:04d}" for code in codes],
            "year": rng.integers(2012, 2024, rows),
            "dx": [f"C{code:02d}" for code in rng.choice(60, rows, p=rng.dirichlet(np.ones(60) * 0.5))],
        }
    )


def data_of(frame: pd.DataFrame) -> Microdata:
    """Return a frame as microdata."""
    columns = {}
    for name in frame:
        codes, values = pd.factorize(frame[name], sort=True)
        texts = tuple(map(str, values))
        columns[str(name)] = Column(name=str(name), values=texts, codes=codes.astype(np.int64))
    return Microdata(columns=columns)


def ours(frame: pd.DataFrame) -> tuple[int, int, float]:
    """Return k, l and t by this package."""
    ground = ground_of(data_of(frame), POLICY)
    found = standing(ground, (0,) * len(QUASI), POLICY.bounds)
    made = measured(ground, found.ids, found.sizes, None, POLICY)
    return made.k, made.mixed[0].distinct, made.mixed[0].t


def theirs(frame: pd.DataFrame) -> tuple[int, int, float]:
    """Return the same by pycanon."""
    from pycanon import anonymity

    return (
        anonymity.k_anonymity(frame, QUASI),
        anonymity.l_diversity(frame, QUASI, ["dx"]),
        anonymity.t_closeness(frame, QUASI, ["dx"]),
    )


def timed(run: Callable[[pd.DataFrame], tuple[int, int, float]], frame: pd.DataFrame) -> tuple[float, object]:
    """Return the seconds and the answer of a run."""
    began = time.perf_counter()
    answer = run(frame)
    return time.perf_counter() - began, answer


def compare(rows: int, repeats: int) -> dict[str, object]:
    """Return both contenders' medians on the same rows."""
    frame = table_of(rows)
    seconds: dict[str, list[float]] = {"huizhen": [], "pycanon": []}
    answers: dict[str, object] = {}
    contenders = [("huizhen", ours), ("pycanon", theirs)]
    for repeat in range(repeats):
        for name, run in contenders if repeat % 2 == 0 else contenders[::-1]:
            took, answers[name] = timed(run, frame)
            seconds[name].append(took)
    one, other = answers["huizhen"], answers["pycanon"]
    equal = bool(np.allclose(np.array(one, float), np.array(other, float), atol=1e-9))
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    return {
        "rows": rows,
        "equal": equal,
        "answer": one,
        **medians,
        "ratio": medians["pycanon"] / medians["huizhen"],
    }


def large(rows: int) -> dict[str, object]:
    """Return the seconds that this package takes for many rows, in memory and from a file."""
    frame = table_of(rows)
    measure, _ = timed(ours, frame)
    ground = ground_of(data_of(frame), POLICY)
    began = time.perf_counter()
    found = search(ground, POLICY.bounds, POLICY.search)
    searched = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        frame.astype(str).to_parquet(path)
        began = time.perf_counter()
        whole = assess(path, POLICY)
        command = time.perf_counter() - began
    return {
        "rows": rows,
        "measure_s": measure,
        "search_s": searched,
        "nodes": found.nodes,
        "weighed": found.weighed,
        "optimal": found.optimal,
        "from_parquet_s": command,
        "k": (whole.before.k, whole.after.k if whole.after else None),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Run what was asked for and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=3_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--large", type=int, default=1_000_000)
    asked = parser.parse_args()
    print(json.dumps({"compared": compare(asked.rows, asked.repeats), "large": large(asked.large)}, indent=1))


if __name__ == "__main__":
    main()
