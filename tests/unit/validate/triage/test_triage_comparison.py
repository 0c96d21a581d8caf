"""Measures against plain counts, their intervals against simulation, cells against every exam by itself."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.triage.cells import cells_of
from huizhen.validate.triage.comparison import SHARES, WORK, Minutes, compare_policies, measures_of
from huizhen.validate.triage.expected import BinormalAI, expected_shares, patterns_of
from huizhen.validate.triage.levels import fix_levels
from huizhen.validate.triage.noninferiority import paired_limits
from huizhen.validate.triage.panel import Panel, Reader, normal_scores, simulate_reads
from huizhen.validate.triage.policies import (
    AISecondReader,
    AITriage,
    DoubleReading,
    RuleOut,
    SingleReading,
    carried_out,
)
from huizhen.validate.triage.reads import Exams, observed_reads

READER = Reader(sensitivity=0.7, specificity=0.9)
PANEL = Panel(first=READER, second=READER, consensus=READER, between_readers=0.5, with_ai=0.5)
POLICIES = [DoubleReading(), AITriage(), AISecondReader(), RuleOut(), SingleReading()]


def exams_of(n: int, prevalence: float, seed: int, *, draws: int = 1) -> Exams:
    """Return simulated exams."""
    draw = np.random.default_rng(seed)
    truth = np.arange(n) < round(n * prevalence)
    score = draw.normal(size=n) + 2 * truth
    levels = fix_levels(score)
    reads = simulate_reads(draw, PANEL, truth, normal_scores(score, truth), draws=draws)
    return Exams(outcome=truth, level=levels.of(score), top=levels.in_top(score), reads=reads)


def test_measures_are_the_plain_counts() -> None:
    exams = exams_of(3000, 0.1, 1)
    found = compare_policies(exams, POLICIES, resamples=20, minutes=Minutes(first=2, second=1, consensus=5))
    truth = exams.outcome
    for policy, result in zip(POLICIES, found, strict=True):
        course = carried_out(policy, exams)
        recalled, n = course.recalled[0], truth.size
        kinds = [part.sum() / n for part in (course.first, course.second, course.consensus)]
        wanted = {
            "sensitivity": recalled[truth].mean(),
            "specificity": 1 - recalled[~truth].mean(),
            "detection_rate": (recalled & truth).sum() / n,
            "recall_rate": recalled.mean(),
            "ppv": truth[recalled].mean(),
            "false_recall_rate": (recalled & ~truth).sum() / n,
            "missed_rate": (~recalled & truth).sum() / n,
            "readings": sum(kinds),
            "first": kinds[0],
            "second": kinds[1],
            "consensus": kinds[2],
            "minutes": 2 * kinds[0] + kinds[1] + 5 * kinds[2],
            "unread": 1 - kinds[0],
        }
        assert {name: result.measures[name].value for name in wanted} == pytest.approx(wanted)
        base = found[0].measures["readings"].value
        assert result.measures["readings_saved"].value == pytest.approx(1 - sum(kinds) / base)
        for name in (*SHARES, *WORK):
            gap = result.measures[name].value - found[0].measures[name].value
            assert result.differences[name].value == pytest.approx(gap)
            interval = result.measures[name].interval
            assert interval.low <= result.measures[name].value <= interval.high


def test_at_another_prevalence_class_means_are_reweighted() -> None:
    exams = exams_of(2000, 0.5, 2)
    found = compare_policies(exams, [DoubleReading()], resamples=20, prevalence=0.01)[0].measures
    sensitivity, specificity = found["sensitivity"].value, found["specificity"].value
    assert found["detection_rate"].value == pytest.approx(0.01 * sensitivity)
    assert found["recall_rate"].value == pytest.approx(0.01 * sensitivity + 0.99 * (1 - specificity))
    assert found["ppv"].value == pytest.approx(0.01 * sensitivity / found["recall_rate"].value)
    own = compare_policies(exams, [DoubleReading()], resamples=20)[0].measures
    assert own["sensitivity"].value == sensitivity
    assert own["ppv"].value > found["ppv"].value


def test_cells_hold_what_single_exams_add() -> None:
    exams = exams_of(500, 0.2, 3)
    courses = [carried_out(policy, exams) for policy in POLICIES]
    packed = cells_of(exams.outcome, courses)
    by_exam = cells_of(exams.outcome, courses, cluster=np.arange(500))
    assert packed.sums == pytest.approx(by_exam.sums)
    assert packed.units == by_exam.units == 500
    assert sorted(packed.counts.tolist()) == sorted(by_exam.counts.tolist())
    pairs = cells_of(exams.outcome, courses, cluster=np.arange(500) // 2)
    assert pairs.units == 250
    assert pairs.sums == pytest.approx(packed.sums)


def test_many_draws_come_near_what_is_expected() -> None:
    exams = exams_of(4000, 0.1, 4, draws=30)
    found = compare_policies(exams, POLICIES, resamples=20)
    patterns = patterns_of(PANEL, BinormalAI(separation=2.0, prevalence=0.1))
    for policy, result in zip(POLICIES, found, strict=True):
        shares = expected_shares(policy, patterns)
        wanted = shares @ [0.1, 0.9]
        assert result.measures["sensitivity"].value == pytest.approx(shares[0, 0], abs=0.03)
        assert result.measures["recall_rate"].value == pytest.approx(wanted[0], abs=0.01)
        assert result.measures["readings"].value == pytest.approx(wanted[1:].sum(), abs=0.01)


def test_intervals_hold_the_expected_value_in_about_95_of_100_samples() -> None:
    shares = expected_shares(AITriage(), patterns_of(PANEL, BinormalAI(separation=2.0, prevalence=0.2)))
    double = expected_shares(DoubleReading(), patterns_of(PANEL, BinormalAI(separation=2.0, prevalence=0.2)))
    held = {"measure": 0, "difference": 0}
    trials = 150
    for seed in range(trials):
        result = compare_policies(exams_of(400, 0.2, 100 + seed), POLICIES[:2], resamples=300)[1]
        one, gap = result.measures["sensitivity"].interval, result.differences["sensitivity"].interval
        held["measure"] += one.low <= shares[0, 0] <= one.high
        held["difference"] += gap.low <= shares[0, 0] - double[0, 0] <= gap.high
    assert all(0.89 * trials <= count <= 0.99 * trials for count in held.values()), held


def test_differences_within_a_class_have_tangos_interval() -> None:
    exams = exams_of(300, 0.3, 12)
    new, old = (carried_out(policy, exams).recalled[0] for policy in (AITriage(), DoubleReading()))
    gaps = compare_policies(exams, [DoubleReading(), AITriage()], resamples=20)[1].differences
    for name, klass, sign in (("sensitivity", exams.outcome, 1), ("specificity", ~exams.outcome, -1)):
        n, only, other = klass.sum(), (klass & new & ~old).sum(), (klass & old & ~new).sum()
        assert gaps[name].value == pytest.approx(sign * (only - other) / n)
        wanted = paired_limits(*((only, other) if sign > 0 else (other, only)), n)
        assert gaps[name].interval == wanted


def test_doubling_every_exam_of_a_patient_leaves_the_interval() -> None:
    exams = exams_of(300, 0.3, 5)
    reads = exams.reads
    twice = Exams(
        outcome=np.repeat(exams.outcome, 2),
        level=np.repeat(exams.level, 2),
        top=np.repeat(exams.top, 2),
        reads=observed_reads(*(np.repeat(p[0], 2) for p in (reads.first, reads.second, reads.consensus))),
    )
    once = compare_policies(exams, POLICIES[:2], resamples=4000)[0].measures["sensitivity"]
    grouped = compare_policies(twice, POLICIES[:2], resamples=4000, cluster=np.arange(600) // 2)
    naive = compare_policies(twice, POLICIES[:2], resamples=4000)[0].measures["sensitivity"]
    same = grouped[0].measures["sensitivity"]
    width = once.interval.high - once.interval.low
    assert same.value == once.value
    assert same.interval.high - same.interval.low == pytest.approx(width, rel=0.1)
    assert naive.interval.high - naive.interval.low == pytest.approx(width / np.sqrt(2), rel=0.1)


def test_draws_make_one_trial_of_as_many_patients() -> None:
    many = compare_policies(exams_of(600, 0.3, 8, draws=40), POLICIES[:2], resamples=3000)[1].measures
    value, interval = many["sensitivity"].value, many["sensitivity"].interval
    plain = 2 * 1.96 * np.sqrt(value * (1 - value) / 180)
    assert interval.high - interval.low == pytest.approx(plain, rel=0.1)
    exams = exams_of(50, 0.3, 9, draws=3)
    courses = [carried_out(policy, exams) for policy in POLICIES]
    single, patients = (
        cells_of(exams.outcome, courses),
        cells_of(exams.outcome, courses, cluster=np.arange(50)),
    )
    assert single.units == patients.units == 50
    assert single.sums == pytest.approx(patients.sums)


def test_where_all_agree_the_interval_still_has_a_width() -> None:
    truth = np.arange(40) < 10
    flags = observed_reads(truth, truth, truth)
    exams = Exams(outcome=truth, level=np.where(truth, 10, 1), top=truth & False, reads=flags)
    found = compare_policies(exams, [DoubleReading(), SingleReading()], resamples=50)
    perfect = found[0].measures["sensitivity"]
    assert perfect.value == 1
    assert perfect.interval.low == pytest.approx(0.6915, abs=1e-4)  # Clopper and Pearson, 10 of 10
    same = found[1].differences["sensitivity"]
    assert same.value == 0
    assert same.interval.low < 0 < same.interval.high
    assert found[0].measures["second"].interval.low == found[0].measures["second"].interval.high == 1


def test_a_million_exams_take_seconds() -> None:
    exams = exams_of(1_000_000, 0.006, 6)
    started = time.perf_counter()
    compare_policies(exams, POLICIES, resamples=2000)
    assert time.perf_counter() - started < 20


def test_what_has_no_measure_is_refused() -> None:
    exams = exams_of(100, 0.2, 7)
    with pytest.raises(NotEstimableError):
        compare_policies(replace(exams, outcome=np.zeros(100, dtype=np.bool_)), POLICIES)
    nobody = observed_reads(*[np.zeros(100, dtype=np.bool_)] * 3)
    with pytest.raises(NotEstimableError, match="nobody was recalled"):
        compare_policies(replace(exams, reads=nobody), [DoubleReading()], resamples=20)
    for keys in ({"policies": []}, {"prevalence": 1.0}, {"resamples": 0}):
        with pytest.raises(InvalidInputError):
            compare_policies(exams, keys.pop("policies", POLICIES), **keys)
    with pytest.raises(InvalidInputError):
        Minutes(first=-1.0)
    with pytest.raises(InvalidInputError):
        cells_of(exams.outcome, [])
    with pytest.raises(InvalidInputError):
        cells_of(np.ones(3, dtype=np.bool_), [carried_out(DoubleReading(), exams)])


def test_sums_without_an_event_have_no_sensitivity() -> None:
    found = measures_of(np.array([[0.0, 9, 0, 1, 0, 9, 0, 9, 0, 1]]), Minutes())
    assert np.isnan(found["sensitivity"][0, 0])
