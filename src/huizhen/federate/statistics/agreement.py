"""Agreement of readers over sites: Fleiss' kappa from sums, without showing what anybody said of a case.

For each case with m answers, c of them positive, agreement is the share P of pairs of answers that are alike.
Kappa is (mean P - E) / (1 - E), with E the agreement by chance from the share of positive answers. Its
interval is that of the delta method over cases, from sums of squares and products of P, c and m. Readers need
not be the same from case to case.
References: Fleiss, Psychological Bulletin 76:378-382 (1971); Gwet, British Journal of Mathematical and
Statistical Psychology 61:29-48 (2008), section 4, for variances linearised by case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.train.active.agreement import Agreement, Z, alike_interval

__all__ = ["Kappa", "Read"]

POINT_OF_SUMS = 1e-7
"""An interval whose half is no wider is a point, but for what squares' sums are rounded by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What readers said at a site: `answers` (n,) of each case, and how many were `positive` (n,).

    Raises `InvalidInputError` unless each case has two answers or more, and no more positive ones.
    """

    answers: NDArray[np.int64]
    positive: NDArray[np.int64]

    def __post_init__(self) -> None:
        wrong = (self.answers < 2) | (self.positive < 0) | (self.positive > self.answers)
        if self.answers.shape != self.positive.shape or wrong.any():
            raise InvalidInputError(
                "answers don't fit", remedy="give cases with two answers or more", field="answers"
            )

    @property
    def n(self) -> int:
        """The number of cases."""
        return len(self.answers)

    @classmethod
    def of(cls, ratings: NDArray[np.int64]) -> Read:
        """Return `ratings` (n, R) of 1, 0, or -1 where a reader didn't read; cases read once are left out.

        >>> Read.of(np.array([[1, 0, -1], [1, -1, -1]])).answers.tolist()
        [2]
        """
        answers, positive = (ratings >= 0).sum(1), (ratings == 1).sum(1)
        twice = answers >= 2
        return cls(answers=answers[twice].astype(np.int64), positive=positive[twice].astype(np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """Fleiss' kappa of yes and no, with its interval.

    >>> from huizhen.federate.statistics.runner import run
    >>> one = Read.of(np.array([[0, 0, 0], [1, 1, 1]]))
    >>> other = Read.of(np.array([[0, 0, 1], [1, 1, 1]]))
    >>> round(run(Kappa(), [one, other]).result.kappa, 3)
    0.657
    """

    name: str = "kappa"

    def start(self) -> Ask:
        """Ask for the sums."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n cases, sums of P, c and m, and of their squares and products."""
        return {"n": count(), "sums": real(3), "products": real(3, 3)}

    def answer(self, query: Query, data: Read) -> Mapping[str, ArrayLike]:
        """Return a site's sums."""
        c, m = data.positive.astype(np.float64), data.answers.astype(np.float64)
        alike = (c * (c - 1) + (m - c) * (m - c - 1)) / (m * (m - 1))
        each = np.column_stack([alike, c, m])  # (n, 3)
        return {"n": data.n, "sums": each.sum(0), "products": each.T @ each}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless the sums are those of shares and of counts."""
        alike, positive, answers = total["sums"]
        if not (-1e-9 <= alike <= total.n + 1e-9 and -1e-9 <= positive <= answers + 1e-9 >= 2 * total.n):
            raise MessageError(
                "sums of readings contradict each other", remedy="leave out the site that lies"
            )

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Agreement]:
        """Return kappa. Raises `NotEstimableError` when all answers are alike, or of one case alone."""
        n, (alike, positive, answers) = total.n, total["sums"]
        observed, share = alike / n, positive / answers
        expected = share**2 + (1 - share) ** 2
        if n < 2 or expected > 1 - 1e-12:
            raise NotEstimableError(
                f"kappa of {n} cases that were all labelled alike, or of too few",
                remedy="have more cases read twice, among them some of each label",
            )
        kappa = (observed - expected) / (1 - expected)
        slope = -(1 - observed) / (1 - expected) ** 2 * (4 * share - 2) * n / answers
        weight = np.array([1 / (1 - expected), slope, -slope * share])  # of P, c and m
        spread = float(weight @ total["products"] @ weight) - n * float(weight[0] * observed) ** 2
        half = Z * math.sqrt(max(spread, 0.0)) / n
        interval = Interval(
            low=max(-1.0, kappa - half), high=min(1.0, kappa + half), method="delta method over cases"
        )
        if half <= POINT_OF_SUMS:
            interval = alike_interval(float(observed), float(expected), n)
        found = Agreement(
            kappa=float(kappa), interval=interval, observed=float(observed), expected=float(expected), n=n
        )
        return Done(found)
