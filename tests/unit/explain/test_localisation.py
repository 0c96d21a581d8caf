"""Localisation: both games on maps whose answer is known, chance, and intervals over patients."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from huizhen.core.evidence import Evidence, Interval, Verdict
from huizhen.errors import InvalidInputError
from huizhen.explain.localisation import (
    LocalisationRow,
    area_share,
    bootstrap,
    energy_in_lesion,
    energy_p,
    localisation_evidence,
    pointing_hit,
    pointing_p,
    wilson,
)


def square(size: int = 10, side: int = 3) -> NDArray[np.bool_]:
    mask = np.zeros((size, size), dtype=np.bool_)
    mask[2 : 2 + side, 4 : 4 + side] = True
    return mask


def peak(row: int, column: int, size: int = 10) -> NDArray[np.float64]:
    heat = np.zeros((size, size))
    heat[row, column] = 1.0
    return heat


@pytest.mark.parametrize(
    ("row", "column", "tolerance", "hit"),
    [
        (2, 4, 0, True),
        (4, 6, 0, True),
        (1, 4, 0, False),
        (1, 4, 1, True),
        (1, 3, 1, False),
        (1, 3, 1.5, True),
        (9, 9, 5.5, False),
        (9, 9, 6, True),
    ],
)
def test_the_maximum_hits_within_its_tolerance(row: int, column: int, tolerance: float, hit: bool) -> None:
    assert pointing_hit(peak(row, column), square(), tolerance_px=tolerance) is hit


def test_of_equal_maxima_the_first_counts() -> None:
    heat = peak(0, 0) + peak(3, 5)
    assert not pointing_hit(heat, square())
    assert pointing_hit(heat[::-1, ::-1], square()[::-1, ::-1])


@pytest.mark.parametrize("tolerance", [0, 1, 2.5, 30])
def test_chance_is_the_share_of_pixels_that_would_hit(tolerance: float) -> None:
    mask = square() | peak(9, 0).astype(bool)
    hits = [pointing_hit(peak(r, c), mask, tolerance_px=tolerance) for r in range(10) for c in range(10)]
    assert area_share(mask, tolerance_px=tolerance) == pytest.approx(np.mean(hits))


def test_energy_is_the_share_of_positive_heat() -> None:
    heat = np.full((10, 10), -1.0)
    heat[2, 4], heat[9, 9] = 3.0, 1.0
    assert energy_in_lesion(heat, square()) == 0.75


def test_an_even_map_has_the_energy_of_chance_and_a_cold_one_none() -> None:
    assert energy_in_lesion(np.ones((10, 10)), square()) == pytest.approx(area_share(square())) == 0.09
    assert energy_in_lesion(np.zeros((10, 10)), square()) == 0.0
    assert energy_in_lesion(square().astype(np.float32), square()) == 1.0


@pytest.mark.parametrize(
    ("heat", "mask", "tolerance"),
    [
        (np.ones((10, 10)), np.zeros((10, 10), dtype=bool), 0),
        (np.full((10, 10), np.nan), square(), 0),
        (np.ones((9, 10)), square(), 0),
        (np.ones((10, 10)), square().astype(np.uint8), 0),
        (np.ones((10, 10, 1)), square()[..., None], 0),
        (np.ones((10, 10)), square(), -1),
        (np.ones((10, 10)), square(), math.inf),
    ],
)
def test_wrong_input_is_refused(heat: NDArray[np.float64], mask: NDArray[np.bool_], tolerance: float) -> None:
    with pytest.raises(InvalidInputError):
        pointing_hit(heat, mask, tolerance_px=tolerance)


@pytest.mark.parametrize(("energy", "area"), [(1.1, 0.5), (-0.1, 0.5), (0.5, 0.0), (math.nan, 0.5)])
def test_a_row_out_of_range_is_refused(energy: float, area: float) -> None:
    with pytest.raises(InvalidInputError):
        LocalisationRow(pseudonym="p", hit=True, energy=energy, area_share=area)


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (499, 1000)])
def test_wilson_agrees_with_statsmodels(hits: int, n: int) -> None:
    interval = wilson(np.array([1.0] * hits + [0.0] * (n - hits)))
    low, high = proportion_confint(hits, n, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)


def test_the_bootstrap_covers_about_as_often_as_it_says() -> None:
    draws = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        interval = bootstrap(draws.beta(2, 3, size=60), seed=trial, key="coverage")
        covered += interval.low <= 0.4 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def row(pseudonym: str, hit: bool, energy: float, area: float = 0.1) -> LocalisationRow:
    return LocalisationRow(pseudonym=pseudonym, hit=hit, energy=energy, area_share=area)


def evidence(rows: list[LocalisationRow], seed: int = 5) -> tuple[Evidence, Evidence]:
    pointing, energy = localisation_evidence(rows, modality="US", cohort="test", phantom=True, seed=seed)
    return pointing, energy


def interval_of(item: Evidence) -> Interval:
    assert item.interval is not None
    return item.interval


def test_one_image_each_gives_wilson_over_patients() -> None:
    pointing, energy = evidence([row(f"p{i}", i < 6, i / 10, 0.1 + i / 100) for i in range(8)])
    assert (pointing.key, energy.key) == ("pointing_game/US/test", "energy_in_lesion/US/test")
    assert (pointing.metric, energy.metric) == ("pointing_game", "energy_in_lesion")
    assert (pointing.estimate, pointing.n, pointing.unit) == (0.75, 8, "patient")
    assert interval_of(pointing).method == "Wilson"
    assert energy.estimate == pytest.approx(0.35)
    assert interval_of(energy).low < 0.35 < interval_of(energy).high
    assert pointing.detail["chance"] == pytest.approx(0.135)
    assert (pointing.detail["images"], pointing.detail["small"]) == (8, True)
    assert pointing.phantom
    assert (pointing.verdict, pointing.stage) == (Verdict.REPORTED, "explain")
    assert (pointing.seed, energy.seed) == (None, 5)


def test_patients_count_equally_however_many_images_they_have() -> None:
    rows = [row("many", True, 1.0, 0.2) for _ in range(98)] + [row("a", False, 0.0), row("b", False, 0.2)]
    pointing, energy = evidence(rows)
    assert pointing.estimate == pytest.approx(1 / 3)
    assert energy.estimate == pytest.approx(0.4)
    assert pointing.n == 3
    assert pointing.detail["chance"] == pytest.approx(0.4 / 3)
    assert pointing.detail["images"] == 100


def test_shares_between_0_and_1_have_wilsons_interval_with_patients_as_units() -> None:
    rows = [row(f"p{i}", (i + j) % 3 == 0, 0.5) for i in range(30) for j in range(2)]
    pointing, _ = evidence(rows)
    assert interval_of(pointing).method == "Wilson"
    assert "small" not in pointing.detail
    low, high = proportion_confint(10, 30, method="wilson")
    assert (interval_of(pointing).low, interval_of(pointing).high) == pytest.approx((low, high))
    assert interval_of(pointing).low < pointing.estimate < interval_of(pointing).high  # type: ignore[operator]  # given


def test_correlated_images_of_a_patient_widen_the_interval() -> None:
    clustered = [row(f"p{i:02}", i < 20 or j == 0, i / 40) for i in range(40) for j in range(10)]
    apart = [row(f"p{i:03}", r.hit, r.energy) for i, r in enumerate(clustered)]
    for index in range(2):
        wide, narrow = interval_of(evidence(clustered)[index]), interval_of(evidence(apart)[index])
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_order_of_rows_changes_nothing_and_the_seed_does() -> None:
    rows = [row(f"p{i % 17}", i % 3 == 0, (i * 37 % 101) / 101, 0.05 + i / 200) for i in range(60)]
    shuffled = random.Random(1).sample(rows, len(rows))
    assert evidence(rows) == evidence(shuffled)
    assert evidence(rows, seed=6)[1].interval != evidence(rows)[1].interval


def test_what_can_not_be_measured_says_why() -> None:
    for item in evidence([]):
        assert (item.verdict, item.reason) == (Verdict.NOT_ASSESSED, "no image with a lesion mask")
        assert item.phantom
    pointing, energy = evidence([row("only", True, 0.8)])
    assert (pointing.estimate, interval_of(pointing).method) == (1.0, "Wilson")
    assert (energy.verdict, energy.reason) == (
        Verdict.NOT_ASSESSED,
        "fewer than 2 patients with a lesion mask",
    )


def test_no_hit_has_an_interval_from_0_and_yet_is_not_above_chance() -> None:
    pointing, energy = evidence([row(f"p{i}", False, 0.01, 0.2) for i in range(30)])
    assert pointing.detail["p_chance"] == pytest.approx(1.0)
    assert energy.detail["p_chance"] == pytest.approx(1.0)


def test_the_test_against_chance_is_the_binomial_one_where_lesions_are_alike() -> None:
    hits = np.array([1.0] * 6 + [0.0] * 14)
    assert pointing_p(hits, np.full(20, 0.1)) == pytest.approx(binom.sf(5, 20, 0.1))
    assert energy_p(hits, np.full(20, 0.1)) == pytest.approx(binom.sf(5, 20, 0.5))


def test_chance_alone_is_rarely_found_above_chance() -> None:
    draws = np.random.default_rng(3)
    shares = draws.uniform(0.05, 0.3, size=(400, 30))
    found = [pointing_p((draws.random(30) < s).astype(float), s) < 0.025 for s in shares]
    assert np.mean(found) <= 0.04
