"""Expected costs, by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.error_costs import Costs, expected_cost
from huizhen.validate.proportions import Confusion

COSTS = Costs(false_negative=50, false_positive=2, true_positive=5, true_negative=0, test=1)
TABLE = Confusion(true_positive=30, false_negative=10, false_positive=20, true_negative=140)


def test_by_hand() -> None:
    found = expected_cost(TABLE, COSTS)
    assert found.value == pytest.approx(1 + (30 * 5 + 10 * 50 + 20 * 2) / 200)
    same = expected_cost(TABLE, COSTS, prevalence=0.2)
    assert same.value == pytest.approx(found.value)
    rare = expected_cost(TABLE, COSTS, prevalence=0.01)
    assert rare.value == pytest.approx(1 + 0.01 * (0.75 * 5 + 0.25 * 50) + 0.99 * 0.125 * 2)


def test_the_threshold_is_where_both_choices_cost_the_same() -> None:
    at = COSTS.threshold
    act = at * COSTS.true_positive + (1 - at) * COSTS.false_positive
    leave = at * COSTS.false_negative + (1 - at) * COSTS.true_negative
    assert act == pytest.approx(leave)


@pytest.mark.parametrize("prevalence", [None, 0.05])
def test_intervals_cover(prevalence: float | None) -> None:
    draw, held, trials = np.random.default_rng(1), 0, 1000
    shares = np.array([0.24, 0.06, 0.07, 0.63])
    share = 0.3 if prevalence is None else prevalence
    truth = 1 + share * (0.8 * 5 + 0.2 * 50) + (1 - share) * 0.1 * 2
    for tp, fn, fp, tn in draw.multinomial(200, shares, size=trials):
        table = Confusion(true_positive=tp, false_negative=fn, false_positive=fp, true_negative=tn)
        found = expected_cost(table, COSTS, prevalence=prevalence).interval
        held += found.low <= truth <= found.high
    print(f"expected cost, prevalence {prevalence}: coverage {held / trials:.3f}")
    assert 0.92 < held / trials < 0.97


def test_refusals() -> None:
    with pytest.raises(InvalidInputError, match="cost more"):
        Costs(false_negative=1, false_positive=0)
    with pytest.raises(InvalidInputError):
        expected_cost(TABLE, COSTS, prevalence=0)
    for table in (
        Confusion(true_positive=1, false_negative=0, false_positive=0, true_negative=0),
        Confusion(true_positive=9, false_negative=0, false_positive=0, true_negative=0),
    ):
        with pytest.raises(NotEstimableError):
            expected_cost(table, COSTS)
    with pytest.raises(NotEstimableError):
        expected_cost(
            Confusion(true_positive=5, false_negative=4, false_positive=0, true_negative=0),
            COSTS,
            prevalence=0.1,
        )
