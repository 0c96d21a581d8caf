"""Confident learning against joints computed by hand, and against labels that were flipped on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.label_audit.confident import (
    class_thresholds,
    confident_class,
    confident_joint,
    noise_rate,
)
from huizhen.validate.label_audit.labelled import Doubt, Labelled, doubts_of
from huizhen.validate.label_audit.ranking import Order, order_of, suspected, suspicion


def by_hand() -> Labelled:
    """Return three classes of five; thresholds .66, .66 and .68 by hand."""
    rows = [
        [0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1],
        [0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.1, 0.7, 0.2], [0.7, 0.2, 0.1],
        [0.1, 0.1, 0.8], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8], [0.4, 0.4, 0.2],
    ]  # fmt: skip
    return Labelled.of(np.repeat([0, 1, 2], 5), rows)


def separable(n: int, *, flipped: int, seed: int, classes: int = 2) -> tuple[Labelled, np.ndarray]:
    """Return noisy labels beside the true posteriors of normal classes, and which were flipped."""
    draw = stream(seed, "test", "separable")
    truth = np.arange(n) % classes
    centre = 3.2 * np.eye(classes)
    points = centre[truth] + draw.normal(size=(n, classes))
    logit = -((points[:, None] - centre[None]) ** 2).sum(axis=2) / 2
    risk = np.exp(logit - logit.max(axis=1, keepdims=True))
    risk /= risk.sum(axis=1, keepdims=True)
    wrong = np.zeros(n, bool)
    wrong[draw.choice(n, flipped, replace=False)] = True
    label = np.where(wrong, (truth + 1 + draw.integers(0, classes - 1, n)) % classes, truth)
    return Labelled.of(label, risk), wrong


def test_thresholds_are_mean_self_confidence() -> None:
    assert class_thresholds(by_hand()).tolist() == pytest.approx([0.66, 0.66, 0.68])


def test_the_joint_by_hand() -> None:
    data = by_hand()
    assert confident_class(data, class_thresholds(data)).tolist() == [
        0,
        0,
        0,
        0,
        1,
        1,
        1,
        1,
        1,
        0,
        2,
        2,
        2,
        2,
        -1,
    ]
    joint = confident_joint(data)
    assert joint.counts.tolist() == [[4, 1, 0], [1, 4, 0], [0, 0, 4]]
    expected = np.array([[4 / 5, 1 / 5, 0], [1 / 5, 4 / 5, 0], [0, 0, 1]]) / 3
    assert joint.calibrated == pytest.approx(expected)
    assert joint.error_rate == pytest.approx(2 / 15)


def test_the_likeliest_of_several_reached_classes_counts() -> None:
    rows = [[0.6, 0.4]] * 5 + [[0.55, 0.45]] * 5
    found = confident_class(Labelled.of(np.repeat([0, 1], 5), rows), np.array([0.5, 0.4]))
    assert found.tolist() == [0] * 10


def test_a_class_without_a_confident_case_keeps_its_labels() -> None:
    joint = confident_joint(Labelled.of(np.repeat([0, 1], 5), [[0.9, 0.1]] * 5 + [[0.9, 0.1]] * 5))
    assert joint.calibrated.sum() == pytest.approx(1)
    assert joint.calibrated.sum(axis=1).tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("order", [Order.CONFIDENT, Order.NOISE_RATE, Order.CLASS])
def test_flipped_labels_come_first(order: Order) -> None:
    data, wrong = separable(900, flipped=60, seed=3, classes=3)
    first = order_of(data, order)[:60]
    assert wrong[first].mean() > 0.85
    marked = suspected(data, order)
    assert 40 <= marked.sum() <= 90
    assert marked[order_of(data, order)[: marked.sum()]].all()


def test_undecided_cases_are_not_wrong_ones() -> None:
    data, wrong = separable(900, flipped=60, seed=3, classes=3)
    assert wrong[order_of(data, Order.ENTROPY)[:60]].mean() < 0.4
    assert not suspected(data, Order.ENTROPY).any()
    assert suspicion(data, Order.SELF_CONFIDENCE) == pytest.approx(1 - data.own)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1])
def test_the_estimated_rate_is_near_the_true_one(share: float) -> None:
    data, wrong = separable(2000, flipped=int(2000 * share), seed=5)
    found = noise_rate(data, stream(5, "test"), resamples=200)
    assert found.overall == pytest.approx(wrong.mean(), abs=0.015)
    assert found.interval.low <= found.overall <= found.interval.high
    assert found.interval.high - found.interval.low < 0.04
    assert len(found.by_class) == 2


def test_rows_of_one_patient_widen_the_interval() -> None:
    data, _ = separable(300, flipped=30, seed=7)
    many = Labelled.of(np.tile(data.label, 4), np.tile(data.probability, (4, 1)), np.tile(np.arange(300), 4))
    alone = Labelled.of(many.label, many.probability)
    widths = [
        found.high - found.low
        for found in (noise_rate(one, stream(1, "w"), resamples=300).interval for one in (many, alone))
    ]
    assert widths[0] > 1.5 * widths[1]


def test_a_class_of_four_is_left_alone() -> None:
    label = np.array([0] * 20 + [1] * 20 + [2] * 4)
    risk = np.full((44, 3), 0.05)
    risk[np.arange(44), label] = 0.9
    risk[43] = [0.9, 0.05, 0.05]
    risk[0] = [0.05, 0.05, 0.9]
    data = Labelled.of(label, risk)
    assert Doubt.FEW in doubts_of(data)
    assert not suspected(data, Order.CONFIDENT).any()
    assert confident_joint(data).counts[2].tolist() == [0, 0, 4]


def test_doubts() -> None:
    good, _ = separable(400, flipped=20, seed=1)
    assert doubts_of(good) == ()
    label = np.arange(200) % 2
    seen = np.where(label[:, None] == [0, 1], 0.97, 0.03)
    assert doubts_of(Labelled.of(label, seen)) == (Doubt.TOO_GOOD,)
    assert Doubt.UNINFORMATIVE in doubts_of(Labelled.of(label, np.full((200, 2), 0.5)))
    exact = good.probability.copy()
    exact[:40] = np.eye(2)[good.label[:40]]
    assert doubts_of(Labelled.of(good.label, exact)) == (Doubt.EXACT,)


@pytest.mark.parametrize(
    ("label", "rows", "says"),
    [
        (np.array([0, 1]), [[0.5, 0.4], [0.2, 0.8]], "don't add up to 1"),
        (np.array([0, 1]), [[1.2, -0.2], [0.2, 0.8]], "leave"),
        (np.array([0, 1]), [[np.nan, 0.5], [0.2, 0.8]], "no probability"),
        (np.array([0, 2]), [[0.5, 0.5], [0.2, 0.8]], "no probability"),
        (np.array([0.0, 1.0]), [[0.5, 0.5], [0.2, 0.8]], "don't fit"),
        (np.array([0, 1, 1]), [[0.5, 0.5], [0.2, 0.8]], "don't fit"),
    ],
)
def test_wrong_input_is_refused(label: np.ndarray, rows: list[list[float]], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        Labelled.of(label, rows)


def test_rounded_probabilities_are_taken_and_one_class_is_not() -> None:
    assert Labelled.of(np.array([0, 1]), [[0.333, 0.664], [0.2, 0.8]]).probability.sum(axis=1).tolist() == [
        1,
        1,
    ]
    with pytest.raises(NotEstimableError, match="one class"):
        Labelled.of(np.array([1, 1]), [[0.5, 0.5], [0.2, 0.8]])
    with pytest.raises(InvalidInputError, match="one a case"):
        Labelled.of(np.array([0, 1]), [[0.5, 0.5], [0.2, 0.8]], ["a"])
