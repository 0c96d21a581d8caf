"""Normal and exact arithmetic."""

from __future__ import annotations

import math

import pytest

from huizhen.errors import InvalidInputError
from huizhen.validate.estimates import logit_wald, normal_quantile, two_sided_p, unanimous_floor, wald


def test_the_quantile_and_the_p_value_are_inverse() -> None:
    for level in (0.5, 0.9, 0.95, 0.999):
        assert two_sided_p(normal_quantile(level)) == pytest.approx(1 - level, abs=1e-14)


def test_small_p_values_keep_their_digits() -> None:
    assert two_sided_p(10.0) == pytest.approx(math.erfc(10 / math.sqrt(2)), rel=1e-12)


def test_wald_is_cut_at_both_ends() -> None:
    found = wald(0.5, 10.0, method="Wald", least=0.0, most=1.0)
    assert (found.low, found.high, found.level) == (0.0, 1.0, 0.95)


def test_the_unanimous_floor_solves_its_equation() -> None:
    assert unanimous_floor(41, level=0.9) ** 41 == pytest.approx(0.05)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_levels_outside_are_refused(level: float) -> None:
    with pytest.raises(InvalidInputError, match="level"):
        normal_quantile(level)
    with pytest.raises(InvalidInputError):
        unanimous_floor(3, level=level)


def test_no_trial_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no trial"):
        unanimous_floor(0)


def test_the_logit_interval_stays_inside_and_has_no_edge() -> None:
    found = logit_wald(0.99, 0.05, method="logit")
    assert 0 < found.low < 0.99 < found.high < 1
    with pytest.raises(InvalidInputError):
        logit_wald(1.0, 0.05, method="logit")
