"""Distances that far rows don't move, against numbers by hand and planted outliers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from huizhen.core.streams import stream
from huizhen.data.checks.outliers import neighbour_distances, robust_distances, robust_z


def test_half_of_equal_values_leave_a_scale() -> None:
    z = robust_z(np.array([0.0] * 8 + [1.0, 50.0]))
    assert z[:8].tolist() == [0] * 8
    assert z[9] > 5
    assert robust_z(np.zeros(5)).tolist() == [0] * 5
    assert np.isnan(robust_z(np.array([np.nan, 1.0, 2.0, 3.0]))[0])


def test_squares_follow_chi_square_for_normal_rows() -> None:
    draw = stream(1, "normal").normal(size=(4000, 4)) @ np.diag([1, 5, 0.1, 2])
    share = (robust_distances(draw) ** 2 > chi2.ppf(0.95, 4)).mean()
    assert share == pytest.approx(0.05, abs=0.015)


def test_a_tenth_of_far_rows_does_not_hide_itself() -> None:
    rows = stream(2, "masked").normal(size=(300, 3))
    rows[:30] += 12
    found = robust_distances(rows)
    assert found[:30].min() > found[30:].max()


def test_few_rows_and_flat_columns_are_no_error() -> None:
    assert robust_distances(np.ones((4, 3))).tolist() == [0] * 4
    assert np.isfinite(robust_distances(np.arange(12.0).reshape(4, 3))).all()


def test_neighbours_are_of_other_patients() -> None:
    rows = np.array([[0.0], [0.0], [1.0], [2.0], [3.0]])
    patient = np.array([0, 0, 1, 2, 3])
    assert neighbour_distances(rows, patient, neighbours=2).tolist()[:2] == [1.5, 1.5]
    assert np.isnan(neighbour_distances(rows, patient, neighbours=9)).all()


def test_a_stride_of_many_rows_gives_nearly_the_same() -> None:
    rows = stream(3, "many").normal(size=(9000, 2))
    rows[17] = [30, 30]
    assert neighbour_distances(rows, np.arange(9000)).argmax() == 17
