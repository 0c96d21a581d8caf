"""The study file's [triage]: reading policies that are simulated on the tested patients, fixed beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from huizhen.core.study_base import Frozen, Name
from huizhen.core.table_text import cell_equals

if TYPE_CHECKING:
    from huizhen.core.study import Study

__all__ = [
    "PolicyKind",
    "ReadColumns",
    "ReaderAccuracy",
    "ReadingMinutes",
    "ReadingPolicy",
    "TriagePlan",
    "TriageReaders",
    "triage_problems",
]

PolicyKind = Literal["double", "single", "ai_triage", "ai_second_reader", "rule_out", "prioritised"]
Share = Annotated[float, Field(gt=0, lt=1)]
Correlation = Annotated[float, Field(gt=-1, lt=1)]
FROM_LEVEL = {"ai_triage": 10, "ai_second_reader": 10, "rule_out": 5}
WITH_READERS = ("rule_out", "prioritised")


class ReadingPolicy(Frozen):
    """Who reads which exam, what goes to consensus and who is recalled."""

    kind: PolicyKind
    """double, single: without AI. ai_triage: high levels are read twice, others once. ai_second_reader: the
    AI takes the second reader's place. rule_out: low levels are read by nobody. prioritised: as without AI,
    the highest levels first."""
    name: Name | None = None
    """What keys and reports call it; the kind if left out."""
    from_level: Annotated[int, Field(ge=2, le=100)] | None = None
    """The level from which exams are read twice (ai_triage), flagged by the AI (ai_second_reader), or read
    at all (rule_out). Left out: 10, 10 and 5."""
    top: Literal["recall", "consensus", "read"] | None = None
    """For ai_triage: exams of the top share are recalled (the default), discussed, or read as others are."""
    referral: Literal["any", "discordant"] | None = None
    """What goes to consensus: whatever a reader flags, or only what readers disagree on. Left out: any, with
    ai_second_reader discordant."""
    readers: Literal[1, 2] | None = None
    """For rule_out and prioritised: how many read an exam; 2 if left out."""

    @property
    def label(self) -> str:
        """What keys call the policy.

        >>> ReadingPolicy(kind="double").label
        'double'
        """
        return self.name or self.kind

    @property
    def level(self) -> int | None:
        """The level from which the policy does what it does; None where levels decide nothing.

        >>> ReadingPolicy(kind="rule_out").level, ReadingPolicy(kind="double").level
        (5, None)
        """
        return self.from_level or FROM_LEVEL.get(self.kind)

    @model_validator(mode="after")
    def _options_apply(self) -> Self:
        if self.from_level is not None and self.kind not in FROM_LEVEL:
            raise ValueError(f"from_level | doesn't go with {self.kind} | take it out")
        if self.top is not None and self.kind != "ai_triage":
            raise ValueError(f"top | doesn't go with {self.kind} | take it out")
        if self.readers is not None and self.kind not in WITH_READERS:
            raise ValueError(f"readers | doesn't go with {self.kind} | take it out")
        return self


class ReaderAccuracy(Frozen):
    """How often a reader flags events, and lets others be, over all exams."""

    sensitivity: Share
    """The share of exams with the event that the reader flags."""
    specificity: Share
    """The share of exams without it that the reader lets be."""


class ReadColumns(Frozen):
    """Columns of the tested table that hold what readers said of each exam, without AI."""

    first: str
    """The column of the first reader's reads."""
    second: str | None = None
    """The column of the second reader's."""
    consensus: str | None = None
    """The column of what the consensus said; empty where there was none."""
    recall: Annotated[tuple[str, ...], Field(min_length=1)] = ("1",)
    """Values that say recall."""
    no_recall: Annotated[tuple[str, ...], Field(min_length=1)] = ("0",)
    """Values that say no recall. Of other values there is no read."""

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that are named.

        >>> ReadColumns(first="reader 1", consensus="meeting").named
        ('reader 1', 'meeting')
        """
        return tuple(column for column in (self.first, self.second, self.consensus) if column is not None)

    def said(self, cell: str) -> str:
        """Return the first of the values that mean the same as a cell; "" for a cell that is no read.

        >>> ReadColumns(first="r", recall=("yes", "1")).said("1.0"), ReadColumns(first="r").said("maybe")
        ('yes', '')
        """
        for values in (self.recall, self.no_recall):
            if any(cell_equals(cell, value) for value in values):
                return values[0]
        return ""

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        if set(self.recall) & set(self.no_recall) or len(set(self.named)) < len(self.named):
            raise ValueError("a value says both recall and no recall, or two reads have one column")
        return self


class TriageReaders(Frozen):
    """The readers: seen in the table's columns, or simulated with a stated accuracy, or some of each.

    Reads that a policy needs and nobody did are drawn given those that were seen.
    """

    first: ReaderAccuracy | None = None
    """The first reader's accuracy; that of the observed reads if left out."""
    second: ReaderAccuracy | None = None
    """The second reader's; the first's if left out."""
    consensus: ReaderAccuracy | None = None
    """The consensus', as if it judged all exams; the first reader's if left out."""
    between_readers: Annotated[float, Field(ge=0, lt=1)] | None = None
    """How two readers' errors correlate given the truth; from the reads of two, or else 0.5."""
    with_ai: Correlation | None = None
    """How a reader's errors correlate with the AI's given the truth; from the reads, or else 0.4."""
    follow: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How often a reader who sees the AI's call takes it over where it differs from their own."""
    columns: ReadColumns | None = None
    """Where the tested table holds reads."""

    @model_validator(mode="after")
    def _readers_are_known(self) -> Self:
        if self.first is None and self.columns is None:
            raise ValueError("readers need an accuracy, or columns of reads")
        between = 0.5 if self.between_readers is None else self.between_readers
        if self.with_ai is not None and self.with_ai**2 > between:
            raise ValueError("between_readers must be at least the square of with_ai")
        return self


class ReadingMinutes(Frozen):
    """How long readers take over each kind of reading; a consensus counts all who take part together."""

    first: Annotated[float, Field(ge=0)] = 1.0
    """Of a first reading."""
    second: Annotated[float, Field(ge=0)] = 1.0
    """Of a second reading."""
    consensus: Annotated[float, Field(ge=0)] = 3.0
    """Of an exam's consensus or arbitration."""


class TriagePlan(Frozen):
    """Reading policies that are simulated on the tested patients. Left out, none is.

    The first policy is the reference. Cut points of the AI's levels are fixed with the lock, never on tested
    patients.
    """

    policy: Annotated[list[ReadingPolicy], Field(min_length=1, max_length=12)]
    """The policies, the reference first."""
    readers: TriageReaders
    """Who reads."""
    cuts: Literal["tune"] | Annotated[tuple[float, ...], Field(min_length=1, max_length=99)] = "tune"
    """tune: levels of equal size on the tuning patients. Or the cut points themselves, on the scale of the
    score, lowest first, such as a vendor's."""
    top_cut: float | None = None
    """With cut points of its own: the score from which an exam is in the top share."""
    levels: Annotated[int, Field(ge=2, le=100)] = 10
    """How many levels are made of the tuning patients."""
    top_share: Annotated[float, Field(gt=0, lt=0.5)] | None = 0.01
    """The share of the highest scores that is marked beside, at most one level's."""
    prevalence: Share | None = None
    """Where exams would be read: rates and levels are for it. Left out: that of the patients."""
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    """By how much a policy may find fewer of the events than the reference, as a share of them. Left out:
    non-inferiority is not tested."""
    follow_up_months: Annotated[int, Field(ge=0, le=240)] | None = None
    """For how long patients without an event were followed. Under 24, or left out: what was missed counts as
    unknown, and detection is of events that were found."""
    minutes: ReadingMinutes = ReadingMinutes()
    """What each kind of reading takes."""
    batch: Annotated[int, Field(ge=2, le=10_000)] = 100
    """How many exams are read in one sitting, for the time to read."""
    draws: Annotated[int, Field(ge=1, le=200)] = 20
    """How often simulated readers are drawn; estimates are means over the draws."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        labels = [policy.label for policy in self.policy]
        if len(set(labels)) < len(labels):
            raise ValueError("two policies have one name: give each a name")
        if self.cuts == "tune":
            if self.top_cut is not None:
                raise ValueError("top_cut goes with cut points of its own: take it out, or give cuts")
            if self.top_share is not None and self.top_share > 1 / self.levels:
                raise ValueError("top_share must be at most one level's share")
        elif list(self.cuts) != sorted(self.cuts) or (self.top_cut or self.cuts[-1]) < self.cuts[-1]:
            raise ValueError("cuts must rise, and top_cut be no lower than the last")
        count = self.level_count
        if any((policy.level or 1) > count for policy in self.policy):
            raise ValueError(f"from_level is above the highest level, {count}")
        return self

    @property
    def level_count(self) -> int:
        """How many levels there are."""
        return self.levels if self.cuts == "tune" else len(self.cuts) + 1


def triage_problems(study: Study) -> Iterator[str]:
    """Yield what in `study` doesn't go with its [triage], as "field | reason | remedy"."""
    plan = study.triage
    if plan is None:
        return
    if study.reads is not None:
        yield "triage | needs an AI's scores, and [reads] holds readers' ratings | take it out"
    if plan.readers.columns is not None and study.predictions is None:
        yield "triage.readers.columns | names columns of [predictions] | state readers' accuracy instead"
    if plan.cuts == "tune" and study.predictions is not None and study.predictions.tune is None:
        yield "triage.cuts | needs tuning patients | add predictions.tune, or write the cut points"
