"""The search finds what trying every node finds, and says when it can't know."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from huizhen.data.disclosure.cells import blank_cells
from huizhen.data.disclosure.ground import Ground, ground_of, standing
from huizhen.data.disclosure.lattice import search
from huizhen.data.disclosure.microdata import Microdata, microdata_of
from huizhen.data.disclosure.policy import Bounds, DisclosurePolicy, Search

QUASI = {
    "age": {"kind": "numeric", "bands": [5, 10, 20]},
    "sex": {},
    "born": {"kind": "date", "to": ["month", "year", "5 years"]},
    "code": {"kind": "prefix"},
}


def table(rows: int, seed: int, *, repeated: bool = False) -> Microdata:
    rng = np.random.default_rng(seed)
    cells = {
        "age": [str(n) for n in rng.integers(20, 90, rows)],
        "sex": [str(v) for v in rng.choice(["f", "m", ""], rows)],
        "born": [f"20{m // 12:02d}-{m % 12 + 1:02d}-03" for m in rng.integers(0, 180, rows)],
        "code": [str(v) for v in rng.choice(["101", "102", "201", "209"], rows)],
        "dx": [str(v) for v in rng.choice(["a", "b", "c", "d"], rows, p=[0.6, 0.2, 0.1, 0.1])],
    }
    who = [f"p{n}" for n in rng.integers(0, rows // 2, rows)] if repeated else None
    return microdata_of(cells, patients=who)


def policy(**parts: object) -> DisclosurePolicy:
    return DisclosurePolicy.model_validate({"quasi": QUASI, **parts})


def every(ground: Ground, rule: DisclosurePolicy) -> list:
    spans = [range(low, top) for low, top in zip(ground.finest, ground.shape, strict=True)]
    return [standing(ground, node, rule.bounds) for node in itertools.product(*spans)]


CASES = {
    "k": {"bounds": {"k": 5, "suppress": 0.05}},
    "no-suppression": {"bounds": {"k": 3, "suppress": 0.0}},
    "risk": {"bounds": {"k": 2, "max_risk": 0.09, "suppress": 0.1}},
    "mean-risk": {"bounds": {"k": 2, "average_risk": 0.05, "suppress": 0.1}},
    "distinct": {"sensitive": {"dx": {"distinct": 3}}, "bounds": {"k": 3}},
    "entropy": {"sensitive": {"dx": {"entropy": 2.5}}, "bounds": {"k": 3, "suppress": 0.2}},
    "recursive": {"sensitive": {"dx": {"recursive": [4, 2]}}, "bounds": {"k": 3, "suppress": 0.2}},
    "t": {"sensitive": {"dx": {"t": 0.2}}, "bounds": {"k": 3, "suppress": 0.2}},
    "discernibility": {"search": {"loss": "discernibility"}, "bounds": {"k": 5}},
}


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("repeated", [False, True], ids=["a-row-each", "several-rows"])
def test_the_search_is_as_good_as_trying_every_node(name: str, repeated: bool) -> None:
    rule = policy(**CASES[name])
    ground = ground_of(table(400, 7, repeated=repeated), rule)
    found = search(ground, rule.bounds, rule.search)
    weighed = [one for one in every(ground, rule) if one.holds]
    assert found.optimal
    assert weighed, "the case is too hard to tell anything"
    by = rule.search.loss
    assert found.best is not None
    assert getattr(found.best, by) == pytest.approx(min(getattr(one, by) for one in weighed))
    assert found.weighed < found.nodes or by == "discernibility"


def test_what_cannot_be_kept_is_said() -> None:
    rule = policy(bounds={"k": 500})
    found = search(ground_of(table(400, 7), rule), rule.bounds, rule.search)
    assert found.best is None
    assert found.optimal


def test_a_large_lattice_is_searched_greedily_and_says_so() -> None:
    rule = policy(bounds={"k": 5}, search={"nodes": 10})
    ground = ground_of(table(400, 7), rule)
    found = search(ground, rule.bounds, rule.search)
    exact = search(ground, rule.bounds, Search())
    assert not found.optimal
    assert found.best is not None
    assert exact.best is not None
    assert found.best.holds
    assert exact.best.entropy <= found.best.entropy + 1e-12
    assert found.weighed < exact.nodes


def test_the_least_level_is_kept_to() -> None:
    rule = policy(quasi={**QUASI, "age": {**QUASI["age"], "least": 2}}, bounds={"k": 2})
    found = search(ground_of(table(400, 7), rule), rule.bounds, rule.search)
    assert found.best is not None
    assert found.best.node[0] >= 2


@pytest.mark.parametrize("repeated", [False, True], ids=["a-row-each", "several-rows"])
def test_hidden_cells_lose_less_than_rows_left_out_and_keep_the_bounds(repeated: bool) -> None:
    rule = policy(bounds={"k": 5, "suppress": 0.2})
    ground = ground_of(table(400, 7, repeated=repeated), rule)
    found = search(ground, rule.bounds, rule.search).best
    assert found is not None
    assert found.suppressed > 0, "nothing to hide"
    made = blank_cells(ground, found, rule.bounds)
    assert made.hidden.any()
    assert made.sizes[~made.failing].min() >= 5
    assert made.entropy < found.entropy
    assert made.suppressed <= found.suppressed
    labels = [
        one.levels[n].codes[c] for one, n, c in zip(ground.hierarchies, found.node, ground.codes, strict=True)
    ]
    seen = np.stack([np.where(made.hidden[:, k], -1, one) for k, one in enumerate(labels)], axis=1)
    for one in np.unique(made.ids):
        assert len(np.unique(seen[made.ids == one], axis=0)) == 1 or made.failing[one]


def test_bounds_ask_for_the_larger_class() -> None:
    assert Bounds(k=3, max_risk=0.2).least_class == 5
    assert Bounds(k=11, max_risk=0.2).least_class == 11
