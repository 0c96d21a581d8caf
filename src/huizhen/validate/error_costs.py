"""What decisions cost on average, when a missed event and a false alarm have a price.

References: Metz, Semin Nucl Med 8:283-298 (1978); Pauker & Kassirer, N Engl J Med 302:1109-1117 (1980).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, wald
from huizhen.validate.proportions import Confusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The cost of each kind of decision, in any one unit; `test` is paid for everybody.

    Raises `InvalidInputError` unless an error costs more than the right decision and all are finite.
    """

    false_negative: float
    false_positive: float
    true_positive: float = 0.0
    true_negative: float = 0.0
    test: float = 0.0

    def __post_init__(self) -> None:
        each = (self.false_negative, self.false_positive, self.true_positive, self.true_negative, self.test)
        wrong = self.false_negative <= self.true_positive or self.false_positive <= self.true_negative
        if wrong or not all(math.isfinite(cost) for cost in each):
            raise InvalidInputError("an error doesn't cost more", remedy="check the costs", field="costs")

    @property
    def threshold(self) -> float:
        """The calibrated risk from which acting costs less than not acting.

        >>> Costs(false_negative=9.0, false_positive=1.0).threshold
        0.1
        """
        alarm = self.false_positive - self.true_negative
        return alarm / (alarm + self.false_negative - self.true_positive)


def expected_cost(
    table: Confusion, costs: Costs, *, prevalence: float | None = None, level: float = 0.95
) -> Estimate:
    """Return the mean cost per patient at `prevalence` (the sample's if None), with a normal interval.

    With a given prevalence sensitivity and specificity vary as two binomials; with the sample's own, the four
    cells vary as a multinomial. Raises `NotEstimableError` without two patients, or when a class is missing
    whose share is asked for, or when all decisions were of one kind, so that no variance is seen.

    >>> table = Confusion(true_positive=8, false_negative=2, false_positive=10, true_negative=80)
    >>> expected_cost(table, Costs(false_negative=50.0, false_positive=1.0)).value
    1.1
    """
    n = table.n_pos + table.n_neg
    if prevalence is not None and not 0 < prevalence < 1:
        raise InvalidInputError(f"{prevalence} is outside (0, 1)", remedy="use 0.01", field="prevalence")
    if n < 2 or (prevalence is not None and not min(table.n_pos, table.n_neg)):
        raise NotEstimableError("too few patients, or a class is missing", remedy="gather patients")
    if prevalence is None:
        value, variance = _of_sample(table, costs, n)
    else:
        value, variance = _of_classes(table, costs, prevalence)
    if not variance > 0:
        raise NotEstimableError("all decisions were of one kind", remedy="gather patients", field="table")
    method = "normal, multinomial cells" if prevalence is None else "normal, two binomials"
    return Estimate(value=value, interval=wald(value, math.sqrt(variance), method=method, level=level))


def _of_sample(table: Confusion, costs: Costs, n: int) -> tuple[float, float]:
    """Return the sample's mean cost and its variance."""
    cells = (
        (table.true_positive, costs.true_positive),
        (table.false_negative, costs.false_negative),
        (table.true_negative, costs.true_negative),
        (table.false_positive, costs.false_positive),
    )
    mean = sum(count * cost for count, cost in cells) / n
    return mean + costs.test, sum(count * (cost - mean) ** 2 for count, cost in cells) / (n * (n - 1))


def _of_classes(table: Confusion, costs: Costs, prevalence: float) -> tuple[float, float]:
    """Return the mean cost at a prevalence and its variance."""
    sides = (
        (table.true_positive, table.n_pos, costs.true_positive, costs.false_negative, prevalence),
        (table.true_negative, table.n_neg, costs.true_negative, costs.false_positive, 1 - prevalence),
    )
    value, variance = costs.test, 0.0
    for right, n, good, bad, weight in sides:
        share = right / n
        value += weight * (share * good + (1 - share) * bad)
        variance += (weight * (bad - good)) ** 2 * share * (1 - share) / n
    return value, variance
