"""Simulated readers have the accuracy and the correlations that were asked for; seen reads are kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from huizhen.errors import InvalidInputError
from huizhen.validate.triage.panel import Panel, Reader, completed_reads, normal_scores, simulate_reads

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
    drawn = simulate_reads(np.random.default_rng(3), PANEL, truth, np.zeros(40), draws=5)
    seen = (np.arange(40) % 3 == 0).astype(np.float64)
    gaps = np.where(np.arange(40) % 2 == 0, seen, np.nan)
    found = completed_reads((seen, gaps, gaps), drawn)
    assert (found.first == (seen == 1)).all()
    assert (found.second[:, ::2] == (seen[::2] == 1)).all()
    assert (found.second[:, 1::2] == drawn.second[:, 1::2]).all()
    assert found.simulated.sum(axis=1).tolist() == [0, 20, 20]


def test_normal_scores_are_by_class_and_share_ties() -> None:
    found = normal_scores([0.1, 0.1, 0.3, 0.9, 0.5], np.array([False, False, False, True, True]))
    assert found[0] == found[1] < found[2]
    assert found[3] == -found[4] > 0


def test_panels_that_cannot_be_are_refused() -> None:
    for keys in ({"between_readers": 1.0}, {"with_ai": 0.6}, {"follow": 1.2}, {"between_readers": -0.1}):
        with pytest.raises(InvalidInputError):
            Panel(first=ONE, second=ONE, consensus=ONE, **keys)
    with pytest.raises(InvalidInputError):
        Reader(sensitivity=1.0, specificity=0.5)
    drawn = simulate_reads(np.random.default_rng(3), PANEL, np.array([True]), np.zeros(1))
    wrong = np.array([2.0])
    with pytest.raises(InvalidInputError):
        completed_reads((wrong, wrong, wrong), drawn)
    assert math.isclose(ONE.thresholds[0], 1.4757910281791713)
