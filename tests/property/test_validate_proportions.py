"""Laws of proportions, calibration and Platt scaling over any counts and risks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from huizhen.errors import NotEstimableError
from huizhen.validate.calibration import apply_platt, fit_platt, in_the_large, recalibrate
from huizhen.validate.calibration_curve import calibration_curve, expected_calibration_error
from huizhen.validate.proportions import clopper_pearson, wilson

counts = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.floats(0.5, 0.999))
def test_intervals_hold_the_share_and_mirror(pair: tuple[int, int], level: float) -> None:
    count, n = pair
    for limits in (wilson, clopper_pearson):
        found, mirror = limits(count, n, level=level), limits(n - count, n, level=level)
        assert 0 <= found.low <= count / n <= found.high <= 1
        assert found.low < found.high
        assert found.low == pytest.approx(1 - mirror.high, abs=1e-9)


@given(counts, st.floats(0.5, 0.99))
def test_exact_limits_solve_their_tails(pair: tuple[int, int], level: float) -> None:
    from scipy.special import bdtr, bdtrc

    count, n = pair
    found = clopper_pearson(count, n, level=level)
    if count:
        assert bdtrc(count - 1, n, found.low) == pytest.approx((1 - level) / 2, rel=1e-6)
    if count < n:
        assert bdtr(count, n, found.high) == pytest.approx((1 - level) / 2, rel=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(10, 200), st.floats(-3, 3), st.floats(0.2, 3))
@settings(max_examples=60, deadline=None)
def test_recalibration_undoes_a_shift_of_the_logit(seed: int, n: int, shift: float, scale: float) -> None:
    draw = np.random.default_rng(seed)
    lp = draw.normal(size=n)
    outcome = draw.random(n) < 1 / (1 + np.exp(-lp))
    try:
        plain = recalibrate(outcome, 1 / (1 + np.exp(-lp)))
        moved = recalibrate(outcome, 1 / (1 + np.exp(-(shift + scale * lp))))
    except NotEstimableError:
        assume(False)
    assume(abs(plain.slope.value) < 20)
    assert moved.slope.value == pytest.approx(plain.slope.value / scale, rel=1e-5, abs=1e-6)
    expected = plain.intercept.value - plain.slope.value * shift / scale
    assert moved.intercept.value == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(4, 200))
@settings(max_examples=60, deadline=None)
def test_in_the_large_makes_expected_meet_observed(seed: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    lp, outcome = 2 * draw.normal(size=n), draw.random(n) < 0.3
    assume(0 < outcome.sum() < n)
    found = in_the_large(outcome, 1 / (1 + np.exp(-lp)))
    assert np.mean(1 / (1 + np.exp(-(lp + found.value)))) == pytest.approx(outcome.mean(), abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(2, 100), st.floats(0.01, 100), st.floats(-1000, 1000))
@settings(max_examples=60, deadline=None)
def test_platt_does_not_depend_on_the_scale_of_the_logits(
    seed: int, n: int, scale: float, shift: float
) -> None:
    draw = np.random.default_rng(seed)
    logits, outcome = draw.normal(size=n), draw.random(n) < 0.5
    assume(0 < outcome.sum() < n)
    moved = scale * logits + shift
    risk = apply_platt(fit_platt(logits, outcome), logits)
    np.testing.assert_allclose(apply_platt(fit_platt(moved, outcome), moved), risk, atol=1e-6)
    assert ((risk > 0) & (risk < 1)).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 20), st.sampled_from(["mass", "width"]))
@settings(max_examples=60, deadline=None)
def test_a_calibration_curve_keeps_every_case(seed: int, n: int, bins: int, by: str) -> None:
    draw = np.random.default_rng(seed)
    risk = draw.integers(0, 30, n) / 29
    outcome = draw.random(n) < risk
    curve = calibration_curve(outcome, risk, bins=bins, by=by)  # type: ignore[arg-type]  # drawn from both
    assert (curve.n.sum(), curve.n_events.sum()) == (n, outcome.sum())
    assert curve.n @ curve.predicted == pytest.approx(risk.sum())
    assert (np.diff(curve.predicted) > 0).all()
    assert 0 <= expected_calibration_error(curve) <= 1
