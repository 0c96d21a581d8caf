"""The binned calibration curve and its error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from huizhen.errors import InvalidInputError
from huizhen.validate.calibration_curve import calibration_curve, expected_calibration_error
from huizhen.validate.proportions import wilson


def test_bins_by_hand() -> None:
    outcome = np.array([False, True, False, True, True, True])
    curve = calibration_curve(outcome, [0.05, 0.15, 0.25, 0.6, 0.8, 1.0], bins=2, by="width")
    assert curve.predicted.tolist() == pytest.approx([0.15, 0.8])
    assert curve.observed.tolist() == pytest.approx([1 / 3, 1.0])
    assert (curve.n.tolist(), curve.n_events.tolist()) == ([3, 3], [1, 3])
    assert (curve.low[0], curve.high[0]) == (wilson(1, 3).low, wilson(1, 3).high)
    assert expected_calibration_error(curve) == pytest.approx((1 / 3 - 0.15 + 0.2) / 2)


def test_dcurves_expected_calibration_error(df_binary: Any, vectors: dict[str, Any]) -> None:
    published = vectors["df_binary_calibration (dcurves, cancerpredmarker)"]
    for by in ("width", "mass"):
        found = expected_calibration_error(calibration_curve(*df_binary, by=by))
        assert found == pytest.approx(published[f"ece10_equal_{by}"], abs=1e-15)


def test_equal_risks_share_a_bin_whatever_their_order() -> None:
    risk = np.array([0.1] * 7 + [0.5] * 2 + [0.9])
    outcome = np.arange(10) % 3 == 0
    curve = calibration_curve(outcome, risk, bins=5)
    turned = calibration_curve(outcome[::-1], risk[::-1], bins=5)
    assert curve.n.tolist() == [7, 2, 1]
    assert turned.observed.tolist() == curve.observed.tolist()


def test_masses_differ_by_one_at_most_without_ties() -> None:
    risk = np.linspace(0, 1, 103)
    curve = calibration_curve(risk > 0.4, risk)
    assert set(curve.n.tolist()) == {10, 11}
    assert curve.n.sum() == 103


def test_refusals() -> None:
    with pytest.raises(InvalidInputError, match="0 bins"):
        calibration_curve(np.array([True, False]), [0.1, 0.2], bins=0)
    with pytest.raises(InvalidInputError, match="by 'luck'"):
        calibration_curve(np.array([True, False]), [0.1, 0.2], by="luck")  # type: ignore[arg-type]  # refused
