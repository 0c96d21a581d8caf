"""Reading policies: who reads which exam, what goes to consensus, and who is recalled.

The union is closed: `carried_out` knows each. References: for double reading with consensus and AI triage,
Lång et al., Lancet Oncol 24:936-944 (2023); for AI as second reader with arbitration, Ng et al., Nat Med
29:3044-3049 (2023); for a band that nobody reads, Dembrower et al., Lancet Digit Health 2:e468-e474 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from huizhen.validate.triage.reads import Exams, Reads

Flags = NDArray[np.bool_]
Referral = Literal["any", "discordant"]
"""any: what any reader flags goes to consensus. discordant: only what readers disagree on does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleReading:
    """One reader, without AI."""

    referral: Referral = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleReading:
    """Two readers who don't see each other's reads, without AI, and consensus."""

    referral: Referral = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class AITriage:
    """Levels from `double_from` up are read twice, others once; readers see the level.

    `top`: exams of the top share are recalled whatever readers say ("recall"), go to consensus whatever
    readers say ("consensus"), or are like others ("read").
    """

    double_from: int = 10
    top: Literal["recall", "consensus", "read"] = "recall"
    referral: Referral = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class AISecondReader:
    """One reader who doesn't see the AI; the AI flags levels from `flag_from` up; a person arbitrates."""

    flag_from: int = 10
    referral: Referral = "discordant"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOut:
    """Levels below `read_from` are taken as normal and read by nobody; others by two readers, or one."""

    read_from: int = 5
    readers: Literal[1, 2] = 2
    referral: Referral = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prioritised:
    """Read as without AI, but the highest levels first: only the order of the worklist changes."""

    readers: Literal[1, 2] = 2
    referral: Referral = "any"


Policy = SingleReading | DoubleReading | AITriage | AISecondReader | RuleOut | Prioritised


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a policy made of exams, each (r, n): who was recalled, and which readings took place.

    `consensus` counts one reading for each exam that was discussed or arbitrated.
    """

    recalled: Flags
    first: Flags
    second: Flags
    consensus: Flags


def carried_out(policy: Policy, exams: Exams) -> Course:
    """Return what `policy` makes of `exams`.

    >>> from huizhen.validate.triage.reads import observed_reads
    >>> reads = observed_reads(np.array([True, False]), np.array([False, False]), np.array([True, True]))
    >>> exams = Exams(outcome=np.array([True, False]), level=np.array([10, 3]),
    ...     top=np.array([False, False]), reads=reads)
    >>> carried_out(AITriage(), exams).second.tolist(), carried_out(AITriage(), exams).recalled.tolist()
    ([[True, False]], [[True, False]])
    """
    reads = exams.reads
    everybody = np.ones(reads.first.shape, dtype=np.bool_)
    match policy:
        case SingleReading(referral=referral):
            return _read_by(everybody, ~everybody, reads, referral)
        case DoubleReading(referral=referral):
            return _read_by(everybody, everybody, reads, referral)
        case AITriage():
            return _triaged(policy, exams)
        case AISecondReader():
            return _beside_ai(policy, exams)
        case RuleOut(read_from=read_from, readers=readers, referral=referral):
            read = everybody & (exams.level >= read_from)
            return _read_by(read, read if readers == 2 else ~everybody, reads, referral)
        case Prioritised(readers=readers, referral=referral):
            return _read_by(everybody, everybody if readers == 2 else ~everybody, reads, referral)
        case _:
            assert_never(policy)


def _read_by(first: Flags, second: Flags, reads: Reads, referral: Referral) -> Course:
    """Return the course of exams that `first` and `second` (r, n) readers read."""
    return _decided(first, second, first & reads.first, second & reads.second, reads, referral)


def _decided(first: Flags, second: Flags, one: Flags, two: Flags, reads: Reads, referral: Referral) -> Course:
    """Return the course where the first reader flags `one` and the second `two`."""
    if referral == "any":
        discussed = one | two
        return Course(recalled=discussed & reads.consensus, first=first, second=second, consensus=discussed)
    discussed = second & (one != two)
    agreed = np.where(second, one & two, one)
    recalled = np.where(discussed, reads.consensus, agreed)
    return Course(recalled=recalled, first=first, second=second, consensus=discussed)


def _triaged(policy: AITriage, exams: Exams) -> Course:
    """Return the course of AI triage: the AI calls what is to be read twice."""
    reads, called = exams.reads, exams.level >= policy.double_from
    everybody = np.ones(reads.first.shape, dtype=np.bool_)
    twice = everybody & called
    one = np.where(reads.follows_first, called, reads.first)
    two = twice & np.where(reads.follows_second, called, reads.second)
    found = _decided(everybody, twice, one, two, reads, policy.referral)
    if policy.top == "read":
        return found
    if policy.top == "consensus":
        discussed = found.consensus | exams.top
        recalled = np.where(exams.top, reads.consensus, found.recalled)
    else:
        discussed = found.consensus & ~exams.top
        recalled = found.recalled | exams.top
    return Course(recalled=recalled, first=everybody, second=twice, consensus=discussed)


def _beside_ai(policy: AISecondReader, exams: Exams) -> Course:
    """Return the course with the AI as second reader: its readings cost nobody's time."""
    reads = exams.reads
    everybody = np.ones(reads.first.shape, dtype=np.bool_)
    called = everybody & (exams.level >= policy.flag_from)
    found = _decided(everybody, everybody, reads.first, called, reads, policy.referral)
    return Course(recalled=found.recalled, first=everybody, second=~everybody, consensus=found.consensus)
