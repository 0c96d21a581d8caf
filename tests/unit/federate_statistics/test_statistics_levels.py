"""Levels found over sites: the pooled ones, none of few patients, and no name out of a mixture."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError, PolicyError
from huizhen.federate.statistics import levels as rooms
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.levels import LONGEST, LevelCounts, Levels
from huizhen.federate.statistics.runner import run


def sites_of(values: list[str | None], parts: int, seed: int = 0) -> list[LevelCounts]:
    """Return patients dealt over sites at random."""
    place = np.random.default_rng(seed).integers(0, parts, len(values))
    found = []
    for part in range(parts):
        own = [v for v, p in zip(values, place, strict=True) if p == part]
        found.append(LevelCounts(counts=Counter(v for v in own if v is not None), n=len(own)))
    return found


def test_the_pooled_levels_are_found():
    values = ["positive"] * 40 + ["negative"] * 31 + ["不明"] * 7 + ["3"] * 5 + [None] * 9
    found = run(Levels(column="er", smallest_count=5), sites_of(values, 4)).result
    assert dict(found.counts) == {"3": 5, "negative": 31, "positive": 40, "不明": 7}
    assert (found.rest, found.n) == (0, 92)


def test_a_level_rare_over_all_sites_is_not_named_and_one_rare_at_each_is():
    values = ["a"] * 50 + ["b"] * 6 + ["c"] * 4 + ["d"]
    sites = sites_of(values, 5)
    assert max(site.counts.get("b", 0) for site in sites) < 5
    found = run(Levels(column="g", smallest_count=5), sites).result
    assert dict(found.counts) == {"a": 50, "b": 6}
    assert found.rest == 5


def test_levels_that_share_a_cell_are_parted_and_none_is_named_out_of_a_mixture(monkeypatch):
    monkeypatch.setattr(rooms, "CELLS", 4)
    values = ["a"] * 20 + ["b"] * 15 + ["c"] * 9 + ["rare"]
    asked = []

    class Watched(Levels):
        def answer(self, query, data):
            found = super().answer(query, data)
            salt, what, cells, _ = rooms._asked(query)
            if what == rooms.NAMES:
                asked.extend((salt, int(cell)) for cell in cells)
            return found

    found = run(Watched(column="g", smallest_count=5), sites_of(values, 3)).result
    assert dict(found.counts) == {"a": 20, "b": 15, "c": 9}
    for salt, cell in asked:
        inside = {v for v in values if rooms._cell("g", v, salt) == cell}
        assert "rare" not in inside


def test_too_many_levels_are_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(rooms, "CELLS", 4)
    values = [f"patient {i}" for i in range(200)]
    with pytest.raises(NotEstimableError, match="too many levels") as caught:
        run(Levels(column="id", smallest_count=5), sites_of(values, 2))
    assert "state its levels" in str(caught.value.remedy)


def test_a_site_names_no_level_that_the_lead_says_few_have():
    statistic = Levels(column="g", smallest_count=5)
    site = LevelCounts(counts={"a": 3}, n=3)
    cell = float(rooms._cell("g", "a", 0))
    for total in (4.0, 2.0):
        query = Query(
            name="levels",
            step=2,
            values={
                "pass": np.array([0.0, rooms.NAMES]),
                "cells": np.array([cell]),
                "totals": np.array([total]),
            },
        )
        with pytest.raises(PolicyError, match="few patients"):
            statistic.answer(query, site)


@pytest.mark.parametrize(
    "values",
    [
        {"pass": np.array([0.0, 3.0]), "cells": np.zeros(0), "totals": np.zeros(0)},
        {"pass": np.array([99.0, 0.0]), "cells": np.zeros(0), "totals": np.zeros(0)},
        {"pass": np.array([0.0, 1.0]), "cells": np.array([1.0, 1.0]), "totals": np.array([9.0, 9.0])},
        {"pass": np.array([0.0, 1.0]), "cells": np.array([1e9]), "totals": np.array([9.0])},
        {"pass": np.array([0.0, 1.0]), "cells": np.array([1.0]), "totals": np.zeros(0)},
    ],
    ids=["kind", "pass", "twice", "place", "totals"],
)
def test_a_query_of_another_form_is_refused(values):
    with pytest.raises(MessageError):
        Levels(column="g", smallest_count=5).layout(Query(name="levels", values=values))


@pytest.mark.parametrize("counts", [{"": 1}, {"x" * (LONGEST + 1): 1}, {"a": 0}, {"a": 9}])
def test_counts_that_do_not_fit_are_refused(counts):
    with pytest.raises(InvalidInputError):
        LevelCounts(counts=counts, n=5)
