"""How useful guarded and noisy counts are: a researcher's typical questions, and how far off they are told.

    PYTHONPATH=src python benchmarks/use_catalogue.py

Prints for made-up indices of several sizes how many of 250 questions are refused or told as few, how many of
these few are in truth ten or more, and the error of the others.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from attack_catalogue import REFUSED, Teller, Tree, band, both, leaf, subjects_of, tellers

from huizhen.core.streams import stream
from huizhen.data.catalogue.index import Index
from huizhen.data.catalogue.synthetic import WORDS, synthetic_index

SERIES, EACH = 5, 50


def typical(draw: np.random.Generator) -> Tree:
    """Return a question: a diagnosis, mostly with a modality, at times narrowed by more."""
    parts = [_drawn(draw, "diagnosis", 6)]
    if draw.random() < 0.8:
        parts.append(_drawn(draw, "modality", 5))
    if draw.random() < 0.5:
        low = int(draw.integers(6, 13)) * 5
        parts.append(band("age", low, low + int(draw.choice([9, 19, 29]))))
    if draw.random() < 0.3:
        parts.append(leaf("sex", str(draw.choice(["F", "M"]))))
    if draw.random() < 0.3:
        parts.append(_drawn(draw, "body_part", 5))
    if draw.random() < 0.2:
        parts.append(_drawn(draw, "manufacturer", 4))
    if draw.random() < 0.3:
        year = int(draw.integers(2008, 2020))
        parts.append(band("year", year, year + 5))
    return both("AND", *parts)


def _drawn(draw: np.random.Generator, key: str, most: int) -> Tree:
    return leaf(key, str(draw.choice(WORDS[key][1:most])))


def series_of(index: Index, tell: Teller, seed: int) -> list[tuple[int, int | str | None]]:
    """Return the true and the told count of each question of one series."""
    draw = stream(seed, "useful")
    asked = [typical(draw) for _ in range(EACH)]
    return [(int(subjects_of(index, tree).sum()), tell(tree)) for tree in asked]


def main() -> None:
    """Measure and print."""
    for size in (500, 2000, 20_000):
        with tempfile.TemporaryDirectory() as scratch:
            index = synthetic_index(Path(scratch) / "index", series=size * 6, seed=1)
            for name in ("guard", "noise"):
                told = [one for n in range(SERIES) for one in series_of(index, tellers(index)[name](), n)]
                off = np.array([(abs(said - true), true) for true, said in told if isinstance(said, int)])
                ratio = off[:, 0] / np.maximum(off[:, 1], 1)
                few = [true for true, said in told if said is None]
                found = {
                    "subjects": size,
                    "by": name,
                    "questions": len(told),
                    "refused": sum(said == REFUSED for _, said in told),
                    "few": [len(few), sum(true >= 10 for true in few)],
                    "off": np.quantile(off[:, 0], [0.5, 0.95]).round(1).tolist(),
                    "relative": np.quantile(ratio, [0.5, 0.95]).round(3).tolist(),
                }
                print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
