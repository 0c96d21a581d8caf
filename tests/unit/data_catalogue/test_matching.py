"""Counts, exactly, at every level; against a slow reading of the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.data.catalogue.criteria import parse_query
from huizhen.data.catalogue.index import Index
from huizhen.data.catalogue.matching import match
from huizhen.data.catalogue.synthetic import synthetic_index


def leaf(key: str, *values: str) -> dict[str, Any]:
    """Return a coded criterion."""
    return {"key": key, "type": "IN", "value": list(values)}


def band(key: str, low: int, high: int) -> dict[str, Any]:
    """Return a criterion of a number."""
    return {"key": key, "type": "BETWEEN", "value": {"min": low, "max": high}}


def both(operand: str, *children: dict[str, Any]) -> dict[str, Any]:
    """Return a node."""
    return {"operand": operand, "children": list(children)}


MR_AND_MG = both("AND", leaf("modality", "MR"), leaf("modality", "MG"))


@pytest.mark.parametrize(
    ("tree", "within", "counts"),
    [
        (both("OR"), "series", (4, 5, 6)),
        (leaf("modality", "MR"), "series", (1, 2, 2)),
        (both("AND", leaf("modality", "MR"), leaf("manufacturer", "GE")), "series", (1, 1, 1)),
        (MR_AND_MG, "series", (0, 0, 0)),
        (MR_AND_MG, "study", (1, 1, 2)),
        (MR_AND_MG, "subject", (1, 2, 3)),
        (both("NOT", leaf("modality", "MR")), "series", (4, 4, 4)),
        (both("NOT", leaf("modality", "MR")), "study", (3, 3, 3)),
        (both("NOT", leaf("modality", "MR")), "subject", (3, 3, 3)),
        (leaf("sex", "F"), "series", (2, 3, 4)),
        (leaf("sex", "U"), "series", (1, 1, 1)),
        (leaf("diagnosis", "SNOMEDCT363358000"), "series", (2, 3, 4)),
        (band("diagnosis_year", 2020, 2020), "subject", (1, 2, 3)),
        (band("age", 50, 54), "series", (1, 2, 3)),
        (band("age", 0, 150), "series", (3, 4, 5)),
        (band("year", 2019, 2019), "series", (2, 2, 3)),
        (leaf("modality", "NM", "PT"), "series", (0, 0, 0)),
        (leaf("modality", "US", "CT"), "series", (2, 2, 2)),
    ],
)
def test_counts(small: Index, tree: dict[str, Any], within: str, counts: tuple[int, int, int]) -> None:
    whole = tree if "operand" in tree else both("AND", tree)
    assert match(small, parse_query({**whole, "within": within})).counts == counts


def slow(index: Index, tree: dict[str, Any], row: int) -> bool:
    """Tell whether one series meets a tree, by reading it."""
    if "operand" in tree:
        parts = [slow(index, child, row) for child in tree["children"]]
        return {"AND": all(parts), "OR": any(parts), "NOT": not parts[0]}[tree["operand"]]
    columns, study = index.columns, int(index.columns.study[row])
    subject = int(columns.subject[study])
    if tree["key"] == "sex":
        return index.words["sex"][columns.sex[subject]] in tree["value"]
    if tree["key"] == "diagnosis":
        codes = columns.diagnosis[columns.diagnosis_subject == subject]
        return any(index.words["diagnosis"][code] in tree["value"] for code in codes)
    if tree["key"] == "age":
        return tree["value"]["min"] <= int(columns.age[study]) <= tree["value"]["max"]
    return index.words[tree["key"]][getattr(columns, tree["key"])[row]] in tree["value"]


def test_random_trees_match_a_slow_reading(tmp_path: Path) -> None:
    index = synthetic_index(tmp_path / "index", series=400, seed=3)
    draw = stream(1, "trees")

    def grown(depth: int) -> dict[str, Any]:
        if depth == 0 or draw.random() < 0.3:
            key = str(draw.choice(["sex", "modality", "manufacturer", "diagnosis", "age"]))
            if key == "age":
                low = int(draw.integers(0, 90))
                return band("age", low, low + int(draw.integers(0, 40)))
            return leaf(key, *{str(draw.choice(index.words[key][1:])) for _ in range(2)})
        operand = str(draw.choice(["AND", "OR", "NOT"]))
        return both(operand, *(grown(depth - 1) for _ in range(1 if operand == "NOT" else 3)))

    for _ in range(25):
        tree = both("OR", grown(2))
        found = match(index, parse_query(tree))
        wanted = np.array([slow(index, tree, row) for row in range(index.series)])
        assert np.array_equal(found.series, wanted)
        assert set(np.flatnonzero(found.studies)) == set(index.columns.study[wanted].tolist())
        assert set(np.flatnonzero(found.subjects)) == set(index.subject_of_series[wanted].tolist())
