"""Partial areas against pROC's and the whole area."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import auc
from huizhen.validate.partial_auc import partial_auc


@pytest.mark.parametrize("name", ["wfns", "ndka"])
@pytest.mark.parametrize(("of", "key"), [("specificity", "sp"), ("sensitivity", "se")])
def test_as_proc(asah: Any, vectors: dict[str, Any], name: str, of: Any, key: str) -> None:
    found = partial_auc(asah.outcome, asah.scores[name], of=of, standardised=False, resamples=10)
    assert found.value == pytest.approx(vectors["aSAH"]["partial_auc"][f"{name} {key} 1-.9"], abs=1e-12)


def test_standardised_as_proc(asah: Any, vectors: dict[str, Any]) -> None:
    found = partial_auc(asah.outcome, asah.scores["wfns"], resamples=200)
    assert found.value == pytest.approx(vectors["aSAH"]["partial_auc"]["wfns sp 1-.9 corrected"], abs=1e-12)
    assert found.interval.low < found.value < found.interval.high


def test_the_whole_curve_is_the_auc_and_parts_add_up() -> None:
    draw = np.random.default_rng(2)
    outcome = draw.random(80) < 0.5
    score = np.round(draw.normal(size=80) + outcome, 1)
    whole, low, high = (
        partial_auc(outcome, score, least=a, most=b, standardised=False, resamples=2).value
        for a, b in ((0.0, 1.0), (0.0, 0.37), (0.37, 1.0))
    )
    assert whole == pytest.approx(auc(outcome, score), abs=1e-12)
    assert low + high == pytest.approx(whole, abs=1e-12)


def test_chance_and_perfection() -> None:
    outcome = np.arange(40) < 15
    assert partial_auc(outcome, outcome * 1.0, resamples=20).value == pytest.approx(1)
    assert partial_auc(outcome, np.zeros(40), resamples=20).value == pytest.approx(0.5)


def test_the_interval_repeats_with_its_seed() -> None:
    draw = np.random.default_rng(3)
    outcome = np.arange(50) < 20
    score = draw.normal(size=50) + outcome
    first = partial_auc(outcome, score, resamples=50, seed=4)
    assert first == partial_auc(outcome, score, resamples=50, seed=4)
    assert first.interval != partial_auc(outcome, score, resamples=50, seed=5).interval


def test_refusals() -> None:
    outcome = np.array([True, True, False, False])
    for wrong in ({"least": 1.0}, {"least": -0.1}, {"of": "precision"}):
        with pytest.raises(InvalidInputError):
            partial_auc(outcome, [1, 2, 3, 4], **wrong)  # type: ignore[arg-type]  # the refusal is the point
    with pytest.raises(NotEstimableError):
        partial_auc(np.array([True, False, False]), [1, 2, 3])
