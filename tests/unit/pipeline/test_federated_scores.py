"""A table of nobody from distributions: each column goes with the outcomes as the patients' did."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.study_evaluation import Subgroup
from huizhen.errors import MessageError
from huizhen.federate.statistics.data import scored
from huizhen.federate.statistics.divisions import Division
from huizhen.federate.statistics.grouped import GroupedScores, ScoresByGroup
from huizhen.federate.statistics.runner import run
from huizhen.federate.statistics.scores import Scores
from huizhen.pipeline.federated_groups import Counted
from huizhen.pipeline.federated_scores import Block, held_back_of, predictions_of
from huizhen.validate.discrimination import auc
from huizhen.validate.grouping import group_names

AGE = Subgroup(column="age", edges=(50, 70))
COUNTED = (
    Counted(column="sex", names=("F", "M"), division=Division(shape=(2,))),
    Counted(column="age", names=group_names(AGE), division=Division(shape=(3,))),
)
N = 240
DRAW = np.random.default_rng(0)
OUTCOME = DRAW.random(N) < 0.4
RISK = (np.floor(np.clip(DRAW.normal(0.4 + 0.2 * OUTCOME, 0.2), 0.01, 0.99) * 50) + 0.5) / 50
OTHER = np.where(DRAW.random(N) < 0.7, np.round(DRAW.random(N), 2), np.nan)
GROUP = np.array([DRAW.integers(-1, 2, N), DRAW.choice(3, N)])


def block(rows: slice, site: str, *, smallest: int = 1) -> Block:
    """Return some of the patients as a lead knows them."""
    outcome, answered = OUTCOME[rows], ~np.isnan(OTHER[rows])
    main = scored(outcome, RISK[None, rows])
    own = GroupedScores(scored=main, group=GROUP[:, rows], smallest=1)
    by_group = ScoresByGroup(divisions=tuple(c.division for c in COUNTED), smallest_count=smallest)
    other = scored(outcome[answered], OTHER[None, rows][:, answered])
    return Block(
        site=site,
        fold=None,
        scores={"cman": run(Scores(), [main]).result, "other": run(Scores(), [other]).result},
        thresholds={"cman": 0.4, "other": 0.6},
        groups=run(by_group, [own]).result,
    )


BLOCKS = [block(slice(0, 100), "a"), block(slice(100, N), "b")]


def test_every_column_goes_with_the_outcomes_as_the_patients_did():
    table = predictions_of(BLOCKS, Part.TEST, COUNTED)
    assert len(set(table.patient.tolist())) == N
    assert table.outcome.sum() == OUTCOME.sum()
    assert auc(table.outcome, table.risk["cman"]) == pytest.approx(auc(OUTCOME, RISK), abs=1e-12)
    known = ~np.isnan(table.risk["other"])
    assert known.sum() == (~np.isnan(OTHER)).sum()
    wanted = auc(OUTCOME[~np.isnan(OTHER)], OTHER[~np.isnan(OTHER)])
    assert auc(table.outcome[known], table.risk["other"][known]) == pytest.approx(wanted, abs=1e-12)
    assert not table.decision["other"][~known].any()
    np.testing.assert_array_equal(table.decision["cman"], table.risk["cman"] >= 0.4)


def test_groups_go_with_outcome_score_and_site_together():
    table = predictions_of(BLOCKS, Part.TEST, COUNTED)
    site = np.array(["a"] * 100 + ["b"] * (N - 100))
    for place, one in enumerate(COUNTED):
        names = np.array([*one.names, ""])
        patients = Counter(zip(site, OUTCOME, np.floor(RISK * 2**16), names[GROUP[place]], strict=True))
        rows = zip(
            table.site,
            table.outcome,
            np.floor(table.risk["cman"] * 2**16),
            table.groups[one.column],
            strict=True,
        )
        assert Counter(rows) == patients


def test_what_one_block_holds_back_nobody_is_in():
    small = np.bincount(GROUP[1, :20], minlength=3).min()
    blocks = [block(slice(0, 20), "a", smallest=small + 1), block(slice(20, N), "b")]
    assert blocks[0].groups is not None
    hidden = blocks[0].groups.hidden[2:]
    assert hidden.any()
    table = predictions_of(blocks, Part.TEST, COUNTED)
    names = [name for name, held in zip(COUNTED[1].names, hidden, strict=True) if held]
    assert not np.isin(table.groups["age"], names).any()
    held = held_back_of(blocks, COUNTED)["age"]
    assert held.groups == tuple(names)
    assert held.patients == sum((GROUP[1] == place).sum() for place in np.flatnonzero(hidden))


def test_more_answers_or_members_than_patients_are_found_out():
    own = BLOCKS[0]
    double = replace(own.main, events=own.main.events * 2)
    with pytest.raises(MessageError, match="more patients than there are"):
        predictions_of([replace(own, scores={**own.scores, "other": double})], Part.TEST)
    assert own.groups is not None
    moved = replace(own.groups, events=np.roll(own.groups.events, 1, axis=1))
    with pytest.raises(MessageError, match="more patients than there are"):
        predictions_of([replace(own, groups=moved)], Part.TEST, COUNTED)
