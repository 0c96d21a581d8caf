"""Endpoints judged together: p-values that turn intervals round, Holm, gates, what was not assessed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huizhen.core.evidence import Bound, Evidence, Interval, Verdict, judge
from huizhen.core.study import Study
from huizhen.core.study_file import check_study_text
from huizhen.errors import InvalidInputError
from huizhen.validate.assessments.multiplicity import one_sided_p, with_multiplicity
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.proportions import proportion

SOURCE = {
    "reader": "images",
    "modality": "MG",
    "path": "mg",
    "labels": "l.csv",
    "columns": {"patient": "id", "outcome": "y"},
}


def a_study(how: str, families: list[int]) -> Study:
    return Study.model_validate(
        {
            "name": "small",
            "title": "t",
            "question": "q",
            "seed": 1,
            "task": {"outcome": "y", "positive": ("1",), "negative": ("0",)},
            "modality": [{"name": "MG", "kind": "image"}],
            "site": [{"name": "north", "source": [SOURCE]}],
            "evaluation": {"multiplicity": how},
            "endpoint": [{"metric": "auc", "at_least": 0.5, "family": family} for family in families],
        }
    )


def endpoint(number: int, p: float | None) -> Evidence:
    """An endpoint whose one-sided p-value is `p`: an estimate so many standard errors above its bound."""
    key, bound = f"endpoint/{number}/auc/internal", Bound(at_least=0.5)
    if p is None:
        return Evidence.not_assessed(key=key, metric="auc", stage="validate", reason="none", bound=bound)
    from scipy.special import ndtri

    error = 0.05
    estimate = 0.5 - float(ndtri(p)) * error
    interval = Interval(low=estimate - 1.959963985 * error, high=estimate + 0.1, method="Wald")
    return Evidence(
        key=key,
        metric="auc",
        stage="validate",
        estimate=estimate,
        interval=interval,
        n=9,
        bound=bound,
        verdict=judge(estimate, interval, bound),
    )


def judged(how: str, p: list[float | None], families: list[int] | None = None) -> list[tuple[Any, Any]]:
    lines = [endpoint(number, value) for number, value in enumerate(p, start=1)]
    found = with_multiplicity(lines, a_study(how, families or [1] * len(p)))
    return [(e.verdict.value, e.detail.get("p_adjusted")) for e in found]


def test_all_changes_nothing() -> None:
    assert judged("all", [0.02, 0.2]) == [("pass", None), ("fail", None)]


def test_holm_judges_each_by_itself() -> None:
    found = judged("holm", [0.02, 0.004, 0.011])
    assert [verdict for verdict, _ in found] == ["pass", "pass", "pass"]
    assert [p for _, p in found] == pytest.approx([0.022, 0.012, 0.022], abs=1e-6)
    assert [verdict for verdict, _ in judged("holm", [0.02, 0.004, 0.014])] == ["fail", "pass", "fail"]


def test_a_gate_that_stays_shut_stops_what_is_behind_it() -> None:
    assert [v for v, _ in judged("gatekeeping", [0.02, 0.001], [1, 2])] == ["pass", "pass"]
    assert [v for v, _ in judged("gatekeeping", [0.03, 0.001], [1, 2])] == ["fail", "fail"]
    assert [v for v, _ in judged("gatekeeping", [0.001, 0.03], [2, 1])] == ["fail", "fail"]


def test_what_was_not_assessed_counts_as_not_met() -> None:
    assert judged("holm", [0.02, None]) == [("fail", pytest.approx(0.04, abs=1e-6)), ("not assessed", None)]
    assert [v for v, _ in judged("gatekeeping", [None, 0.001], [1, 2])] == ["not assessed", "fail"]


def test_without_endpoints_nothing_happens() -> None:
    assert with_multiplicity([], a_study("holm", [1])) == []
    other = endpoint(1, 0.2)
    assert with_multiplicity([other], a_study("all", [1])) == [other]


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.01, 0.99))
def test_p_is_small_exactly_where_wilson_s_limit_reaches_the_bound(
    hits: int, more: int, bound: float
) -> None:
    found = proportion(hits, hits + more)
    p = one_sided_p(found.value, found.interval, bound, n=found.n)
    if abs(found.interval.low - bound) > 1e-9:
        assert (p <= 0.025) == (found.interval.low > bound)


@given(st.integers(0, 10_000), st.floats(0.05, 0.95), st.sampled_from(["logit", "delong"]))
def test_p_is_small_exactly_where_the_limit_of_an_auc_reaches_the_bound(
    seed: int, bound: float, method: Any
) -> None:
    draw = np.random.default_rng(seed)
    outcome = np.arange(24) % 2 == 0
    score = np.round(draw.normal(size=24) + draw.uniform(0, 4) * outcome, 1)
    found = auc_interval(outcome, score, method=method)
    p = one_sided_p(found.value, found.interval, bound, n=24)
    if abs(found.interval.low - bound) > 1e-9 and found.interval.low > 0:
        assert (p <= 0.025 + 1e-12) == (found.interval.low > bound)


def test_where_nothing_varies_p_is_sure() -> None:
    still = Interval(low=0.0, high=0.0, method="identical ranking")
    assert (one_sided_p(0.0, still, -0.05, n=9), one_sided_p(0.0, still, 0.0, n=9)) == (0.0, 1.0)
    perfect = auc_interval(np.arange(20) < 10, -np.arange(20.0), method="logit")
    assert one_sided_p(1.0, perfect.interval, 0.8, n=20) == pytest.approx(0.8**10)
    assert math.isclose(one_sided_p(1.0, perfect.interval, perfect.interval.low, n=20), 0.025)


def test_a_study_says_which_endpoints_cannot_be_judged_so() -> None:
    text = """
name = "a"
title = "t"
question = "q"
seed = 1
[task]
outcome = "y"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "MG"
[[site]]
name = "north"
[[site.source]]
reader = "npz"
modality = "MG"
path = "x"
labels = "x"
columns = { patient = "p", outcome = "y" }
[evaluation]
multiplicity = "HOW"
[[endpoint]]
at_least = 0.7
on = "estimate"
family = 2
"""
    found = {p.field: p.reason for p in check_study_text(text.replace("HOW", "holm"))}
    assert "no p-value" in found["endpoint[0].on"]
    assert "gatekeeping only" in found["endpoint[0].family"]
    found = {p.field: p.reason for p in check_study_text(text.replace("HOW", "gatekeeping"))}
    assert set(found) == {"endpoint[0].on"}
    assert check_study_text(text.replace("HOW", "bonferroni"))[0].field == "evaluation.multiplicity"


def test_unmeasured_stays_unmeasured() -> None:
    [line] = with_multiplicity([endpoint(1, None)], a_study("holm", [1]))
    assert line.verdict is Verdict.NOT_ASSESSED
    with pytest.raises(InvalidInputError):
        Evidence(key="x", metric="auc", stage="s", verdict=Verdict.NOT_ASSESSED)
