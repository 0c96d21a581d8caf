"""Running a statistic: `conduct` at the lead over any exchange, `answer_words` at a site, `run` both here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from huizhen.errors import FederationError, MessageError
from huizhen.federate.statistics.aggregate import Aggregate, add, aggregate
from huizhen.federate.statistics.fixed_point import Words, decode, encode
from huizhen.federate.statistics.interface import Ask, Done, Query, Sized, Statistic
from huizhen.federate.statistics.release import check_at_site, check_total

__all__ = [
    "Exchange",
    "Run",
    "SecureSum",
    "answer_words",
    "conduct",
    "plain_sum",
    "respond",
    "run",
    "run_visible",
]

R = TypeVar("R")
D = TypeVar("D", bound=Sized)

Exchange = Callable[[Query], Words]
"""Sends a query to all sites and returns the sum of their words modulo 2^32."""
SecureSum = Callable[[Sequence[Words]], Words]
"""Adds one vector of words a site modulo 2^32, without showing them to the lead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Generic[R]):
    """A statistic's `result`, over `n` patients, after `rounds` rounds; `words` a site sent in all."""

    result: R
    n: int
    rounds: int
    words: int


STEPS: Final = {
    **dict.fromkeys(("categories", "histogram", "kappa", "localisation", "scores", "spending"), 1),
    "combat": 2,
    "delong": 2,
}
"""Of the statistics that are done after few steps, how many they have."""


def plain_sum(words: Sequence[Words]) -> Words:
    """Return the sum modulo 2^32 in the clear: for tests, and where all sites are in one process.

    >>> import numpy as np
    >>> plain_sum([np.array([2**32 - 1], dtype=np.uint32), np.array([2], dtype=np.uint32)]).tolist()
    [1]
    """
    if not words or len({part.shape for part in words}) != 1:
        raise MessageError("sites sent words of different lengths", remedy="ask all the same query")
    total = words[0].copy()
    for part in words[1:]:
        total += part
    return total


def respond(statistic: Statistic[D, R], query: Query, data: D) -> Aggregate:
    """Return a site's answer to `query`, in the statistic's layout.

    Raises `MessageError` if the query belongs to another statistic, is of a step that it hasn't or malformed,
    `InvalidInputError` if the site's data don't fit.
    """
    if query.step >= STEPS.get(statistic.name, query.step + 1):
        raise MessageError(
            f"{statistic.name} has no step {query.step}", remedy="start all with one study", field="step"
        )
    if query.name != statistic.name:
        raise MessageError("a query of another statistic", remedy="start all with one study", field="name")
    found = aggregate(statistic.layout(query), statistic.answer(query, data))
    statistic.check(query, found)
    return found


def answer_words(
    statistic: Statistic[D, R], query: Query, data: D, *, sites: int, smallest: int, masked: bool
) -> Words:
    """Return what a site sends: its answer as words to be added over up to `sites` sites.

    `masked`: nobody sees them but in a secure sum; otherwise no group of fewer than `smallest` patients may
    show. Raises as `respond`, and `PolicyError`.
    """
    answer = respond(statistic, query, data)
    check_at_site(answer, smallest=smallest, masked=masked)
    return encode(answer, sites=sites)


def conduct(statistic: Statistic[D, R], exchange: Exchange, *, smallest_count: int = 1) -> Run[R]:
    """Return a statistic from as many rounds of `exchange` as it needs.

    Raises `PolicyError` if there are fewer than `smallest_count` patients in all, `MessageError` if sums
    contradict each other or the number of patients changes between rounds, and what the statistic raises.
    """
    ask, rounds, words, first = statistic.start(), 0, 0, -1
    while True:
        summed = exchange(ask.query)
        total = decode(summed, statistic.layout(ask.query))
        rounds, words = rounds + 1, words + summed.size
        first = total.n if first < 0 else first
        _check_round(statistic, ask, total, first, smallest_count)
        step = statistic.update(ask, total)
        if isinstance(step, Done):
            return Run(result=step.result, n=total.n, rounds=rounds, words=words)
        ask = step


def _check_round(
    statistic: Statistic[D, R], ask: Ask, total: Aggregate, first: int, smallest_count: int
) -> None:
    """Raise if a round's total can't be, or may not be used."""
    check_total(total, smallest=smallest_count)
    if total.n != first:
        raise MessageError(
            f"the number of patients changed between rounds, from {first} to {total.n}",
            remedy="start again with the sites that are left",
            field="n",
        )
    statistic.check(ask.query, total)


def run(
    statistic: Statistic[D, R],
    sites: Sequence[D],
    *,
    secure_sum: SecureSum = plain_sum,
    smallest_count: int = 1,
) -> Run[R]:
    """Return a statistic over in-process `sites`, by any `secure_sum` of their words.

    Raises as `conduct` and `respond`, and `FederationError` without a site.
    """
    if not sites:
        raise FederationError("no site", remedy="give at least one")

    def exchange(query: Query) -> Words:
        n = len(sites)
        return secure_sum(
            [answer_words(statistic, query, data, sites=n, smallest=1, masked=True) for data in sites]
        )

    return conduct(statistic, exchange, smallest_count=smallest_count)


def run_visible(statistic: Statistic[D, R], sites: Sequence[D], *, smallest_count: int = 1) -> Run[R]:
    """Return a statistic where the lead sees each site's aggregate: every site's own counts are held to
    `smallest_count`, and each answer is checked by itself. Raises as `run`, and `PolicyError` at a site.
    """
    if not sites:
        raise FederationError("no site", remedy="give at least one")

    def exchange(query: Query) -> Words:
        answers = [respond(statistic, query, data) for data in sites]
        for answer in answers:
            check_at_site(answer, smallest=smallest_count, masked=False)
        total = answers[0]
        for answer in answers[1:]:
            total = add(total, answer)
        return encode(total, sites=1)

    return conduct(statistic, exchange, smallest_count=smallest_count)
