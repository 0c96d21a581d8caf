"""Evidence: no number without an interval and an n, no verdict without its grounds, and back from JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huizhen.core.evidence import Bound, Evidence, Interval, Verdict, judge
from huizhen.errors import InvalidInputError

AUC = {"key": "auc/cman/internal/all", "metric": "auc", "stage": "validate"}
INTERVAL = Interval(low=0.8, high=0.9, method="DeLong")
SHARE = st.floats(0, 1)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"estimate": 0.9}, "without an interval"),
        ({"estimate": 0.9, "interval": INTERVAL}, "without an interval and an n"),
        ({"estimate": 0.9, "n": 10}, "without an interval"),
        ({"verdict": Verdict.PASS}, "without a bound or a reason"),
        ({"verdict": Verdict.NOT_ASSESSED}, "without a reason"),
    ],
)
def test_what_a_reader_could_not_judge_is_refused(more: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        Evidence(**AUC, **more)  # type: ignore[arg-type]  # the test chooses the fields


@pytest.mark.parametrize(("low", "high"), [(0.9, 0.8), (float("nan"), 1), (0, float("nan"))])
def test_intervals_stand_upright(low: float, high: float) -> None:
    with pytest.raises(InvalidInputError, match="upside down"):
        Interval(low=low, high=high, method="x")


@given(SHARE, SHARE, SHARE, st.integers(1, 10**6), st.booleans(), st.sampled_from(["lower", "estimate"]))
def test_json_brings_it_back(a: float, b: float, c: float, n: int, phantom: bool, on: str) -> None:
    interval = Interval(low=min(a, b), high=max(a, b), method="Wilson", level=0.9)
    bound = Bound(at_least=c, on=on)
    verdict = judge(c, interval, bound)
    evidence = Evidence(
        **AUC,
        estimate=c,
        interval=interval,
        n=n,
        bound=bound,
        verdict=verdict,
        phantom=phantom,
        detail={"x": [1]},
    )
    assert Evidence.from_json(evidence.to_json()) == evidence


def test_empty_fields_are_left_out_but_zero_is_not() -> None:
    record = Evidence(**AUC, estimate=0.0, n=0, n_events=0, descriptive=True).to_json()
    assert (record["estimate"], record["n"], record["n_events"]) == (0.0, 0, 0)
    assert "interval" not in record
    assert "phantom" not in record


@pytest.mark.parametrize(
    "record", [{}, {**AUC, "colour": 1}, {**AUC, "verdict": "maybe"}, {**AUC, "interval": {"low": 1}}]
)
def test_other_records_are_no_evidence(record: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        Evidence.from_json(record)


def test_bounds_look_at_the_lower_limit_unless_told_otherwise() -> None:
    assert judge(0.86, INTERVAL, Bound(at_least=0.85)) is Verdict.FAIL
    assert judge(0.86, INTERVAL, Bound(at_least=0.8)) is Verdict.PASS
    assert judge(0.86, INTERVAL, Bound(at_least=0.85, on="estimate")) is Verdict.PASS
    assert judge(0.86, INTERVAL, None) is Verdict.REPORTED
