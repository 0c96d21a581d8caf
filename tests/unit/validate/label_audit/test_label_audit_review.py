"""The share of wrong labels over strata: by hand, and how often its interval holds the truth."""

from __future__ import annotations

import pytest

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.label_audit.review import Stratum, share_wrong
from huizhen.validate.proportions import wilson


def test_one_stratum_read_in_part_is_wilsons() -> None:
    found = share_wrong([Stratum(size=10**9, read=100, wrong=7)])
    limits = wilson(7, 100)
    assert (found.value, found.interval.low, found.interval.high) == pytest.approx(
        (0.07, limits.low, limits.high)
    )


def test_read_whole_there_is_no_sampling_error() -> None:
    found = share_wrong([Stratum(size=40, read=40, wrong=10), Stratum(size=0, read=0, wrong=0)])
    assert (found.value, found.interval.low, found.interval.high) == (0.25, 0.25, 0.25)


def test_a_stratum_that_nobody_read_is_refused() -> None:
    with pytest.raises(NotEstimableError, match="not suspected"):
        share_wrong([Stratum(size=40, read=40, wrong=10), Stratum(size=900, read=0, wrong=0)])
    with pytest.raises(InvalidInputError):
        Stratum(size=3, read=4, wrong=0)


@pytest.mark.parametrize(("among_suspects", "among_others"), [(0.5, 0.01), (0.3, 0.0), (0.8, 0.05)])
def test_intervals_hold_the_truth(among_suspects: float, among_others: float) -> None:
    draw = stream(4, "coverage", int(100 * among_suspects))
    held, trials = 0, 600
    wrong = [round(100 * among_suspects), round(900 * among_others)]
    for _ in range(trials):
        seen = draw.hypergeometric(wrong[1], 900 - wrong[1], 60)
        first = draw.hypergeometric(wrong[0], 100 - wrong[0], 70)
        strata = [Stratum(size=100, read=70, wrong=int(first)), Stratum(size=900, read=60, wrong=int(seen))]
        found = share_wrong(strata).interval
        held += found.low <= sum(wrong) / 1000 <= found.high
    assert held / trials >= 0.93
