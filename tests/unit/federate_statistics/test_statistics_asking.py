"""A budget shared out over sites by sums: never exceeded, spent where scores differ, floors kept."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.asking import Asking, Ranking
from huizhen.federate.statistics.interface import Ask, Query
from huizhen.federate.statistics.runner import run
from huizhen.train.active.allocation import BINS, first_edges, number_at, strict


def site(seed: int, count: int, *, scale: float = 1.0, labelled: int = 10) -> Ranking:
    """Return a site's ranking, always the same for its seed."""
    rng = np.random.default_rng(seed)
    score = np.sort(rng.gamma(0.5, scale, count))[::-1]
    return Ranking(n=count + 3, scores=strict(score, shift=float(rng.random())), labelled=labelled)


def asked(sites: list[Ranking], budget: int, share: float = 0.0) -> list[int]:
    """Return how many cases each site asks."""
    found = run(Asking(budget=budget, sites=len(sites), floor_share=share), sites).result
    assert found.open == sum(one.n for one in sites)
    assert found.labelled == sum(one.labelled for one in sites)
    floors = [one.floor(budget, labelled=found.labelled, sites=len(sites), share=share) for one in sites]
    return [number_at(one.scores, floor, found.at) for one, floor in zip(sites, floors, strict=True)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("budget", [1, 7, 40])
def test_the_budget_is_spent_on_the_best_of_all_sites(seed, budget):
    sites = [site(10 * seed + i, 60, scale=s) for i, s in enumerate((1e-6, 1.0, 30.0))]
    given = asked(sites, budget)
    assert sum(given) == budget
    best = sorted(np.concatenate([one.scores for one in sites]))[::-1][:budget]
    taken = np.concatenate([one.scores[:k] for one, k in zip(sites, given, strict=True)])
    assert sorted(taken)[::-1] == best


def test_equal_scores_are_told_apart_within_and_between_sites():
    sites = [Ranking(n=30, scores=strict(np.full(30, 0.5), shift=shift), labelled=0) for shift in (0.1, 0.6)]
    assert sum(asked(sites, 11)) == 11


def test_floors_are_kept_and_never_exceed_the_budget():
    sites = [site(1, 50, scale=1e3, labelled=90), site(2, 50, scale=1e-9, labelled=0), site(3, 2, labelled=0)]
    given = asked(sites, 30, share=0.5)
    assert given[1] >= 10
    assert given[2] == 2  # it has no more
    assert sum(given) == 30
    assert asked(sites, 30, share=0.0)[1] == 0


def test_a_budget_above_what_is_open_asks_for_everybody():
    sites = [site(1, 5), site(2, 4)]
    assert asked(sites, 100) == [5, 4]


def test_no_open_case_anywhere_is_no_share():
    empty = Ranking(n=0, scores=np.zeros(0), labelled=4)
    with pytest.raises(NotEstimableError, match="there is no patient"):
        run(Asking(budget=3, sites=2, floor_share=0.1), [empty, empty])


def test_sites_that_lie_are_found_out():
    statistic = Asking(budget=3, sites=2, floor_share=0.1)
    values = {"labelled": np.zeros(1), "edges": first_edges()}
    query = Query(name="asking", step=1, values=values)
    layout = statistic.layout(query)
    bins = np.zeros(BINS)
    bins[3] = 9
    with pytest.raises(MessageError, match="more scores than open cases"):
        statistic.check(query, aggregate(layout, {"n": 5, "floor": 0, "bins": bins}))
    with pytest.raises(MessageError, match="floors exceed"):
        statistic.update(Ask(query=query), aggregate(layout, {"n": 20, "floor": 4, "bins": bins}))


def test_a_question_out_of_form_is_refused():
    with pytest.raises(InvalidInputError, match="0 labels"):
        Asking(budget=0, sites=2, floor_share=0.1)
    wrong = Query(name="asking", step=1, values={"labelled": np.zeros(1), "edges": np.zeros(BINS + 1)})
    with pytest.raises(MessageError, match="don't rise"):
        Asking(budget=1, sites=2, floor_share=0.1).answer(wrong, site(1, 4))
