"""The pooled part: from sums, refusing covariates that say the same as the site."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import combat_cases

from huizhen.data.harmonise.pooled import Pooled, pooled_of, slopes_of, squares_of, sums_of
from huizhen.errors import DataError, InvalidInputError, NotEstimableError


def test_slopes_are_those_of_a_regression_with_an_intercept_a_site() -> None:
    y, c, batch = combat_cases.sites()
    design = np.column_stack([batch[:, None] == np.arange(3), c])
    whole = np.linalg.lstsq(design, y, rcond=None)[0]
    assert np.allclose(slopes_of(sums_of(y, c, batch=batch), combat_cases.NAMES), whole[3:])


def test_a_covariate_collinear_with_the_site_is_named_with_it() -> None:
    y, c, batch = combat_cases.sites()
    c[:, 1] = batch * 2.0
    with pytest.raises(DataError, match=r"covariate age is collinear with the site") as caught:
        slopes_of(sums_of(y, c, batch=batch), combat_cases.NAMES)
    assert "sex" not in caught.value.message


def test_covariates_collinear_with_each_other_are_both_named() -> None:
    y, c, batch = combat_cases.sites()
    c[:, 0] = 3 * c[:, 1] + batch
    with pytest.raises(DataError, match="covariates sex, age are collinear with each other and the site"):
        slopes_of(sums_of(y, c, batch=batch), combat_cases.NAMES)


def test_a_constant_covariate_is_refused() -> None:
    y, c, batch = combat_cases.sites()
    c[:, 0] = 1.0
    with pytest.raises(DataError, match="covariate sex is the same for every patient"):
        slopes_of(sums_of(y, c, batch=batch), combat_cases.NAMES)


def test_one_site_alone_is_standardised_to_itself() -> None:
    y, _, _ = combat_cases.sites()
    same = combat_cases.harmonised(y, None, np.zeros(len(y), np.int64))
    assert np.allclose(same.mean(0), y.mean(0))


def test_the_reference_site_gives_centre_and_scale() -> None:
    y, _, batch = combat_cases.sites()
    sums = sums_of(y, batch=batch, reference=2)
    none = slopes_of(sums, ())
    pool = pooled_of(sums, none, *squares_of(y, None, none, batch=batch, reference=2))
    here = y[batch == 2]
    assert np.allclose(pool.centre, here.mean(0))
    assert np.allclose(pool.scale, here.std(0))


def test_an_absent_reference_site_is_refused() -> None:
    y, _, batch = combat_cases.sites()
    sums = sums_of(y, batch=batch, reference=9)
    none = slopes_of(sums, ())
    with pytest.raises(NotEstimableError, match="no patient to harmonise to"):
        pooled_of(sums, none, *squares_of(y, None, none, batch=batch, reference=9))


@pytest.mark.parametrize("c", [np.zeros((3, 1)), np.zeros(150)])
def test_covariates_of_other_patients_are_refused(c: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="features of shape"):
        sums_of(combat_cases.sites()[0], c)


def part(**changed: np.ndarray) -> Pooled:
    values = {
        "centre": np.zeros(2),
        "slopes": np.zeros((0, 2)),
        "scale": np.ones(2),
        "covariates": np.zeros(0),
        "flat": np.zeros(2, bool),
    }
    return Pooled(**{**values, **changed}, n=1)  # type: ignore[arg-type]  # one dict for all fields


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"scale": np.zeros(2)}, "isn't positive"),
        ({"centre": np.array([0.0, np.nan])}, "NaN or infinity"),
        ({"slopes": np.zeros((1, 2))}, "don't fit each other"),
    ],
    ids=["scale", "centre", "slopes"],
)
def test_a_pooled_part_that_cannot_be_is_refused(changed: dict[str, np.ndarray], why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        part(**changed)
