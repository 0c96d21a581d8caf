"""Net benefit against R's dcurves, its laws, and its intervals."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.decision_curves import decision_curve, net_benefit_difference
from huizhen.validate.logistic import fit_logistic

DRAW = np.random.default_rng(1)
RISK = np.round(DRAW.random(300) ** 2, 2)
OUTCOME = DRAW.random(300) < RISK
AT = np.array([0.05, 0.1, 0.2, 0.5])


def published(folder: Path, name: str, variable: str) -> list[dict[str, str]]:
    with (folder / "dcurves" / name).open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["variable"] == variable]
    return [row for row in rows if 0 < float(row["threshold"]) < 1]


def column(folder: Path, name: str) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    with (folder / "dcurves" / "df_binary.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return np.array([row["cancer"] == "TRUE" for row in rows]), np.array([float(row[name]) for row in rows])


def as_risk(outcome: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What dcurves makes of a marker that is no probability: the fitted risk of a logistic regression."""
    design = np.column_stack([np.ones(values.size), values])
    return np.asarray(expit(design @ fit_logistic(design, outcome.astype(float)).coefficients))


@pytest.mark.parametrize(
    ("name", "variable", "fitted", "harm"),
    [
        ("r_case1_results.csv", "famhistory", False, 0.0),
        ("r_dca_famhistory.csv", "famhistory", False, 0.0),
        ("r_simple_binary_dca_result_df.csv", "age", True, 0.0),
        ("r_case3_results.csv", "marker", True, 0.0333),
    ],
)
def test_as_dcurves(vectors_folder: Path, name: str, variable: str, fitted: bool, harm: float) -> None:
    rows = published(vectors_folder, name, variable)
    outcome, values = column(vectors_folder, variable)
    risk = as_risk(outcome, values) if fitted else values
    at = np.array([float(row["threshold"]) for row in rows])
    found = decision_curve(outcome, risk, at, harm=harm, resamples=2)
    expected = [float(row["net_benefit"]) for row in rows]
    np.testing.assert_allclose(found.net_benefit.value, expected, atol=1e-10)
    if "net_intervention_avoided" in rows[0]:
        spared = [float(row["net_intervention_avoided"]) for row in rows]
        np.testing.assert_allclose(found.avoided.value, spared, atol=1e-10)
    everyone = [float(row["net_benefit"]) for row in published(vectors_folder, name, "all")][: at.size]
    np.testing.assert_allclose(found.treat_all.value, everyone, atol=1e-10)


def test_definition_and_laws() -> None:
    found = decision_curve(OUTCOME, RISK, AT, resamples=100)
    for place, at in enumerate(AT):
        called = at <= RISK
        expected = (called & OUTCOME).mean() - (called & ~OUTCOME).mean() * at / (1 - at)
        assert found.net_benefit.value[place] == pytest.approx(expected, abs=1e-14)
    assert (found.net_benefit.low <= found.net_benefit.value).all()
    assert (found.net_benefit.high >= found.net_benefit.value).all()
    share = float(OUTCOME.mean())
    at_share = decision_curve(OUTCOME, RISK, [share], resamples=2)
    assert at_share.treat_all.value[0] == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(
        found.gain.value, found.net_benefit.value - np.maximum(found.treat_all.value, 0), atol=1e-14
    )


def test_classes_sampled_apart_at_their_own_prevalence_give_the_same_curve() -> None:
    plain = decision_curve(OUTCOME, RISK, AT, resamples=2)
    apart = decision_curve(OUTCOME, RISK, AT, prevalence=float(OUTCOME.mean()), resamples=2)
    np.testing.assert_allclose(apart.net_benefit.value, plain.net_benefit.value, atol=1e-14)
    rare = decision_curve(OUTCOME, RISK, AT, prevalence=0.01, resamples=2)
    assert rare.treat_all.value[0] == pytest.approx(0.01 - 0.99 * 0.05 / 0.95)


def test_clusters_of_one_and_of_copies() -> None:
    once = decision_curve(OUTCOME, RISK, AT, resamples=4000, seed=3)
    outcome, risk, patient = (np.repeat(each, 3) for each in (OUTCOME, RISK, np.arange(300)))
    again = decision_curve(outcome, risk, AT, cluster=patient, resamples=4000, seed=4)
    naive = decision_curve(outcome, risk, AT, resamples=4000, seed=4)
    np.testing.assert_allclose(again.net_benefit.value, once.net_benefit.value, atol=1e-14)
    width, copied, narrow = (found.net_benefit.high - found.net_benefit.low for found in (once, again, naive))
    np.testing.assert_allclose(copied, width, rtol=0.1)
    assert (narrow < 0.7 * width).all()


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_intervals_cover(n: int) -> None:
    draw, held, trials = np.random.default_rng(n), 0, 300
    big = draw.random(400_000) ** 2
    truth = decision_curve(draw.random(big.size) < big, big, [0.2], resamples=2).net_benefit.value[0]
    for _ in range(trials):
        risk = draw.random(n) ** 2
        found = decision_curve(draw.random(n) < risk, risk, [0.2], resamples=500).net_benefit
        held += found.low[0] <= truth <= found.high[0]
    print(f"net benefit, n = {n}: coverage {held / trials:.3f}")
    assert 0.90 < held / trials < 0.985


def test_difference_of_two_models() -> None:
    other = np.clip(RISK + 0.1, 0, 1)
    found = net_benefit_difference(OUTCOME, RISK, other, AT, resamples=1000)
    each = [decision_curve(OUTCOME, risk, AT, resamples=2).net_benefit.value for risk in (RISK, other)]
    np.testing.assert_allclose(found.value, each[0] - each[1], atol=1e-14)
    assert (found.low <= found.value).all()
    same = net_benefit_difference(OUTCOME, RISK, RISK, AT, resamples=20)
    assert (same.low == 0).all()
    assert (same.high == 0).all()
    outcome, a, b, patient = (np.repeat(each, 2) for each in (OUTCOME, RISK, other, np.arange(300)))
    copied = net_benefit_difference(outcome, a, b, AT, cluster=patient, resamples=1000)
    np.testing.assert_allclose(copied.value, found.value, atol=1e-14)
    np.testing.assert_allclose(copied.high - copied.low, found.high - found.low, rtol=0.25)


def test_refusals() -> None:
    for wrong in ([0.0, 0.5], [0.5, 1.0], [0.5, 0.4], []):
        with pytest.raises(InvalidInputError):
            decision_curve(OUTCOME, RISK, wrong)
    with pytest.raises(InvalidInputError):
        decision_curve(OUTCOME, RISK + 1, AT)
    with pytest.raises(InvalidInputError):
        decision_curve(OUTCOME, RISK, AT, prevalence=0.1, cluster=np.arange(300))
    with pytest.raises(InvalidInputError):
        decision_curve(OUTCOME, RISK, AT, resamples=0, cluster=np.arange(300) // 2)
    with pytest.raises(NotEstimableError):
        decision_curve(np.ones(300, dtype=bool), RISK, AT)
