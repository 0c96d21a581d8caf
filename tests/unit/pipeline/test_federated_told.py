"""What sites told, written down and read again: every count but those of groups that are held back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.study import Study
from huizhen.errors import DossierError
from huizhen.federate.statistics.data import scored
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.grouped import GroupedScores, ScoresByGroup
from huizhen.federate.statistics.runner import run
from huizhen.federate.statistics.scores import Scores
from huizhen.pipeline.federated_again import _not_noted, _read, cuts_of, federated_again
from huizhen.pipeline.federated_groups import counted_groups
from huizhen.pipeline.federated_scores import Block, held_back_of
from huizhen.pipeline.federated_told import Told, file_of

N = 90
DRAW = np.random.default_rng(3)
OUTCOME, RISK = DRAW.random(N) < 0.4, DRAW.random((2, N)).round(3)
SEX = np.where(np.arange(N) < 3, 2, np.arange(N) % 2)
"""Of the third kind there are three."""


@pytest.fixture
def study(make_study: Any) -> Study:
    groups = {"F": ("f",), "M": ("m",), "X": ("x",)}
    clinic = {"name": "T", "kind": "table", "numeric": ["x"]}
    return make_study(clinic, subgroup=[{"column": "sex", "groups": groups}])


@pytest.fixture
def told(study: Study) -> Told:
    counted, left = counted_groups(study)
    main = scored(OUTCOME, RISK[:1])
    grouped = GroupedScores(scored=main, group=SEX[np.newaxis], smallest=1)
    statistic = ScoresByGroup(divisions=tuple(one.division for one in counted), smallest_count=5)
    both = run(DeLong(models=2), [scored(OUTCOME, RISK)]).result
    block = Block(
        site="all",
        fold=None,
        scores={"cman": run(Scores(), [main]).result},
        thresholds={"cman": 0.5},
        groups=run(statistic, [grouped]).result,
    )
    return Told(
        part=Part.TEST,
        sites=("a", "b", "c"),
        apart=False,
        blocks=(block,),
        counted=counted,
        uncounted=left,
        held_back=held_back_of([block], counted),
        refused={"table_lr": "not here"},
        pairs={"cman~single:a": both, "cman~single:b": "too few"},
    )


def test_it_is_read_as_it_was_written(told, study):
    again = Told.from_json(json.loads(json.dumps(told.to_json())), study)
    assert again.to_json() == told.to_json()
    assert again.held_back == told.held_back
    np.testing.assert_array_equal(again.blocks[0].groups.hidden, told.blocks[0].groups.hidden)
    np.testing.assert_array_equal(again.blocks[0].groups.events, told.blocks[0].groups.events)
    np.testing.assert_array_equal(again.blocks[0].main.others, told.blocks[0].main.others)
    pair = again.pairs["cman~single:a"]
    np.testing.assert_array_equal(pair.covariance, told.pairs["cman~single:a"].covariance)


def test_it_holds_every_count_but_those_held_back(told):
    (block,) = told.to_json()["blocks"]
    assert sum(block["models"]["cman"]["events"].values()) == OUTCOME.sum()
    held = set(told.held_back["sex"].groups)
    assert "X" in held
    assert len(held) == 2
    assert held.isdisjoint(group["group"] for group in block["groups"])
    shown = sum(sum(g[side].values()) for g in block["groups"] for side in ("events", "others"))
    assert shown + told.held_back["sex"].patients == N


def test_a_file_of_another_form_is_refused(told, study, tmp_path):
    for wrong in ("[]", "{}", json.dumps({**told.to_json(), "blocks": [{}]}), "no json"):
        (tmp_path / "scores_test.json").write_text(wrong, encoding="utf-8")
        with pytest.raises(DossierError, match="can't be read by this version"):
            _read(tmp_path / "scores_test.json", study)


def test_without_sums_nothing_is_made_again(study, tmp_path):
    assert federated_again(tmp_path, [], study) is None
    assert file_of(Part.EXTERNAL) == "scores_external.json"
    assert cuts_of({}) == {}
    assert "cman and table_lr" in str(_not_noted("cman", "table_lr"))
