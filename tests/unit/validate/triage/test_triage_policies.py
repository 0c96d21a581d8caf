"""Policies against a slow reading of each exam by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from huizhen.errors import InvalidInputError
from huizhen.validate.triage.policies import (
    AISecondReader,
    AITriage,
    DoubleReading,
    Policy,
    Prioritised,
    RuleOut,
    SingleReading,
    carried_out,
)
from huizhen.validate.triage.reads import Exams, Reads, observed_reads

ALL = [
    SingleReading(),
    SingleReading(referral="discordant"),
    DoubleReading(),
    DoubleReading(referral="discordant"),
    AITriage(),
    AITriage(double_from=8, top="consensus"),
    AITriage(top="read", referral="discordant"),
    AISecondReader(),
    AISecondReader(flag_from=9, referral="any"),
    RuleOut(read_from=4),
    RuleOut(read_from=4, readers=1, referral="discordant"),
    Prioritised(),
    Prioritised(readers=1),
]


def every_exam() -> Exams:
    """Return all patterns of level, reads and followed calls, the top mark on half of level 10."""
    rows = list(itertools.product(range(1, 12), *[(False, True)] * 5))
    level, *flags = np.array(rows).T
    columns = [column.astype(np.bool_)[np.newaxis] for column in flags]
    reads = Reads(
        first=columns[0],
        second=columns[1],
        consensus=columns[2],
        follows_first=columns[3],
        follows_second=columns[4],
        simulated=np.zeros((3, len(rows)), dtype=np.bool_),
    )
    return Exams(
        outcome=np.zeros(len(rows), dtype=np.bool_),
        level=np.minimum(level, 10).astype(np.int64),
        top=level == 11,
        reads=reads,
    )


def by_hand(policy: Policy, level: int, top: bool, flags: list[bool]) -> tuple[bool, bool, bool, bool]:
    """Return recalled, first, second, consensus of one exam, in plain words."""
    one, two, meeting, follows_one, follows_two = flags
    if isinstance(policy, RuleOut) and level < policy.read_from:
        return False, False, False, False
    if isinstance(policy, SingleReading):
        readers, second_votes = 1, False
    elif isinstance(policy, DoubleReading):
        readers, second_votes = 2, True
    elif isinstance(policy, AITriage):
        called = level >= policy.double_from
        one = called if follows_one else one
        two = called if follows_two else two
        readers, second_votes = (2, True) if called else (1, False)
    elif isinstance(policy, AISecondReader):
        two, readers, second_votes = level >= policy.flag_from, 1, True
    else:
        readers, second_votes = policy.readers, policy.readers == 2
    votes = [one, two] if second_votes else [one]
    if policy.referral == "any":
        discussed = any(votes)
        recalled = discussed and meeting
    else:
        discussed = len(set(votes)) > 1
        recalled = meeting if discussed else votes[0]
    if isinstance(policy, AITriage) and top and policy.top == "recall":
        return True, True, readers == 2, False
    if isinstance(policy, AITriage) and top and policy.top == "consensus":
        return meeting, True, readers == 2, True
    return recalled, True, readers == 2, discussed


@pytest.mark.parametrize("policy", ALL, ids=str)
def test_a_policy_reads_every_exam_as_by_hand(policy: Policy) -> None:
    exams = every_exam()
    found = carried_out(policy, exams)
    parts = (found.recalled, found.first, found.second, found.consensus)
    reads = exams.reads
    flags = (reads.first, reads.second, reads.consensus, reads.follows_first, reads.follows_second)
    for k in range(exams.outcome.size):
        wanted = by_hand(policy, int(exams.level[k]), bool(exams.top[k]), [bool(f[0, k]) for f in flags])
        assert tuple(bool(part[0, k]) for part in parts) == wanted


def test_prioritising_changes_no_decision() -> None:
    exams = every_exam()
    one, two = carried_out(Prioritised(), exams), carried_out(DoubleReading(), exams)
    assert (one.recalled == two.recalled).all()
    assert (one.consensus == two.consensus).all()


def test_exams_that_do_not_fit_are_refused() -> None:
    flag = np.array([True, False])
    reads = observed_reads(flag, flag, flag)
    with pytest.raises(InvalidInputError):
        Exams(outcome=flag, level=np.array([1, 2, 3]), top=flag, reads=reads)
    with pytest.raises(InvalidInputError):
        Exams(outcome=flag, level=np.array([0, 2]), top=flag, reads=reads)
    with pytest.raises(InvalidInputError):
        observed_reads(flag, flag, np.array([True]))
