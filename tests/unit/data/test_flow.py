"""The flow's counts: what may be counted, and in which order."""

from __future__ import annotations

import pytest

from huizhen.data.flow import TALLIES, Tally
from huizhen.errors import InvalidInputError


def test_tallies_that_are_not_zero_come_by_name() -> None:
    found = Tally.of("north", {"mixed_outcomes": 2, "beyond_bag_limit": 1, "non_finite_values": 0})
    assert [(one.what, one.count) for one in found] == [("beyond_bag_limit", 1), ("mixed_outcomes", 2)]


@pytest.mark.parametrize("what", ["blurred", "", "Mixed_outcomes"])
def test_nothing_is_counted_that_reports_have_no_word_for(what: str) -> None:
    assert what not in TALLIES
    with pytest.raises(InvalidInputError, match="counted as"):
        Tally(site="north", what=what, count=1)
