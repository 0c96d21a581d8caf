"""What several patients together cost: how far a model is from one that none of them was trained on.

A model trained with differential privacy is nearly as likely without any one patient as with, and so, with a
larger epsilon, without any group of them. That is approximate unlearning that changes nothing: the model in
use is already close to one made anew without those who withdrew. How close is reckoned here, exactly, and not
by multiplying epsilons: in a step of which `members` may each be drawn, the sum moves by as many clips as are
drawn of them, so that the step is no worse than a mixture of Gaussians against one at zero.

Two reckonings: privacy loss distributions of that mixture (connect the dots, rounded up), which is reported,
and Renyi divergences by quadrature, an upper bound that shares no code with it. An epsilon above the bound is
refused, and one patient must cost what `accounting` says by two libraries.

References: Ganesh, Tight group-level DP guarantees for DP-SGD with sampling via mixture of Gaussians
mechanisms, arXiv:2401.10294 (2024) (the mixture dominates); Doroshenko et al., Connect the dots,
PETS 2022; Mironov, Renyi differential privacy, CSF 2017 (the bound); Sekhari et al., Remember what you want
to forget, NeurIPS 2021, and Ginart et al., Making AI forget you, NeurIPS 2019 (unlearning as
indistinguishability).

>>> spend = Spend(sampling_rate=1.0, noise_multiplier=8.0, steps=4)
>>> two = group_account([GroupSpend(members=2, spend=spend)], delta=1e-5)
>>> half = Spend(sampling_rate=1.0, noise_multiplier=4.0, steps=4)
>>> same = group_account([GroupSpend(members=1, spend=half)], delta=1e-5)
>>> abs(two.epsilon - same.epsilon) < 1e-3
True
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr

from huizhen.errors import InvalidInputError, PrivacyError
from huizhen.privacy.accounting import TOLERANCE, account
from huizhen.privacy.events import Spend

__all__ = ["GroupAccount", "GroupSpend", "group_account"]

Floats = NDArray[np.float64]

GRID: Final = 2e-3
"""The grid of privacy losses; rounding is upwards whatever it is."""
LARGEST: Final = 50_000
"""Points of a grid, above which it is made coarser."""
MOST_CELLS: Final = 1 << 21
"""Numbers that a reckoning holds at a time, and that the quadrature of one order may take."""
WIDEST: Final = 700.0
"""The greatest loss of a step whose exponential is a number: above, a group's distance says nothing."""
TAIL: Final = 10.0
"""Standard deviations beyond which losses count as endless: a mass below 1e-23."""
BRACKETS: Final = 4096
NEWTON: Final = 4
ORDERS: Final = (*(1 + step / 4 for step in range(1, 12)), *range(4, 65), 80, 96, 128, 192, 256)
MOST_MEMBERS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpend:
    """`spend`, in whose steps each of `members` patients of the group may be drawn, independently."""

    members: int
    spend: Spend

    def __post_init__(self) -> None:
        if isinstance(self.members, bool) or not 1 <= self.members <= MOST_MEMBERS:
            raise InvalidInputError(
                f"a group of {self.members} patients", remedy=f"reckon 1 to {MOST_MEMBERS} at a time"
            )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"members": self.members, **self.spend.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> GroupSpend:
        """Return what `to_json` wrote. Raises `InvalidInputError`."""
        rest = {name: value for name, value in record.items() if name != "members"}
        members = record.get("members")
        if not isinstance(members, int):
            raise InvalidInputError("a group without members", remedy="count its patients", field="members")
        return cls(members=members, spend=Spend.from_json(rest))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAccount:
    """The `epsilon` of a group at `delta` over all `spends`, and the upper bound that it is below."""

    spends: tuple[GroupSpend, ...]
    delta: float
    epsilon: float
    upper_bound: float


def group_account(spends: Iterable[GroupSpend], *, delta: float) -> GroupAccount:
    """Return what a group of patients costs together at `delta` in (0, 1).

    Neighbours differ by all of the group, present or absent; noise, rates and steps are the same for both.
    Raises `InvalidInputError` on a delta out of range, `PrivacyError` when the epsilon is above its upper
    bound, or of one patient isn't that of the other accountants, and where so many patients with so little
    noise can't be reckoned.
    """
    if not 0 < delta < 1:
        raise InvalidInputError(f"a delta of {delta}", remedy="use a delta well below one by the patients")
    return _account(_merged(spends), delta)


def _merged(spends: Iterable[GroupSpend]) -> tuple[GroupSpend, ...]:
    """Return spends with equal members, rate and noise as one, in a fixed order."""
    steps: Counter[tuple[int, float, float]] = Counter()
    for one in spends:
        steps[one.members, one.spend.sampling_rate, one.spend.noise_multiplier] += one.spend.steps
    return tuple(
        GroupSpend(members=k, spend=Spend(sampling_rate=rate, noise_multiplier=noise, steps=count))
        for (k, rate, noise), count in sorted(steps.items())
    )


@lru_cache(maxsize=64)
def _account(spends: tuple[GroupSpend, ...], delta: float) -> GroupAccount:
    if not spends:
        return GroupAccount(spends=(), delta=delta, epsilon=0.0, upper_bound=0.0)
    epsilon, bound = _pld_epsilon(spends, delta), _rdp_epsilon(spends, delta)
    if not math.isfinite(epsilon) or epsilon > bound * (1 + TOLERANCE) + GRID:
        raise PrivacyError(
            f"epsilon {epsilon:.5g} is above its upper bound {bound:.5g}",
            remedy="make the model anew; report it with noise, rate and steps",
            field="epsilon",
        )
    if all(one.members == 1 for one in spends):
        single = account([one.spend for one in spends], delta=delta).epsilon
        if abs(single - epsilon) > max(TOLERANCE * single, GRID):
            raise PrivacyError(
                f"the accountants disagree on one patient: {epsilon:.5g} and {single:.5g}",
                remedy="make the model anew; report it with noise, rate and steps",
                field="epsilon",
            )
        epsilon = max(single, epsilon)
    return GroupAccount(spends=spends, delta=delta, epsilon=epsilon, upper_bound=bound)


# --- the mixture ---


def _weights(one: GroupSpend) -> tuple[Floats, Floats]:
    """Return how many of the group may be drawn in a step (m,), and the logarithms of how likely (m,)."""
    k, rate = one.members, one.spend.sampling_rate
    if rate == 1:
        return np.array([float(k)]), np.zeros(1)
    drawn = np.arange(k + 1, dtype=np.float64)
    ways = np.array([math.lgamma(k + 1) - math.lgamma(j + 1) - math.lgamma(k - j + 1) for j in range(k + 1)])
    return drawn, ways + drawn * math.log(rate) + (k - drawn) * math.log1p(-rate)


def _loss(x: Floats, drawn: Floats, log_weight: Floats, noise: float) -> Floats:
    """Return the logarithm of the mixture's density by that at zero, at `x` (n,); it grows with x."""
    exponent = (2 * np.outer(x, drawn) - drawn**2) / (2 * noise**2)  # (n, m)
    return np.asarray(logsumexp(exponent + log_weight, axis=1), np.float64)


def _place_of(losses: Floats, drawn: Floats, log_weight: Floats, noise: float) -> Floats:
    """Return the x (n,) at which the loss has each value, -inf where it is never so low.

    Bracketed on a grid, then by Newton's steps within the bracket. What error is left matters by its square:
    a hockey stick is greatest at the exact place.
    """
    grid = np.linspace(-TAIL * noise - 1, drawn[-1] + TAIL * noise + 1, BRACKETS)
    known = _loss(grid, drawn, log_weight, noise)
    at = np.clip(np.searchsorted(known, losses), 1, BRACKETS - 1)
    left, right = grid[at - 1], grid[at]
    x = np.clip(np.interp(losses, known, grid), left, right)
    for _ in range(NEWTON):
        exponent = (2 * np.outer(x, drawn) - drawn**2) / (2 * noise**2) + log_weight  # (n, m)
        loss = logsumexp(exponent, axis=1)
        slope = np.exp(exponent - loss[:, None]) @ drawn / noise**2
        x = np.clip(x - (loss - losses) / np.maximum(slope, 1e-12), left, right)
    least = -math.inf if drawn[0] else float(log_weight[0])
    return np.where(losses <= least, -np.inf, x)


def _hockey_sticks(one: GroupSpend, losses: Floats) -> tuple[Floats, Floats]:
    """Return delta at each of `losses` (n,) of one step: with the group against without, and the reverse."""
    drawn, log_weight = _weights(one)
    weight, noise = np.exp(log_weight), one.spend.noise_multiplier
    odds = np.exp(losses)
    x = _place_of(losses, drawn, log_weight, noise)
    above = ndtr((drawn - x[:, None]) / noise) @ weight
    remove = above - odds * ndtr(-x / noise)
    x = _place_of(-losses, drawn, log_weight, noise)
    add = ndtr(x / noise) - odds * (ndtr((x[:, None] - drawn) / noise) @ weight)
    return _falling(remove), _falling(add)


def _falling(deltas: Floats) -> Floats:
    """Return deltas in [0, 1] that don't grow, without what rounding adds."""
    return np.asarray(np.clip(np.minimum.accumulate(deltas), 0.0, 1.0), np.float64)


def _reach(one: GroupSpend) -> tuple[float, float]:
    """Return the least and the greatest loss within `TAIL` deviations."""
    ends = np.array([-TAIL, one.members / one.spend.noise_multiplier + TAIL]) * one.spend.noise_multiplier
    low, high = _loss(ends, *_weights(one), one.spend.noise_multiplier)
    return float(low), float(high)


def _pld_epsilon(spends: Sequence[GroupSpend], delta: float) -> float:
    """Return epsilon by privacy loss distributions, rounded up."""
    from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots_fixed_gap as dots
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    reaches = [_reach(one) for one in spends]
    widest = max(max(abs(low), abs(high)) for low, high in reaches)
    if not widest <= WIDEST:
        raise _too_many(spends)
    most = min(LARGEST, MOST_CELLS // (1 + max(one.members for one in spends)))
    grid = GRID * max(1, math.ceil(2 * widest / GRID / most))
    whole = None
    for one, (low, high) in zip(spends, reaches, strict=True):
        edge = math.ceil(max(abs(low), abs(high)) / grid)
        losses = np.linspace(-edge * grid, edge * grid, 2 * edge + 1, dtype=np.float64)
        remove, add = _hockey_sticks(one, losses)
        step = PrivacyLossDistribution(dots(grid, -edge, edge, remove), dots(grid, -edge, edge, add))
        made = step.self_compose(one.spend.steps)
        whole = made if whole is None else whole.compose(made)
    return float(whole.get_epsilon_for_delta(delta)) if whole is not None else 0.0


def _too_many(spends: Sequence[GroupSpend]) -> PrivacyError:
    members = max(one.members for one in spends)
    return PrivacyError(
        f"what {members} patients cost together can't be reckoned with so little noise",
        remedy="make the model anew",
        field="epsilon",
    )


def _rdp_epsilon(spends: Sequence[GroupSpend], delta: float) -> float:
    """Return the upper bound by Renyi divergences of both directions, at the orders that can be reckoned."""
    from dp_accounting.rdp.rdp_privacy_accountant import compute_epsilon

    orders = [order for order in ORDERS if all(_cells(one, order) <= MOST_CELLS for one in spends)]
    if not orders:
        raise _too_many(spends)
    total = sum((one.spend.steps * _divergences(one, orders) for one in spends), np.zeros(len(orders)))
    return float(compute_epsilon(orders, list(map(float, total)), delta)[0])


def _cells(one: GroupSpend, order: float) -> float:
    """Return how many numbers the quadrature at an order takes: they grow with the members, squared."""
    points = 32 * (one.members * order / one.spend.noise_multiplier + TAIL)
    return points * (one.members + 1)


def _divergences(one: GroupSpend, orders: Sequence[float]) -> Floats:
    """Return the larger Renyi divergence of one step at each of `orders` (o,), by the trapezoidal rule."""
    drawn, log_weight = _weights(one)
    noise, found = one.spend.noise_multiplier, []
    for order in orders:
        low, high = -one.members * order - TAIL * noise, one.members * order + TAIL * noise
        x = np.arange(low, high + noise / 16, noise / 16)
        base = -(x**2) / (2 * noise**2) - math.log(noise * math.sqrt(2 * math.pi)) + math.log(noise / 16)
        loss = _loss(x, drawn, log_weight, noise)
        both = (logsumexp(base + order * loss), logsumexp(base + (1 - order) * loss))
        found.append(max(0.0, *map(float, both)) / (order - 1))
    return np.array(found)
