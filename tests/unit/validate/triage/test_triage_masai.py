"""MASAI's totals (Lancet Oncol 24:936-944, 2023) recovered from readers that were fitted to them."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.margins import rate_ratio
from huizhen.validate.proportions import clopper_pearson
from huizhen.validate.triage.comparison import compare_policies
from huizhen.validate.triage.expected import (
    BinormalAI,
    discordance,
    expected_shares,
    patterns_of,
    separation_of,
)
from huizhen.validate.triage.levels import RiskLevels
from huizhen.validate.triage.panel import Panel, Reader, simulate_reads
from huizhen.validate.triage.policies import AITriage, DoubleReading, Policy, SingleReading
from huizhen.validate.triage.published import ArmTotals, panel_for
from huizhen.validate.triage.reads import Exams

# Events: recalled ones over the sensitivity of the whole trial (73.8 and 80.5 %, Lancet 2026), rounded.
CONTROL = ArmTotals(exams=40_024, events=275, detected=203, recalled=817, readings=83_231)
WITH_AI = ArmTotals(exams=39_996, events=303, detected=244, recalled=861, readings=46_345)
ARMS: list[tuple[ArmTotals, Policy]] = [(CONTROL, DoubleReading()), (WITH_AI, AITriage())]


def ai_of(totals: ArmTotals) -> BinormalAI:
    return BinormalAI(separation=separation_of(0.93), prevalence=totals.events / totals.exams)


def fitted(totals: ArmTotals, policy: Policy) -> Panel:
    top = AITriage(top="read") if isinstance(policy, AITriage) else policy
    return panel_for(totals, top, ai_of(totals), consensus_sensitivity=0.85, between_readers=0.5, with_ai=0.5)


def simulated(totals: ArmTotals, policy: Policy) -> Exams:
    """Return an arm drawn exam by exam, with cut points that were frozen beforehand."""
    ai, draw = ai_of(totals), stream(4, "MASAI", type(policy).__name__)
    *cuts, top = ai.cuts().tolist()
    levels = RiskLevels(cuts=tuple(cuts), top=top)
    truth = np.arange(totals.exams) < totals.events
    normal = draw.standard_normal(truth.size)
    score = normal + ai.separation * truth
    reads = simulate_reads(draw, fitted(totals, policy), truth, normal)
    return Exams(outcome=truth, level=levels.of(score), top=levels.in_top(score), reads=reads)


def test_readings_fall_by_44_3_per_cent_and_only_with_consensus_counted() -> None:
    per_exam = []
    for totals, policy in ARMS:
        used = AITriage(top="read") if isinstance(policy, AITriage) else policy
        shares = expected_shares(used, patterns_of(fitted(totals, policy), ai_of(totals)))
        per_exam.append(shares[1:] @ [ai_of(totals).prevalence, 1 - ai_of(totals).prevalence])
    totals = [each.sum() * arm.exams for each, (arm, _) in zip(per_exam, ARMS, strict=True)]
    assert totals == pytest.approx([83_231, 46_345], abs=0.5)
    assert 1 - totals[1] / totals[0] == pytest.approx(0.443, abs=0.0005)
    without = [each[:2].sum() * arm.exams for each, (arm, _) in zip(per_exam, ARMS, strict=True)]
    assert without[0] == pytest.approx(80_048)
    assert 1 - without[1] / without[0] == pytest.approx(0.4504, abs=0.0005)  # what reads 1 and 2 would give
    assert per_exam[0][2] * 40_024 == pytest.approx(3_183, abs=0.5)
    assert per_exam[1][2] * 39_996 == pytest.approx(2_349.4, abs=0.5)


def test_arms_drawn_exam_by_exam_come_out_as_published() -> None:
    found = []
    for totals, policy in ARMS:
        used = AITriage(top="read") if isinstance(policy, AITriage) else policy
        result = compare_policies(simulated(totals, policy), [used], resamples=400)[0].measures
        for name, published in {
            "detection_rate": totals.detected / totals.exams,
            "recall_rate": totals.recalled / totals.exams,
            "ppv": totals.detected / totals.recalled,
            "readings": totals.readings / totals.exams,
        }.items():
            interval = result[name].interval
            reach = interval.high - interval.low
            assert interval.low - 0.25 * reach < published < interval.high + 0.25 * reach, name
        found.append(result["readings"].value * totals.exams)
    assert 1 - found[1] / found[0] == pytest.approx(0.443, abs=0.004)


def test_published_intervals_and_ratio() -> None:
    rows = [(244, 39_996, 5.4, 6.9), (203, 40_024, 4.4, 5.8), (861, 39_996, 20, 23), (817, 40_024, 19, 22)]
    for count, n, low, high in rows:
        found = clopper_pearson(count, n)
        digits = 1 if high < 10 else 0
        assert (round(1000 * found.low, digits), round(1000 * found.high, digits)) == (low, high)
    ratio = rate_ratio(203, 40_024, 244, 39_996, margin=1.2)
    assert 1 / ratio.estimate == pytest.approx(1.2, abs=0.005)
    assert (round(1 / ratio.interval.high, 1), round(1 / ratio.interval.low, 1)) == (1.0, 1.4)


def test_expected_shares_are_those_of_many_drawn_exams() -> None:
    reader = Reader(sensitivity=0.7, specificity=0.92)
    panel = Panel(first=reader, second=reader, consensus=reader, between_readers=0.6, with_ai=0.5, follow=0.3)
    ai = BinormalAI(separation=1.5, prevalence=0.3)
    draw, truth = np.random.default_rng(5), np.arange(300_000) < 90_000
    normal = draw.standard_normal(truth.size)
    *cuts, top = ai.cuts().tolist()
    levels = RiskLevels(cuts=tuple(cuts), top=top)
    score = normal + ai.separation * truth
    reads = simulate_reads(draw, panel, truth, normal)
    exams = Exams(outcome=truth, level=levels.of(score), top=levels.in_top(score), reads=reads)
    assert np.bincount(exams.level)[1:] / truth.size == pytest.approx([0.1] * 10, abs=0.004)
    patterns = patterns_of(panel, ai)
    for policy in (DoubleReading(), AITriage(), SingleReading()):
        found = compare_policies(exams, [policy], resamples=2)[0].measures
        shares = expected_shares(policy, patterns)
        wanted = dict(zip(("recall_rate", "first", "second", "consensus"), shares @ [0.3, 0.7], strict=True))
        assert {name: found[name].value for name in wanted} == pytest.approx(wanted, abs=0.004)
        assert found["sensitivity"].value == pytest.approx(shares[0, 0], abs=0.005)
    both = discordance(AITriage(), DoubleReading(), patterns)
    gap = expected_shares(AITriage(), patterns)[0, 0] - expected_shares(DoubleReading(), patterns)[0, 0]
    assert both[0] - both[1] == pytest.approx(gap)


def test_totals_that_contradict_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        ArmTotals(exams=100, events=10, detected=11, recalled=20, readings=200)
    many = ArmTotals(exams=1000, events=10, detected=5, recalled=20, readings=2900)
    with pytest.raises(NotEstimableError):
        panel_for(
            many, SingleReading(), ai_of(CONTROL), consensus_sensitivity=0.9, between_readers=0.5, with_ai=0.5
        )
    with pytest.raises(InvalidInputError):
        BinormalAI(separation=1.0, prevalence=0.1, shares=(0.5, 0.4))
    with pytest.raises(InvalidInputError):
        separation_of(1.0)
