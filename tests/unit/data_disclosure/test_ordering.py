"""The ordered distance follows the order of the values, not of the alphabet."""

from __future__ import annotations

import pytest

from huizhen.data.disclosure.assess import assess_data
from huizhen.data.disclosure.microdata import column_of, microdata_of
from huizhen.data.disclosure.ordering import in_order
from huizhen.data.disclosure.policy import DisclosurePolicy, Sensitive
from huizhen.errors import PolicyError

GRADES = ("none", "mild", "moderate", "severe")


def distance(rule: dict[str, object]) -> float:
    """Return t of two towns: one with none and mild, one with moderate and severe."""
    cells = {"town": ["x"] * 4 + ["y"] * 4, "grade": ["none", "mild"] * 2 + ["moderate", "severe"] * 2}
    policy = DisclosurePolicy.model_validate({"quasi": {"town": {}}, "sensitive": {"grade": rule}})
    (mixed,) = assess_data(microdata_of(cells), policy).before.mixed
    return mixed.t


def test_words_in_order_are_as_far_as_their_places() -> None:
    # cumulative shares of x: .5 1 1; of all: .25 .5 .75; mean difference over three steps: 1/3
    assert distance({"t": 1.0, "distance": "ordered", "order": GRADES}) == pytest.approx(1 / 3)


def test_words_without_an_order_are_refused() -> None:
    with pytest.raises(PolicyError, match="no order of their own") as caught:
        distance({"t": 1.0, "distance": "ordered"})
    assert caught.value.field == "sensitive.grade.order"


def test_an_order_that_leaves_a_value_out_is_refused() -> None:
    with pytest.raises(PolicyError, match="leaves out 1 of"):
        distance({"t": 1.0, "distance": "ordered", "order": GRADES[:3]})


@pytest.mark.parametrize("values", [("10", "9", ""), ("2026-01-02", "2025-12-31")], ids=["numbers", "days"])
def test_numbers_and_days_have_an_order(values: tuple[str, ...]) -> None:
    column = column_of("c", values)
    assert in_order(column, Sensitive(t=0.1, distance="ordered")) is column


def test_days_whose_text_does_not_rise_are_refused() -> None:
    column = column_of("c", ["2024-06-01", "2024/05/06"])
    with pytest.raises(PolicyError, match="no order"):
        in_order(column, Sensitive(t=0.1, distance="ordered"))


def test_an_order_without_the_ordered_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="goes with"):
        Sensitive(t=0.1, order=GRADES)
