"""Readers that were simulated are found again in their flags."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.triage.observed import correlation_between, correlation_with_ai, reader_from
from huizhen.validate.triage.panel import Panel, Reader, normal_scores, simulate_reads


@pytest.mark.parametrize(("between", "with_ai"), [(0.5, 0.4), (0.2, 0.0), (0.8, 0.7), (0.0, 0.0)])
def test_correlations_and_accuracy_come_back(between: float, with_ai: float) -> None:
    one = Reader(sensitivity=0.7, specificity=0.9)
    two = Reader(sensitivity=0.8, specificity=0.95)
    panel = Panel(first=one, second=two, consensus=one, between_readers=between, with_ai=with_ai)
    draw, truth = np.random.default_rng(1), np.arange(200_000) < 60_000
    ai = normal_scores(draw.normal(size=truth.size), truth)
    reads = simulate_reads(draw, panel, truth, ai)
    first, second = reads.first[0], reads.second[0]
    assert reader_from(first, truth).sensitivity == pytest.approx(0.7, abs=0.01)
    assert reader_from(second, truth).specificity == pytest.approx(0.95, abs=0.005)
    assert correlation_with_ai(first, ai, truth) == pytest.approx(with_ai, abs=0.02)
    assert correlation_between(first, second, truth) == pytest.approx(between, abs=0.02)


def test_a_perfect_reader_stays_inside() -> None:
    truth = np.arange(30) < 10
    found = reader_from(truth, truth)
    assert 0.9 < found.sensitivity < 1
    assert 0.9 < found.specificity < 1


def test_flags_that_do_not_fit_are_refused() -> None:
    truth = np.arange(4) < 2
    with pytest.raises(InvalidInputError):
        reader_from(truth[:3], truth)
    with pytest.raises(InvalidInputError):
        reader_from(truth.astype(float), truth)
    with pytest.raises(NotEstimableError):
        reader_from(truth, truth | True)
