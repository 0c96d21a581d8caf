"""How well heatmaps point at lesions, over sites: means over patients from sums.

Reference: as in `huizhen.explain.localisation`. The interval is Wilson's where each patient's share is 0 or
1, else Student's t from the sums of squares: a bootstrap would need the patients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.core.evidence import Interval
from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real
from huizhen.federate.statistics.interface import Ask, Done, Query

__all__ = ["Localisation", "Pointing", "Share", "wilson_interval"]

Floats = NDArray[np.float64]
Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointing:
    """Of each patient with a lesion mask (n,): the share of images whose hottest point is in the lesion
    (`hit`), of the heat that is (`energy`), and of the image that the lesion takes (`area`); `images` in all.

    Raises `InvalidInputError` unless all are shares of as many patients.
    """

    hit: Floats
    energy: Floats
    area: Floats
    images: int

    def __post_init__(self) -> None:
        shares = (self.hit, self.energy, self.area)
        if len({share.shape for share in shares}) != 1 or self.hit.ndim != 1:
            raise InvalidInputError("are of different patients", remedy="give one a patient", field="shares")
        if not all(((share >= 0) & (share <= 1)).all() for share in shares) or self.images < self.n:
            raise InvalidInputError("leave [0, 1]", remedy="give shares", field="shares")

    @property
    def n(self) -> int:
        """The number of patients."""
        return len(self.hit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A mean share over patients with its interval; None of a single patient whose share isn't 0 or 1."""

    mean: float
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Localised:
    """Both games over `n` patients and their `images`, and what chance would reach."""

    pointing: Share
    energy: Share
    chance: float
    n: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Localisation:
    """Both pointing games.

    >>> from huizhen.federate.statistics.runner import run
    >>> north = Pointing(hit=np.ones(3), energy=np.array([0.5, 0.6, 0.7]), area=np.full(3, 0.1), images=3)
    >>> south = Pointing(hit=np.zeros(1), energy=np.array([0.2]), area=np.full(1, 0.1), images=1)
    >>> found = run(Localisation(), [north, south]).result
    >>> found.pointing.mean, found.energy.mean, found.n
    (0.75, 0.5, 4)
    """

    name: str = "localisation"

    def start(self) -> Ask:
        """Ask for the sums."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, images, patients with a share between 0 and 1, and sums of shares and of their squares."""
        return {"n": count(), "images": count(), "partly": count(), "sums": real(3), "squares": real(2)}

    def answer(self, query: Query, data: Pointing) -> Mapping[str, ArrayLike]:
        """Return a site's sums."""
        return {
            "n": data.n,
            "images": data.images,
            "partly": np.count_nonzero((data.hit > 0) & (data.hit < 1)),
            "sums": [data.hit.sum(), data.energy.sum(), data.area.sum()],
            "squares": [(data.hit**2).sum(), (data.energy**2).sum()],
        }

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless the sums are those of shares."""
        sums, squares = total["sums"], total["squares"]
        slack = 1e-9 * (1 + total.n)
        wrong = (sums < -slack).any() or (sums > total.n + slack).any()
        wrong = (
            wrong or (squares > sums[:2] + slack).any() or (sums[:2] ** 2 > total.n * squares + slack).any()
        )
        if wrong or total["partly"] > total.n or total["images"] < total.n:
            raise MessageError("sums of shares contradict each other", remedy="leave out the site that lies")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Localised]:
        """Return both games."""
        n, (hit, energy, area) = total.n, total["sums"] / total.n
        if int(total["partly"]) == 0:
            hits: Interval | None = wilson_interval(round(float(hit) * n) / n, n)
        else:
            hits = _t(float(hit), total["squares"][0], n)
        return Done(
            Localised(
                pointing=Share(mean=float(hit), interval=hits),
                energy=Share(mean=float(energy), interval=_t(float(energy), total["squares"][1], n)),
                chance=float(area),
                n=n,
                images=int(total["images"]),
            )
        )


def wilson_interval(p: float, n: int) -> Interval:
    """Return Wilson's 95 % score interval of the share `p` in [0, 1] of `n` patients, n at least 1.

    Reference: Wilson, JASA 22:209-212 (1927).

    >>> interval = wilson_interval(0.9, 10)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.596, 0.982)
    """
    centre = (p + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 / (1 + Z_95**2 / n) * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n**2))
    return Interval(low=max(centre - half, 0.0), high=min(centre + half, 1.0), method="Wilson")


def _t(mean: float, square: float, n: int) -> Interval | None:
    """Return Student's 95 % interval of a mean from the sum of squares; None of fewer than two patients."""
    from scipy.special import stdtrit

    if n < 2:
        return None
    variance = max(float(square) - n * mean**2, 0.0) / (n - 1)
    half = float(stdtrit(n - 1, 0.975)) * math.sqrt(variance / n)
    return Interval(low=max(mean - half, 0.0), high=min(mean + half, 1.0), method="Student's t from sums")
