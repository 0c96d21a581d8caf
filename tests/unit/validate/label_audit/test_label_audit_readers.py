"""Readers against labels: published agreement, and simulated readers whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.krippendorff import krippendorff_alpha
from huizhen.validate.label_audit.readers import reader_audit, witnessed

HAYES = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
"""Four observers, twelve units: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011)."""


def example() -> np.ndarray:
    rows = [[int(c) - 1 if c != "." else -1 for c in line.split()] for line in HAYES.strip().splitlines()]
    return np.array(rows, dtype=np.int64).T


@pytest.mark.parametrize(
    ("scale", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_is_the_published_one(scale: str, published: float) -> None:
    found = krippendorff_alpha(example(), labels=5, scale=scale, draw=stream(1, "a"), resamples=200)  # type: ignore[arg-type]  # of the parameters
    assert found.value == pytest.approx(published, abs=0.0006)
    assert found.interval.low < found.value < found.interval.high


def test_alpha_of_nothing_is_refused() -> None:
    with pytest.raises(NotEstimableError):
        krippendorff_alpha(np.zeros((5, 2), np.int64), labels=2, draw=stream(1, "a"))
    with pytest.raises(NotEstimableError):
        krippendorff_alpha(np.array([[0, -1], [1, -1]]), labels=2, draw=stream(1, "a"))
    with pytest.raises(InvalidInputError):
        krippendorff_alpha(np.array([[0, 3]]), labels=2, draw=stream(1, "a"))


def simulated(n: int, right: tuple[float, ...], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth, given labels of which a tenth are wrong, and what readers of known accuracy say."""
    draw = stream(seed, "readers")
    truth = draw.integers(0, 2, n)
    wrong = draw.random(n) < 0.1
    said = [np.where(draw.random(n) < share, truth, 1 - truth) for share in right]
    read = np.stack(said, axis=1)
    read[draw.random(read.shape) < 0.1] = -1
    return truth, np.where(wrong, 1 - truth, truth), read


def test_readers_find_wrong_labels() -> None:
    truth, label, read = simulated(800, (0.95, 0.9, 0.7), 1)
    found = reader_audit(label, read, labels=2, seed=1, draw=stream(1, "b"))
    assert found.right == pytest.approx([0.95, 0.9, 0.7], abs=0.05)
    belief = witnessed(found.truth, None)
    worst = np.argsort(belief[np.arange(800), label])[:80]
    assert (label != truth)[worst].mean() > 0.6
    assert found.interval.low < found.share < found.interval.high
    assert found.read_twice == int(((read >= 0).sum(axis=1) >= 2).sum())


def test_a_model_beside_readers_is_one_more_witness() -> None:
    truth, label, read = simulated(800, (0.8, 0.75), 2)
    draw = stream(2, "model")
    risk = np.clip(np.where(truth == 1, 0.75, 0.25) + draw.normal(0, 0.15, 800), 0.02, 0.98)
    found = reader_audit(label, read, labels=2, seed=1, draw=stream(1, "b"))
    alone, both = (witnessed(found.truth, one) for one in (None, np.column_stack([1 - risk, risk])))
    right = [(belief.argmax(axis=1) == truth).mean() for belief in (alone, both)]
    assert right[1] > right[0] + 0.05


def test_unread_cases_keep_the_models_belief_and_shapes_are_checked() -> None:
    belief = witnessed(np.array([[0.9, 0.1], [np.nan, np.nan]]), np.array([[0.5, 0.5], [0.2, 0.8]]))
    assert belief[1].tolist() == [0.2, 0.8]
    with pytest.raises(InvalidInputError):
        reader_audit(np.zeros(3, np.int64), np.zeros((2, 2), np.int64), labels=2, seed=1, draw=stream(1, "b"))


def test_perfect_agreement_has_an_interval_that_is_no_point() -> None:
    first = np.arange(30) % 2
    for scale in ("nominal", "ordinal", "interval"):
        found = krippendorff_alpha(
            np.column_stack([first, first]), labels=2, scale=scale, draw=np.random.default_rng(1)
        )
        assert (found.value, found.interval.high) == (1, 1)
        assert 0.7 < found.interval.low < 0.8
