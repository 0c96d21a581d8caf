"""The study file's [triage]: defaults, what is refused, what silence leaves unsigned."""

from __future__ import annotations

import pytest

from huizhen.core.study import Study
from huizhen.core.study_file import check_study_text
from huizhen.core.study_problems import parse_study
from huizhen.core.study_triage import ReadingPolicy, TriagePlan

GIVEN = """\
name = "a"
title = "t"
question = "q"
seed = 1
[task]
outcome = "y"
positive = ["1"]
negative = ["0"]
[predictions]
table = "scores.csv"
outcome = "y"
score = "s"
"""

TRIAGE = """\
[triage]
cuts = [0.2, 0.5, 0.9]
margin = 0.05
[[triage.policy]]
kind = "double"
[[triage.policy]]
kind = "ai_triage"
from_level = 4
[triage.readers]
first = { sensitivity = 0.8, specificity = 0.95 }
"""


def problems_of(text: str) -> list[str]:
    return [f"{p.field}: {p.reason} {p.remedy}" for p in check_study_text(text)]


def study_of(text: str) -> Study:
    study, _, problems = parse_study(text)
    assert problems == []
    assert study is not None
    return study


def plan_of(text: str) -> TriagePlan:
    plan = study_of(GIVEN + text).triage
    assert plan is not None
    return plan


def test_a_plan_is_read_with_its_defaults() -> None:
    plan = plan_of(TRIAGE)
    assert [policy.label for policy in plan.policy] == ["double", "ai_triage"]
    assert plan.level_count == 4
    assert plan.readers.columns is None
    assert plan.minutes.consensus == 3
    assert [policy.level for policy in plan.policy] == [None, 4]


def test_without_the_section_nothing_is_signed() -> None:
    study = study_of(GIVEN)
    assert study.triage is None
    assert "triage" not in study.model_dump(mode="json")
    assert "triage" in study_of(GIVEN + TRIAGE).model_dump(mode="json")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("cuts = [0.2, 0.5, 0.9]", 'cuts = "tune"', "tuning patients"),
        ("cuts = [0.2, 0.5, 0.9]", "cuts = [0.5, 0.2]", "must rise"),
        ("cuts = [0.2, 0.5, 0.9]", "cuts = [0.2, 0.5, 0.9]\ntop_cut = 0.8", "no lower than the last"),
        ("from_level = 4", "from_level = 5", "above the highest level"),
        ("from_level = 4", "", "above the highest level"),
        ('kind = "ai_triage"\nfrom_level = 4', 'kind = "double"', "one name"),
        ('kind = "double"', 'kind = "double"\nfrom_level = 3', "double"),
        ('kind = "double"', 'kind = "double"\ntop = "read"', "double"),
        ('kind = "double"', 'kind = "double"\nreaders = 1', "double"),
        ("first = { sensitivity = 0.8, specificity = 0.95 }", "follow = 0.1", "accuracy"),
        ("[triage.readers]", "[triage.readers]\nwith_ai = 0.8", "square"),
        (
            "first = { sensitivity = 0.8, specificity = 0.95 }",
            'columns = { first = "r", second = "r" }',
            "one column",
        ),
    ],
    ids=["tune", "falling", "top", "high", "default", "twice", "level", "mark", "many", "who", "how", "same"],
)
def test_what_cannot_be_is_refused(before: str, after: str, told: str) -> None:
    assert before in TRIAGE
    found = problems_of(GIVEN + TRIAGE.replace(before, after))
    assert found
    assert any(told in problem for problem in found), found


def test_a_share_of_the_top_is_at_most_a_level() -> None:
    text = TRIAGE.replace("cuts = [0.2, 0.5, 0.9]", "top_share = 0.2")
    given = GIVEN.replace('score = "s"', 'score = "s"\ntune = "other.csv"')
    assert any("top_share" in problem for problem in problems_of(given + text))
    wrong = text.replace("top_share = 0.2", "top_cut = 0.2")
    assert any("top_cut" in problem for problem in problems_of(given + wrong))


def test_it_needs_scores_and_columns_need_a_table() -> None:
    reads = GIVEN[: GIVEN.index("[predictions]")] + (
        '[reads]\ntable = "t.csv"\npatient = "p"\noutcome = "y"\nreader = "r"\nrating = "s"\n'
    )
    assert any("scores" in problem for problem in problems_of(reads + TRIAGE))
    assert Study.model_fields["triage"].default is None
    assert ReadingPolicy(kind="rule_out", name="low").label == "low"
