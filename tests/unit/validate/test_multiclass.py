"""Several classes and labels, against scikit-learn and brute-force resampling."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.multiclass import hand_till, multi_label, one_against_rest


def drawn(seed: int, n: int, *, classes: int = 3) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and probabilities with ties."""
    draw = np.random.default_rng(seed)
    label = np.concatenate([np.repeat(np.arange(classes), 2), draw.integers(0, classes, n - 2 * classes)])
    raw = np.round(draw.random((classes, n)) + 0.6 * (np.arange(classes)[:, None] == label), 1) + 0.05
    return label, raw / raw.sum(axis=0)


@pytest.mark.parametrize("seed", range(3))
def test_as_scikit_learn(seed: int) -> None:
    label, scores = drawn(seed, 60, classes=3 + seed)
    cases = {
        "ovo macro": hand_till(label, scores),
        "ovr macro": one_against_rest(label, scores),
        "ovr weighted": one_against_rest(label, scores, weigh="cases"),
    }
    for name, found in cases.items():
        kind, average = name.split()
        expected = roc_auc_score(label, scores.T, multi_class=kind, average=average)
        assert found.mean.value == pytest.approx(expected, abs=1e-12)
        assert found.weights.sum() == pytest.approx(1)


def test_labels_as_scikit_learn() -> None:
    draw = np.random.default_rng(4)
    truth = draw.random((3, 50)) < 0.4
    scores = np.round(draw.random((3, 50)) + 0.4 * truth, 1)
    macro, pooled = multi_label(truth, scores)
    assert macro.mean.value == pytest.approx(roc_auc_score(truth.T, scores.T, average="macro"), abs=1e-12)
    assert pooled.value == pytest.approx(roc_auc_score(truth.T, scores.T, average="micro"), abs=1e-12)


def test_two_classes_are_delong() -> None:
    label, scores = drawn(5, 40, classes=2)
    scores[0] = 1 - scores[1]
    plain = auc_interval(label == 1, scores[1], method="logit")
    for found in (hand_till(label, scores), one_against_rest(label, scores)):
        assert found.mean.value == pytest.approx(plain.value, abs=1e-13)
        assert found.mean.interval.low == pytest.approx(plain.interval.low, abs=1e-12)


@pytest.mark.parametrize("n", [60, 200, 1000])
def test_intervals_cover(n: int) -> None:
    draw, trials = np.random.default_rng(n), 400
    label = np.arange(n) % 3
    truth = float(hand_till(np.arange(60000) % 3, shifted(draw, np.arange(60000) % 3)).mean.value)
    held = 0
    for _ in range(trials):
        found = hand_till(label, shifted(draw, label)).mean.interval
        held += found.low <= truth <= found.high
    print(f"Hand and Till, n = {n}: coverage {held / trials:.3f}")
    assert 0.92 < held / trials < 0.985


def shifted(draw: np.random.Generator, label: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scores (3, n), higher in the case's own row."""
    return np.asarray(draw.normal(size=(3, label.size)) + (np.arange(3)[:, None] == label))


def test_perfect_classes_have_a_bound() -> None:
    label = np.repeat(np.arange(3), 5)
    found = hand_till(label, np.eye(3)[:, label])
    assert (found.mean.value, found.mean.interval.high) == (1.0, 1.0)
    assert found.mean.interval.low == pytest.approx(0.025 ** (1 / 5))


def test_refusals() -> None:
    label, scores = drawn(6, 20)
    with pytest.raises(InvalidInputError):
        hand_till(label.astype(float), scores)
    with pytest.raises(InvalidInputError):
        hand_till(label, scores[:2])
    with pytest.raises(InvalidInputError):
        hand_till(label - 1, scores)
    with pytest.raises(InvalidInputError, match="unknown"):
        one_against_rest(label, scores, weigh="size")  # type: ignore[arg-type]  # the refusal is the point
    with pytest.raises(NotEstimableError, match="two cases"):
        hand_till(np.minimum(label, 1), scores)
    with pytest.raises(InvalidInputError):
        multi_label(np.ones((2, 4)), np.ones((2, 4)))
    with pytest.raises(NotEstimableError):
        multi_label(np.ones((2, 4), dtype=bool), np.ones((2, 4)))
