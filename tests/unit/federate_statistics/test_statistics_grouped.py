"""Scores by group: equal to the pooled groups, with small groups held back, and lies found out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, MessageError, PolicyError
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.data import scored
from huizhen.federate.statistics.delong import BINS, bins_of
from huizhen.federate.statistics.divisions import NOBODY, Division, held_back
from huizhen.federate.statistics.fixed_point import encode
from huizhen.federate.statistics.grouped import GroupedDistribution, GroupedScores, ScoresByGroup
from huizhen.federate.statistics.interface import Ask, Query
from huizhen.federate.statistics.runner import conduct, respond, run

SEX, AGE, BOTH = Division(shape=(2,)), Division(shape=(3,)), Division(shape=(2, 3), of=(0, 1))
DIVISIONS = (SEX, AGE, BOTH)


def a_site(seed: int, n: int = 60, *, smallest: int = 1, ages: tuple[float, ...] = (0.4, 0.3, 0.3)) -> Any:
    draw = np.random.default_rng(seed)
    outcome, score = draw.random(n) < 0.4, draw.random((1, n)).round(3)
    sex, age = draw.integers(NOBODY, 2, n), draw.choice(3, n, p=ages)
    both = np.where(sex == NOBODY, NOBODY, sex * 3 + age)
    return GroupedScores(scored=scored(outcome, score), group=np.array([sex, age, both]), smallest=smallest)


def together(sites: list[Any]) -> Any:
    """Return the patients of all sites as one site's."""
    outcome = np.concatenate([site.scored.outcome for site in sites])
    scores = np.concatenate([site.scored.scores for site in sites], axis=1)
    group = np.concatenate([site.group for site in sites], axis=1)
    return GroupedScores(scored=scored(outcome, scores), group=group, smallest=1)


def test_sums_over_sites_are_the_pooled_groups():
    sites = [a_site(seed) for seed in range(3)]
    pooled = together(sites)
    found = run(ScoresByGroup(divisions=DIVISIONS, smallest_count=5, least_sites=3), sites).result
    assert not found.hidden.any()
    bins, start = bins_of(pooled.scored.scores[0]), 0
    for place, division in enumerate(DIVISIONS):
        for group in range(division.groups):
            own = pooled.group[place] == group
            assert found.sizes[start + group] == own.sum()
            for counts, side in ((found.events, True), (found.others, False)):
                wanted = np.bincount(bins[own & (pooled.scored.outcome == side)], minlength=BINS)
                np.testing.assert_array_equal(counts[start + group], wanted)
        start += division.groups


def test_groups_at_too_few_sites_are_held_back_with_another_one():
    sites = [a_site(1, ages=(0.5, 0.5, 0.0)), a_site(2, ages=(0.5, 0.5, 0.0)), a_site(3)]
    found = run(ScoresByGroup(divisions=DIVISIONS, smallest_count=5, least_sites=2), sites).result
    hidden = found.hidden[2:5]
    assert hidden[2]
    assert hidden.sum() == 2, "the total and the other groups would give it"
    assert found.events[2:5][hidden].sum() == found.others[2:5][hidden].sum() == 0
    crossed = found.hidden[5:].reshape(2, 3)
    assert crossed[:, hidden].all(), "by both columns it would show all the same"


@pytest.mark.parametrize("seed", range(30))
def test_no_small_group_follows_by_subtraction_along_a_row_or_column(seed):
    draw = np.random.default_rng(seed)
    table = draw.choice([0, 1, 3, 8, 40], (3, 4))
    sizes = [table.sum(axis=1), table.sum(axis=0), table]
    kinds = [Division(shape=(3,)), Division(shape=(4,)), Division(shape=(3, 4), of=(0, 1))]
    barred = [np.zeros(size.shape, bool) for size in sizes]
    first, second, cells = held_back(kinds, sizes, barred, smallest=5)
    for line, held in ((sizes[0], first), (sizes[1], second)):
        assert held[(line > 0) & (line < 5)].all()
    assert cells[(table > 0) & (table < 5)].all()
    lines = [(sizes[0], first, True), (sizes[1], second, True)]
    lines += [(table[i], cells[i], not first[i]) for i in range(3)]
    lines += [(table[:, j], cells[:, j], not second[j]) for j in range(4)]
    for line, held, total_known in lines:
        left = line[held]
        enough = left.size >= 2 and left.sum() >= 5
        assert not left.size or enough or not total_known or held[line > 0].all()


def test_a_site_alone_holds_its_small_groups_back():
    site = a_site(4, 40, smallest=5, ages=(0.88, 0.08, 0.04))
    statistic = ScoresByGroup(divisions=DIVISIONS, smallest_count=5)
    told = respond(statistic, Query(name=statistic.name), site)
    small = (np.bincount(site.group[1], minlength=3) < 5) & (np.bincount(site.group[1], minlength=3) > 0)
    assert small.any()
    assert (told["sizes"][2:5][small] == 0).all()
    assert (told["held"][2:5][small] == 1).all()
    for place, group in enumerate(small):
        if group:
            shown = {"shown": np.eye(3)[place]}
            with pytest.raises(PolicyError, match="fewer than 5 patients"):
                respond(statistic, Query(name=statistic.name, step=2, values=shown), site)
    found = run(statistic, [site]).result
    assert found.hidden[2:5][small].all()


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        (1, [1.0, 0.0, 0.0]),
        (1, [0.0, 0.0]),
        (1, [0.5, 1.0]),
        (1, [np.nan, 1.0]),
        (1, [[1.0, 1.0]]),
        (4, [1.0, 1.0]),
        (7, [1.0]),
    ],
)
def test_a_query_of_another_form_is_refused(step, shown):
    query = Query(name="scores_by_group", step=step, values={"shown": np.array(shown)})
    with pytest.raises(MessageError):
        respond(ScoresByGroup(divisions=DIVISIONS), query, a_site(0))


def test_a_query_without_its_parameter_is_refused():
    with pytest.raises(MessageError, match="lacks a parameter"):
        respond(ScoresByGroup(divisions=DIVISIONS), Query(name="scores_by_group", step=1), a_site(0))


LIES = {
    "more in a division than patients": (0, "sizes", lambda x: x * 3),
    "more in histograms than in their groups": (1, "events", lambda x: x + 1),
    "fewer in histograms than in their groups": (1, "others", lambda x: x * 0),
    "all in one histogram": (1, "others", lambda x: x + 10**6),
}


@pytest.mark.parametrize("lie", LIES)
def test_sums_that_contradict_each_other_are_found_out(lie):
    step, name, change = LIES[lie]
    statistic = ScoresByGroup(divisions=DIVISIONS)

    def exchange(query: Query) -> Any:
        told = respond(statistic, query, a_site(0))
        values = dict(told.values)
        if query.step == step:
            values[name] = change(values[name])
        return encode(aggregate(told.layout, values), sites=1)

    with pytest.raises(MessageError, match="groups"):
        conduct(statistic, exchange)


def test_words_of_another_length_or_negative_counts_are_refused():
    statistic = ScoresByGroup(divisions=DIVISIONS)
    told = respond(statistic, Query(name=statistic.name), a_site(0))
    with pytest.raises(MessageError):
        conduct(statistic, lambda _: encode(told, sites=1)[:-1])
    with pytest.raises(InvalidInputError):
        aggregate(told.layout, {**told.values, "sizes": told["sizes"] - 1000})


@pytest.mark.parametrize(
    ("shape", "of"), [((), ()), ((0,), ()), ((2, 2), ()), ((2,), (0,)), ((2, 2, 2), (0, 1, 2))]
)
def test_divisions_of_another_form_are_refused(shape, of):
    with pytest.raises(InvalidInputError):
        Division(shape=shape, of=of)


@pytest.mark.parametrize("divisions", [(BOTH, SEX, AGE), (SEX, BOTH), (SEX, SEX, BOTH)])
def test_a_division_is_made_of_those_before_it(divisions):
    with pytest.raises(InvalidInputError, match="come before it"):
        ScoresByGroup(divisions=divisions)


def test_groups_of_another_study_are_refused():
    site = a_site(0)
    for group in (site.group[:2], site.group + 5, site.group - 1):
        other = GroupedScores(scored=site.scored, group=group, smallest=1)
        with pytest.raises(InvalidInputError, match="other divisions"):
            respond(ScoresByGroup(divisions=DIVISIONS), Query(name="scores_by_group"), other)
    with pytest.raises(InvalidInputError):
        GroupedScores(scored=site.scored, group=site.group[:, 1:], smallest=1)


def test_nobody_in_any_group_ends_after_the_first_round():
    site = a_site(0)
    nobody = GroupedScores(scored=site.scored, group=np.full_like(site.group, NOBODY), smallest=1)
    done = run(ScoresByGroup(divisions=DIVISIONS), [nobody])
    assert done.rounds == 1
    assert isinstance(done.result, GroupedDistribution)
    assert done.result.events.sum() == 0
    statistic = ScoresByGroup(divisions=DIVISIONS)
    assert isinstance(
        statistic.update(statistic.start(), respond(statistic, Query(name=statistic.name), site)), Ask
    )
