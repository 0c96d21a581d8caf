"""Free-response figures against their definitions over every pair of lesion and case."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.localisation import Marks, froc_curve, froc_sensitivity, jafroc


def drawn(seed: int, *, cases: int = 30) -> Marks:
    """Cases with 0 to 3 lesions, found or not, and wrong marks anywhere."""
    draw = np.random.default_rng(seed)
    lesions = np.where(np.arange(cases) < cases // 2, draw.integers(1, 4, cases), 0)
    owners = np.repeat(np.arange(cases), lesions)
    numbers = np.concatenate([np.arange(count) for count in lesions])
    found = draw.random(owners.size) < 0.8
    wrong = draw.integers(0, cases, draw.poisson(0.7 * cases))
    rating = np.round(np.concatenate([draw.normal(1.2, 1, found.sum()), draw.normal(size=wrong.size)]), 1)
    return Marks(
        lesions=lesions,
        case=np.concatenate([owners[found], wrong]),
        rating=rating,
        lesion=np.concatenate([numbers[found], np.full(wrong.size, -1)]),
    )


@pytest.mark.parametrize("weigh", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_jafroc_by_definition(seed: int, weigh: bool) -> None:
    marks = drawn(seed)
    healthy = [i for i in range(30) if marks.lesions[i] == 0]
    total = scale = 0.0
    for case in (i for i in range(30) if marks.lesions[i]):
        for lesion in range(marks.lesions[case]):
            own = marks.rating[(marks.case == case) & (marks.lesion == lesion)]
            height = own.max() if own.size else -np.inf
            weight = 1 / marks.lesions[case] if weigh else 1.0
            for other in healthy:
                wrong = marks.rating[(marks.case == other) & (marks.lesion < 0)]
                against = wrong.max() if wrong.size else -np.inf
                total += weight * (1.0 if height > against else 0.5 if height == against else 0.0)
                scale += weight
    assert jafroc(marks, weigh_cases=weigh).value == pytest.approx(total / scale, abs=1e-13)


def test_the_curve_and_the_sensitivities_by_definition() -> None:
    marks = drawn(5)
    curve = froc_curve(marks)
    for sensitivity, false, threshold in zip(
        curve.sensitivity[1:], curve.false_per_case[1:], curve.threshold[1:], strict=True
    ):
        hits = {
            (case, lesion)
            for case, lesion, rating in zip(marks.case, marks.lesion, marks.rating, strict=True)
            if lesion >= 0 and rating >= threshold
        }
        assert sensitivity == pytest.approx(len(hits) / marks.lesions.sum())
        assert false == pytest.approx(
            np.mean((marks.lesion < 0) & (marks.rating >= threshold)) * marks.case.size / 30
        )
    mean, each = froc_sensitivity(marks, (0.1, 0.5, 5), resamples=50)
    for rate, found in zip((0.1, 0.5, 5), each, strict=True):
        reached = curve.sensitivity[curve.false_per_case <= rate + 1e-12].max()
        assert found.value == pytest.approx(reached, abs=1e-13)
        assert found.interval.low <= found.value <= found.interval.high
    assert mean.value == pytest.approx(np.mean([found.value for found in each]))


def test_only_the_highest_mark_of_a_lesion_counts() -> None:
    marks = drawn(6)
    hit = np.flatnonzero(marks.lesion >= 0)
    twice = Marks(
        lesions=marks.lesions,
        case=np.concatenate([marks.case, marks.case[hit]]),
        rating=np.concatenate([marks.rating, marks.rating[hit] - 5]),
        lesion=np.concatenate([marks.lesion, marks.lesion[hit]]),
    )
    assert jafroc(twice) == jafroc(marks)
    assert froc_sensitivity(twice, (1.0,), resamples=20) == froc_sensitivity(marks, (1.0,), resamples=20)


def test_repeating_a_lesion_of_each_case_narrows_nothing() -> None:
    """Lesions of a case are no new patients: three equal lesions each leave value and interval."""
    draw = np.random.default_rng(7)
    one = Marks(
        lesions=(np.arange(40) < 20) * 1,
        case=np.arange(40),
        rating=np.round(draw.normal(size=40) + (np.arange(40) < 20), 1),
        lesion=np.where(np.arange(40) < 20, 0, -1),
    )
    three = Marks(
        lesions=one.lesions * 3,
        case=np.concatenate([one.case, np.arange(20), np.arange(20)]),
        rating=np.concatenate([one.rating, one.rating[:20], one.rating[:20]]),
        lesion=np.concatenate([one.lesion, np.full(20, 1), np.full(20, 2)]),
    )
    first, again = jafroc(one), jafroc(three)
    assert again.value == pytest.approx(first.value)
    assert again.interval.low == pytest.approx(first.interval.low)


def test_all_found_and_nothing_else_is_bounded() -> None:
    marks = Marks(
        lesions=np.array([1] * 6 + [0] * 8),
        case=np.arange(6),
        rating=np.ones(6),
        lesion=np.zeros(6, dtype=int),
    )
    found = jafroc(marks)
    assert (found.value, found.interval.high) == (1.0, 1.0)
    assert found.interval.low == pytest.approx(0.025 ** (1 / 6))
    mean, _ = froc_sensitivity(marks, resamples=20)
    assert mean.value == 1.0


@pytest.mark.parametrize("cases", [60, 200])
def test_jafroc_covers(cases: int) -> None:
    trials = 300
    truth = np.mean([jafroc(drawn(1000 + seed, cases=2000)).value for seed in range(10)])
    held = 0
    for seed in range(trials):
        found = jafroc(drawn(seed, cases=cases)).interval
        held += found.low <= truth <= found.high
    print(f"JAFROC, {cases} cases: coverage {held / trials:.3f}")
    assert 0.90 < held / trials < 0.99


def test_refusals() -> None:
    good = {
        "lesions": np.array([1, 0]),
        "case": np.array([0]),
        "rating": np.array([1.0]),
        "lesion": np.array([0]),
    }
    for change in (
        {"case": np.array([2])},
        {"lesion": np.array([1])},
        {"lesion": np.array([-2])},
        {"rating": np.array([np.nan])},
        {"rating": np.array([1.0, 2.0])},
        {"lesions": np.array([-1, 0])},
    ):
        with pytest.raises(InvalidInputError):
            Marks(**(good | change))
    with pytest.raises(NotEstimableError):
        jafroc(Marks(**good))
    with pytest.raises(NotEstimableError):
        froc_sensitivity(Marks(**good))
    nothing = Marks(
        lesions=np.zeros(3, dtype=int), case=np.array([0]), rating=np.array([1.0]), lesion=np.array([-1])
    )
    with pytest.raises(NotEstimableError, match="no lesion"):
        froc_curve(nothing)
