"""The study file's [active]: labels asked for between the rounds of a federation, where they teach most."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from huizhen.core.study_base import Frozen

if TYPE_CHECKING:
    from huizhen.core.study import Study

__all__ = ["Active", "Annotator", "QueryRule", "active_problems"]


class QueryRule(StrEnum):
    """How the next cases to label are chosen."""

    RANDOM = "random"
    LEAST_CONFIDENCE = "least-confidence"
    MARGIN = "margin"
    ENTROPY = "entropy"
    BALD = "bald"
    CORE_SET = "core-set"
    BADGE = "badge"
    TYPICLUST = "typiclust"
    FAHL = "fahl"


class Annotator(StrEnum):
    """Who answers what a site is asked."""

    QUEUE = "queue"
    """Readers at the site, by its annotation queue; who has an outcome in the tables is labelled already."""
    ORACLE = "oracle"
    """For simulations only: training patients' outcomes are hidden, and taken from the tables when asked."""


class Active(Frozen):
    """Active learning between rounds. Without it the sites train on every training patient from the start.

    Training begins with `initial` labels a site, the most typical cases. After every `rounds_between` rounds
    a budget of labels is shared out over the sites by how much their cases would teach the model as it
    stands; what a site is asked it decides itself, and no case, score of a case or label leaves it.
    """

    rule: QueryRule = QueryRule.FAHL
    annotator: Annotator = Annotator.QUEUE
    initial: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Labels that each site begins with. What its tables lack of that is asked before the first round."""
    budget: Annotated[int, Field(ge=1, le=1_000_000)]
    """Labels that one query round asks for, over all sites."""
    queries: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many query rounds there are; or give `labels`."""
    labels: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Labels of all query rounds together, beyond the first ones; or give `queries`."""
    rounds_between: Annotated[int, Field(ge=1, le=10_000)] = 5
    """Rounds of training before each query round."""
    floor_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """A site gets at least an even part of this share of all labels, however little its cases score."""
    readers: Annotated[int, Field(ge=1, le=9)] = 1
    """Answers that each case gets; a majority settles it, else an adjudicator."""
    error_rate: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """With the oracle: how often a simulated reader errs."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.queries is None) == (self.labels is None):
            raise ValueError(
                "active.queries | one of queries and labels says how long to ask | "
                "give queries (how many rounds) or labels (how many in all)"
            )
        return self

    @property
    def budgets(self) -> tuple[int, ...]:
        """Return the labels of each query round, the first labels not among them.

        >>> Active(budget=40, labels=100).budgets, Active(budget=10, queries=2).budgets
        ((40, 40, 20), (10, 10))
        """
        if self.labels is None:
            return (self.budget,) * (self.queries or 0)
        whole, rest = divmod(self.labels, self.budget)
        return (self.budget,) * whole + ((rest,) if rest else ())

    def first_round(self, query: int) -> int:
        """Return the round of training that the query round `query` comes before; 0 is for the first labels.

        >>> Active(budget=1, queries=1, rounds_between=5).first_round(1)
        5
        """
        return query * self.rounds_between

    def queries_before(self, training_round: int) -> int:
        """Return how many query rounds there are before a round of training, the first labels among them.

        >>> one = Active(budget=1, queries=2, rounds_between=5)
        >>> [one.queries_before(r) for r in (0, 4, 5, 50)]
        [1, 1, 2, 3]
        """
        return min(training_round // self.rounds_between, len(self.budgets)) + 1


def active_problems(study: Study) -> Iterator[str]:
    """Yield what in `study` doesn't go with its [active], each as "field | reason | remedy"."""
    active, federation = study.active, study.federation
    if active is None:
        return
    if federation is None:
        yield "active | asks for labels, but no sites train together | add [federation], or drop [active]"
    elif (used := active.first_round(len(active.budgets))) >= federation.rounds:
        yield (
            f"active.rounds_between | {len(active.budgets)} query rounds, one after every "
            f"{active.rounds_between} rounds, leave none of the {federation.rounds} rounds to train with the "
            f"last labels | set federation.rounds to at least {used + 1}, or ask less often"
        )
    if study.privacy is not None:
        yield (
            "active | differential privacy is reckoned for training patients who stay the same, and scores "
            "for asking leave without noise | drop [active] or [privacy]"
        )
    if study.split.method != "holdout":
        yield (
            f"split.method | {study.split.method} would ask for labels once a fold | "
            'set method = "holdout", or drop [active]'
        )
    if sum(site.role.value == "development" for site in study.site) < 2:
        yield (
            "active | a budget is shared out by sums over sites, and there is one development site | "
            "add a development site, or drop [active]"
        )
    if active.rule is QueryRule.BALD and study.network.dropout == 0:
        yield "active.rule | bald asks where dropout makes the model disagree | set network.dropout above 0"
    if active.error_rate and active.annotator is not Annotator.ORACLE:
        yield (
            'active.error_rate | is for simulated readers only | leave it out, or set annotator = "oracle"'
        )
