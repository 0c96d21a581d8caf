"""Brier score, observed over expected events, and net benefit, from one round of sums.

References: Brier, Monthly Weather Review 78:1-3 (1950); Riley et al., Stat Med 40:4230-4251 (2021), O/E;
Vickers & Elkin, Med Decis Making 26:565-574 (2006), net benefit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real, table
from huizhen.federate.statistics.data import Scored
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.release import check_smallest

__all__ = ["RiskMeasures", "Risks"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskMeasures:
    """How one model's risks for `n` patients with `n_pos` events fared.

    `brier` and its standard error; observed over expected events `ratio` and the standard error of its
    logarithm (NaN without an event); at each of t `thresholds` the `net_benefit` of acting on the risk
    and of acting on `everybody` (t,), NaN where a cell is too small to show.
    """

    n: int
    n_pos: int
    brier: float
    brier_error: float
    ratio: float
    log_ratio_error: float
    thresholds: tuple[float, ...]
    net_benefit: Floats
    everybody: Floats

    def brier_interval(self, *, level: float = 0.95) -> Interval:
        """Return the normal interval of the Brier score. Raises `NotEstimableError` if all losses agree."""
        if not self.brier_error > 0:
            raise NotEstimableError("all patients have the same loss", remedy="gather cases")
        reach = float(ndtri(0.5 + level / 2)) * self.brier_error
        low, high = max(0.0, self.brier - reach), min(1.0, self.brier + reach)
        return Interval(low=low, high=high, method="normal", level=level)

    def ratio_interval(self, *, level: float = 0.95) -> Interval:
        """Return the interval of O/E on the log scale. Raises `NotEstimableError` without an event."""
        if not self.ratio > 0:
            raise NotEstimableError("no event was seen or expected", remedy="gather cases")
        factor = math.exp(float(ndtri(0.5 + level / 2)) * self.log_ratio_error)
        low, high = self.ratio / factor, self.ratio * factor
        return Interval(low=low, high=high, method="normal on the log scale", level=level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risks:
    """Brier score, O/E and net benefit of one model's risks, acting at each of `thresholds` in (0, 1).

    >>> from huizhen.federate.statistics.data import scored
    >>> from huizhen.federate.statistics.runner import run
    >>> found = run(Risks(thresholds=(0.5,)), [scored(np.array([True, False]), [0.9, 0.2])]).result
    >>> round(found.brier, 6), round(found.ratio, 6), found.net_benefit.tolist()
    (0.025, 0.909091, [0.5])
    """

    thresholds: tuple[float, ...] = ()
    smallest_count: int = 1
    name: str = "risks"

    def __post_init__(self) -> None:
        check_smallest(self.smallest_count)
        if not all(0 < at < 1 for at in self.thresholds):
            raise InvalidInputError("leave (0, 1)", remedy="give risks to act at", field="thresholds")

    def start(self) -> Ask:
        """Ask for the sums."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, events, expected events, sums of the loss and its square, and those called at thresholds."""
        t = len(self.thresholds)
        sums = {"expected": real(), "loss": real(), "loss_square": real()}
        return {"n": count(), "n_pos": table(), **sums, "true": table(t), "false": table(t)}

    def answer(self, query: Query, data: Scored) -> Mapping[str, ArrayLike]:
        """Return a site's sums."""
        if len(data.scores) != 1:
            raise InvalidInputError("several models' risks", remedy="ask one at a time", field="scores")
        risk, loss = data.scores[0], (data.scores[0] - data.outcome) ** 2
        called = risk >= np.array(self.thresholds).reshape(-1, 1)  # (t, n)
        return {
            "n": data.n,
            "n_pos": np.count_nonzero(data.outcome),
            "expected": risk.sum(),
            "loss": loss.sum(),
            "loss_square": (loss**2).sum(),
            "true": (called & data.outcome).sum(axis=1),
            "false": (called & ~data.outcome).sum(axis=1),
        }

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if more are called than there are, or sums of numbers in [0, 1] leave [0, n]."""
        n, n_pos = total["n"], total["n_pos"]
        sums = np.array([total["expected"], total["loss"], total["loss_square"]])
        wrong = n_pos > n or (total["true"] > n_pos).any() or (total["false"] > n - n_pos).any()
        if wrong or (sums < 0).any() or (sums > n + 1e-9).any():
            raise MessageError("sums of risks contradict each other", remedy="leave out the site that lies")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[RiskMeasures]:
        """Return the measures."""
        n, n_pos = total.n, int(total["n_pos"])
        brier, share, expected = float(total["loss"]) / n, n_pos / n, float(total["expected"])
        spread = max(float(total["loss_square"]) / n - brier**2, 0.0) / (n - 1) if n > 1 else math.nan
        known = n_pos > 0 and expected > 0
        acted, everybody = self._net_benefit(total)
        return Done(
            RiskMeasures(
                n=n,
                n_pos=n_pos,
                brier=brier,
                brier_error=math.sqrt(spread),
                ratio=n_pos / expected if known else math.nan,
                log_ratio_error=math.sqrt((1 - share) / n_pos) if known else math.nan,
                thresholds=self.thresholds,
                net_benefit=acted,
                everybody=everybody,
            )
        )

    def _net_benefit(self, total: Aggregate) -> tuple[Floats, Floats]:
        """Return the net benefit (t,) of acting on the risk, and on everybody."""
        at = np.array(self.thresholds)
        odds = at / (1 - at)
        n, n_pos, true, false = total["n"], total["n_pos"], total["true"], total["false"]
        cells = np.array([true, n_pos - true, false, n - n_pos - false])  # (4, t)
        hidden = ((cells > 0) & (cells < self.smallest_count)).any(axis=0)
        acted = np.where(hidden, np.nan, (true - false * odds) / n)
        return acted, (n_pos - (n - n_pos) * odds) / n
