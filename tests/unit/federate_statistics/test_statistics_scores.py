"""AUCs, calibration and risks over sites equal validation's of the pooled patients."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.calibration import Recalibration
from huizhen.federate.statistics.data import Scored, scored
from huizhen.federate.statistics.delong import BINS, Aucs, DeLong, bins_of
from huizhen.federate.statistics.risks import Risks
from huizhen.federate.statistics.runner import run
from huizhen.validate import calibration, discrimination

SIZES = (60, 1, 5, 34)


def sites_of(seed: int, models: int, *, decimals: int = 6, sizes: tuple[int, ...] = SIZES) -> list[Scored]:
    """Return sites of which the second has one patient and the third one class."""
    random = np.random.default_rng(seed)
    found = []
    for place, n in enumerate(sizes):
        outcome = random.random(n) < (0.4 if place != 2 else 0.0)
        logits = outcome * 1.2 + random.normal(size=(models, n)) + 0.5 * random.normal(size=n)
        found.append(scored(outcome, np.round(1 / (1 + np.exp(-logits)), decimals)))
    return found


def pooled(sites: list[Scored]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    return np.concatenate([s.outcome for s in sites]), np.concatenate([s.scores for s in sites], axis=1)


@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize("models", [1, 3])
def test_delong_is_that_of_the_pooled_quantised_scores(models: int, decimals: int) -> None:
    sites = sites_of(models, models, decimals=decimals)
    found = run(DeLong(models=models), sites)
    outcome, scores = pooled(sites)
    expected = discrimination.delong(outcome, bins_of(scores))
    np.testing.assert_allclose(found.result.aucs, expected.aucs, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.result.covariance, expected.covariance, rtol=1e-12, atol=1e-16)
    assert (found.result.n_pos, found.result.n_neg) == (expected.n_pos, expected.n_neg)
    assert found.rounds == (1 if models == 1 else 2)


def test_interval_and_paired_difference_are_validations() -> None:
    sites = sites_of(7, 2)
    found = run(DeLong(models=2), sites).result
    outcome, scores = pooled(sites)
    bins = bins_of(scores)
    single = discrimination.auc_interval(outcome, bins[0].astype(float)).interval
    assert (found.interval(0).low, found.interval(0).high) == pytest.approx((single.low, single.high))
    paired = discrimination.paired_difference(outcome, *bins.astype(float))
    ours = found.difference(0, 1)
    assert (ours.estimate, ours.z, ours.p) == pytest.approx((paired.estimate, paired.z, paired.p), abs=1e-12)
    assert (ours.interval.low, ours.interval.high) == pytest.approx(
        (paired.interval.low, paired.interval.high)
    )


def test_perfect_and_identical_scores() -> None:
    outcome = np.array([True, True, True, False, False, False])
    score = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    found = run(DeLong(models=2), [scored(outcome, [score, score])]).result
    expected = discrimination.auc_interval(outcome, score).interval
    assert (found.interval().low, found.interval().high) == pytest.approx((expected.low, expected.high))
    same = found.difference(0, 1)
    assert (same.estimate, same.p) == (0.0, 1.0)
    unlike = Aucs(aucs=np.array([1.0, 0.9]), covariance=np.zeros((2, 2)), n_pos=3, n_neg=3)
    assert np.isnan(unlike.difference(0, 1).p)


def test_scores_at_the_edges_have_bins() -> None:
    assert bins_of(np.array([0.0, 1 / BINS, 1 - 1e-16, 1.0])).tolist() == [0, 1, BINS - 1, BINS - 1]


@pytest.mark.parametrize("outcome", [[True, True, True], [True, False, False]])
def test_auc_needs_two_of_each_class(outcome: list[bool]) -> None:
    with pytest.raises(NotEstimableError, match="at least 2 of each"):
        run(DeLong(), [scored(np.array(outcome), [0.1, 0.2, 0.3])])


def test_models_must_be_as_many_as_asked() -> None:
    with pytest.raises(InvalidInputError, match="1 models' scores, not 2"):
        run(DeLong(models=2), [scored(np.array([True, False]), [0.1, 0.2])])
    for models in (0, 65):
        with pytest.raises(InvalidInputError, match="models"):
            DeLong(models=models)


def test_histograms_that_lie_are_refused() -> None:
    delong, (site,) = DeLong(models=2), sites_of(1, 2, sizes=(30,))
    query = delong.start().query
    layout, good = delong.layout(query), delong.answer(query, site)
    moved = np.array(good["pos"])
    moved[0, 0] += 1
    for wrong in ({"n": 29}, {"pos": moved}):
        with pytest.raises(MessageError, match="don't add up to n"):
            delong.check(query, aggregate(layout, dict(good) | wrong))
    ask = delong.update(delong.start(), aggregate(layout, good))
    layout, good = delong.layout(ask.query), delong.answer(ask.query, site)
    with pytest.raises(MessageError, match="impossible products"):
        delong.check(ask.query, aggregate(layout, dict(good) | {"neg_product": -np.eye(2)}))


def test_recalibration_is_validations() -> None:
    sites = sites_of(11, 1)
    outcome, risks = pooled(sites)
    expected = calibration.recalibrate(outcome, risks[0])
    found = run(Recalibration(), sites)
    assert found.rounds <= 10
    np.testing.assert_allclose(
        found.result.coefficients, [expected.intercept.value, expected.slope.value], rtol=0, atol=1e-10
    )
    ours, theirs = found.result.interval("logit(risk)"), expected.slope.interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-8)
    large = run(Recalibration(in_the_large=True), sites).result
    assert large.coefficients[0] == pytest.approx(
        calibration.in_the_large(outcome, risks[0]).value, abs=1e-10
    )


def test_recalibration_of_separated_classes_or_equal_risks_isnt_estimable() -> None:
    outcome = np.array([True, True, False, False])
    with pytest.raises(NotEstimableError):
        run(Recalibration(), [scored(outcome, [0.9, 0.8, 0.2, 0.1])])
    with pytest.raises(NotEstimableError, match="say the same"):
        run(Recalibration(), [scored(outcome, [0.3] * 4)])
    with pytest.raises(InvalidInputError, match="several models"):
        run(Recalibration(), [scored(outcome, [[0.5] * 4] * 2)])


def test_risks_are_validations() -> None:
    sites = sites_of(13, 1)
    outcome, risks = pooled(sites)
    found = run(Risks(thresholds=(0.1, 0.5)), sites).result
    brier, ratio = calibration.brier(outcome, risks[0]), calibration.observed_expected(outcome, risks[0])
    assert found.brier == pytest.approx(brier.value, abs=1e-12)
    assert found.brier_interval().low == pytest.approx(brier.interval.low, abs=1e-10)
    assert found.ratio == pytest.approx(ratio.value, abs=1e-12)
    assert found.ratio_interval().high == pytest.approx(ratio.interval.high, abs=1e-10)
    for at, benefit, everybody in zip((0.1, 0.5), found.net_benefit, found.everybody, strict=True):
        called, odds = risks[0] >= at, at / (1 - at)
        expected = (called & outcome).mean() - (called & ~outcome).mean() * odds
        assert benefit == pytest.approx(expected, abs=1e-15)
        assert everybody == pytest.approx(outcome.mean() - (~outcome).mean() * odds, abs=1e-15)


def test_net_benefit_of_small_cells_is_hidden() -> None:
    outcome = np.repeat([True, False], 10)
    risk = np.concatenate([np.linspace(0.5, 0.95, 10), np.linspace(0.05, 0.5, 10)])
    found = run(Risks(thresholds=(0.5, 0.94), smallest_count=5), [scored(outcome, risk)]).result
    assert np.isnan(found.net_benefit[1])
    assert run(Risks(thresholds=(0.94,)), [scored(outcome, risk)]).result.net_benefit[0] == 0.05


def test_risks_without_event_variation_or_patient() -> None:
    nobody = run(Risks(), [scored(np.array([False, False]), [0.2, 0.2])]).result
    with pytest.raises(NotEstimableError, match="no event"):
        nobody.ratio_interval()
    with pytest.raises(NotEstimableError, match="same loss"):
        nobody.brier_interval()
    with pytest.raises(NotEstimableError, match="no patient"):
        run(Risks(), [scored(np.zeros(0, dtype=bool), np.zeros((1, 0)))])
    with pytest.raises(InvalidInputError, match="thresholds"):
        Risks(thresholds=(1.0,))
    with pytest.raises(InvalidInputError, match="one at a time"):
        run(Risks(), sites_of(1, 2))


@pytest.mark.parametrize("wrong", [{"n_pos": 99}, {"true": [99]}, {"false": [99]}, {"loss": -1.0}])
def test_risks_that_lie_are_refused(wrong: dict[str, object]) -> None:
    risks, (site,) = Risks(thresholds=(0.5,)), sites_of(1, 1, sizes=(30,))
    query = risks.start().query
    total = aggregate(risks.layout(query), dict(risks.answer(query, site)) | wrong)
    with pytest.raises(MessageError, match="contradict"):
        risks.check(query, total)
