"""Simulated readers have the accuracy and the correlations that were asked for; seen reads are kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from huizhen.errors import InvalidInputError
from huizhen.validate.triage.observed import correlation_between, correlation_with_ai
from huizhen.validate.triage.panel import Panel, Reader, complete_reads, normal_scores, simulate_reads

ONE = Reader(sensitivity=0.75, specificity=0.93)
TWO = Reader(sensitivity=0.65, specificity=0.97)
PANEL = Panel(first=ONE, second=TWO, consensus=ONE, between_readers=0.5, with_ai=0.6, follow=0.2)


def test_readers_have_their_accuracy_and_err_together() -> None:
    draw = np.random.default_rng(1)
    truth = np.arange(400_000) < 200_000
    ai = normal_scores(draw.normal(size=truth.size) + 2 * truth, truth)
    reads = simulate_reads(draw, PANEL, truth, ai)
    for reader, flags in zip(PANEL.readers, (reads.first, reads.second, reads.consensus), strict=True):
        assert flags[0, truth].mean() == pytest.approx(reader.sensitivity, abs=0.005)
        assert flags[0, ~truth].mean() == pytest.approx(1 - reader.specificity, abs=0.005)
    both = (reads.first & reads.second)[0, truth].mean()
    limits = [-ONE.thresholds[1], -TWO.thresholds[1]]
    assert both == pytest.approx(multivariate_normal(cov=[[1, 0.5], [0.5, 1]]).cdf(limits), abs=0.005)
    high = ai > 1
    with_ai = (reads.first[0] & high)[truth].mean()
    wanted = multivariate_normal(cov=[[1, 0.6], [0.6, 1]]).cdf([limits[0], -1.0])
    assert with_ai == pytest.approx(wanted, abs=0.005)
    assert reads.follows_first.mean() == pytest.approx(0.2, abs=0.005)
    assert reads.simulated.all()


def test_without_correlation_readers_err_independently() -> None:
    panel = Panel(first=ONE, second=TWO, consensus=ONE)
    truth = np.ones(200_000, dtype=np.bool_)
    reads = simulate_reads(np.random.default_rng(2), panel, truth, np.zeros(truth.size))
    assert (reads.first & reads.second).mean() == pytest.approx(0.75 * 0.65, abs=0.005)
    assert not reads.follows_first.any()


def test_seen_reads_are_kept_and_only_gaps_are_drawn() -> None:
    truth = np.arange(40) < 20
    seen = (np.arange(40) % 3 == 0).astype(np.float64)
    gaps = np.where(np.arange(40) % 2 == 0, seen, np.nan)
    found = complete_reads(np.random.default_rng(3), PANEL, truth, np.zeros(40), (seen, gaps, gaps), draws=5)
    assert (found.first == (seen == 1)).all()
    assert (found.second[:, ::2] == (seen[::2] == 1)).all()
    assert 0 < found.second[:, 1::2].mean() < 1
    assert found.simulated.sum(axis=1).tolist() == [0, 20, 20]
    assert 0.1 < found.follows_first.mean() < 0.3


def test_what_was_not_seen_is_drawn_given_what_was() -> None:
    """Hide readers of a simulated panel: the completed one errs together as the whole one did."""
    draw, truth = np.random.default_rng(4), np.arange(120_000) < 60_000
    ai = normal_scores(draw.normal(size=truth.size), truth)
    whole = simulate_reads(draw, PANEL, truth, ai)
    gap = np.full(truth.size, np.nan)
    seen = (whole.first[0].astype(np.float64), gap, gap)
    found = complete_reads(draw, PANEL, truth, ai, seen)
    assert correlation_between(found.first[0], found.second[0], truth) == pytest.approx(0.5, abs=0.03)
    assert correlation_between(found.second[0], found.consensus[0], truth) == pytest.approx(0.5, abs=0.03)
    assert correlation_with_ai(found.second[0], ai, truth) == pytest.approx(0.6, abs=0.03)
    assert found.second[0, truth].mean() == pytest.approx(TWO.sensitivity, abs=0.01)
    missed = truth & ~found.first[0]
    assert found.second[0, missed].mean() < TWO.sensitivity - 0.1
    assert found.second[0, missed].mean() == pytest.approx(whole.second[0, missed].mean(), abs=0.015)


def test_normal_scores_are_by_class_and_share_ties() -> None:
    found = normal_scores([0.1, 0.1, 0.3, 0.9, 0.5], np.array([False, False, False, True, True]))
    assert found[0] == found[1] < found[2]
    assert found[3] == -found[4] > 0


def test_panels_that_cannot_be_are_refused() -> None:
    draw = np.random.default_rng(5)
    for keys in ({"between_readers": 1.0}, {"with_ai": 0.6}, {"follow": 1.2}, {"between_readers": -0.1}):
        with pytest.raises(InvalidInputError):
            Panel(first=ONE, second=ONE, consensus=ONE, **keys)
    with pytest.raises(InvalidInputError):
        Reader(sensitivity=1.0, specificity=0.5)
    wrong = np.array([2.0])
    with pytest.raises(InvalidInputError):
        complete_reads(draw, PANEL, np.array([True]), np.zeros(1), (wrong, wrong, wrong))
    assert math.isclose(ONE.thresholds[0], 1.4757910281791713)
