"""The study file's [active]: what goes with it, budgets and rounds, every problem with field and remedy."""

from __future__ import annotations

import pytest

from huizhen.core.study_active import Active, QueryRule
from huizhen.core.study_file import check_study_text

SITE = """
[[site]]
name = "{name}"
[[site.source]]
reader = "npz"
modality = "US"
path = "x"
labels = "x"
columns = {{ patient = "p", outcome = "y" }}
"""
HEAD = """\
name = "a"
title = "t"
question = "q"
seed = 1
[task]
outcome = "y"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "US"
"""
SITES = "".join(SITE.format(name=name) for name in ("north", "south"))
FEDERATION = "[federation]\nrounds = 20\n"


def problems(rest: str, sites: str = SITES) -> dict[str, tuple[str, str]]:
    """Return field -> reason and remedy of a study's problems."""
    return {p.field: (p.reason, p.remedy) for p in check_study_text(HEAD + sites + rest)}


def test_the_rules_have_the_words_that_studies_use():
    words = "random least-confidence margin entropy bald core-set badge typiclust fahl"
    assert " ".join(rule.value for rule in QueryRule) == words


def test_a_study_that_asks_has_no_problem():
    assert problems(FEDERATION + "[active]\nbudget = 10\nqueries = 3\n") == {}


@pytest.mark.parametrize(
    ("rest", "field", "reason", "remedy"),
    [
        ("[active]\nbudget = 10\nqueries = 3", "active", "no sites train together", "add [federation]"),
        (FEDERATION + "[active]\nbudget = 10", "active.queries", "says how long", "give queries"),
        (
            FEDERATION + "[active]\nbudget = 10\nqueries = 2\nlabels = 20",
            "active.queries",
            "says how long",
            "labels",
        ),
        (
            FEDERATION + "[active]\nbudget = 10\nqueries = 4",
            "active.rounds_between",
            "leave none of the 20 rounds",
            "at least 21",
        ),
        (
            FEDERATION + "[active]\nbudget = 10\nqueries = 1\n[split]\nmethod = 'folds'",
            "split.method",
            "once a fold",
            "holdout",
        ),
        (
            FEDERATION + "[active]\nbudget = 10\nqueries = 1\nrule = 'bald'\n[network]\ndropout = 0",
            "active.rule",
            "dropout makes the model disagree",
            "network.dropout",
        ),
        (
            FEDERATION + "[active]\nbudget = 10\nqueries = 1\nerror_rate = 0.1",
            "active.error_rate",
            "simulated",
            "oracle",
        ),
        (
            FEDERATION + "[active]\nbudget = 10\nqueries = 1\n[privacy]\nepsilon = 3",
            "active",
            "differential privacy",
            "drop [active] or [privacy]",
        ),
        (
            FEDERATION + "[active]\nbudget = 10\nqueries = 1\nrule = 'fahll'",
            "active.rule",
            "can't be",
            "fahl",
        ),
        (FEDERATION + "[active]\nbudgets = 10\nqueries = 1", "active.budgets", "unknown key", "budget"),
        (FEDERATION + "[active]\nqueries = 1", "active.budget", "is missing", "add it"),
    ],
)
def test_each_problem_has_field_reason_and_remedy(rest, field, reason, remedy):
    found = problems(rest)[field]
    assert reason in found[0]
    assert remedy in found[1]


def test_one_site_has_nobody_to_share_a_budget_with():
    found = problems(FEDERATION + "[active]\nbudget = 1\nqueries = 1", SITE.format(name="north"))
    assert "one development site" in found["active"][0]


def test_budgets_add_up_to_the_labels_and_come_before_their_rounds():
    active = Active(budget=40, labels=100, rounds_between=3)
    assert sum(active.budgets) == 100
    assert [active.first_round(query) for query in range(4)] == [0, 3, 6, 9]
    assert [active.queries_before(number) for number in (0, 2, 3, 8, 9, 99)] == [1, 1, 2, 3, 4, 4]
