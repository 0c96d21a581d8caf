"""How much privacy is spent: two independent accountants that must agree, and an upper bound beside them.

Opacus composes privacy random variables on a grid by Fourier transform (PRV); dp-accounting composes privacy
loss distributions (PLD) in both directions of add and remove. They share no code. The reported epsilon is the
larger of the two. Renyi differential privacy (RDP) gives a looser bound by closed forms, which also guards
against an error that both might share: an epsilon above it is refused.

References: Gopi et al., Numerical composition of differential privacy, NeurIPS 2021 (PRV); Doroshenko et al.,
Connect the dots, PETS 2022 (PLD); Mironov et al., Renyi differential privacy of the sampled Gaussian
mechanism, arXiv:1908.10530 (RDP).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from huizhen.errors import InvalidInputError, PrivacyError
from huizhen.privacy.events import Spend, merged

__all__ = [
    "TOLERANCE",
    "Account",
    "account",
    "agreed",
    "calibrate_noise",
    "pld_epsilon",
    "prv_epsilon",
    "rdp_epsilon",
]

TOLERANCE: Final = 0.01
"""How far the two accountants may differ, as a share of the larger."""
GRID_SHARE: Final = 0.002
"""The error that is allowed to the PRV's grid, as a share of the RDP bound."""
FINE: Final = 1e-4
COARSE: Final = 1e-3
"""Grids of the PLD: for an account, and for looking for a noise multiplier."""
SMALLEST: Final = 1e-4
"""Epsilons below this are compared on an absolute scale: what they permit is nothing either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The epsilon of all `spends` at `delta`: by each accountant, and the one to report."""

    spends: tuple[Spend, ...]
    delta: float
    epsilon: float
    prv: float
    pld: float
    rdp: float

    def to_json(self) -> dict[str, Any]:
        """Return the account as plain values, for evidence."""
        return {
            "spends": [spend.to_json() for spend in self.spends],
            "delta": self.delta,
            "epsilon": self.epsilon,
            "prv": self.prv,
            "pld": self.pld,
            "rdp_upper_bound": self.rdp,
        }


def account(spends: Iterable[Spend], *, delta: float) -> Account:
    """Return what `spends` cost together at `delta` in (0, 1), by both accountants.

    Raises `InvalidInputError` on a delta out of range, `PrivacyError` when the accountants differ by more
    than 1 %, or one can't tell, or both are above the RDP bound.
    """
    _check_delta(delta)
    return _account(merged(spends), delta)


@lru_cache(maxsize=256)
def _account(together: tuple[Spend, ...], delta: float) -> Account:
    """Return what merged spends cost, as `account`."""
    if not together:
        return Account(spends=(), delta=delta, epsilon=0.0, prv=0.0, pld=0.0, rdp=0.0)
    rdp = rdp_epsilon(together, delta=delta)
    prv = prv_epsilon(together, delta=delta, error=max(GRID_SHARE * rdp, SMALLEST / 10))
    pld = pld_epsilon(together, delta=delta)
    epsilon = agreed(prv=prv, pld=pld, rdp=rdp)
    return Account(spends=together, delta=delta, epsilon=epsilon, prv=prv, pld=pld, rdp=rdp)


def agreed(*, prv: float, pld: float, rdp: float) -> float:
    """Return the epsilon to report, or raise `PrivacyError` when the accountants contradict each other.

    >>> agreed(prv=2.0, pld=2.01, rdp=2.4)
    2.01
    """
    larger = max(prv, pld)
    if not (math.isfinite(prv) and math.isfinite(pld) and min(prv, pld) >= 0):
        raise PrivacyError(
            "an accountant gave no finite epsilon", remedy="use more noise, or fewer steps", field="epsilon"
        )
    if abs(prv - pld) > max(TOLERANCE * larger, SMALLEST):
        raise PrivacyError(
            f"the accountants disagree: PRV {prv:.5g}, PLD {pld:.5g}",
            remedy="don't train with this setting; report it with noise, rate and steps",
            field="epsilon",
        )
    if larger > rdp * (1 + TOLERANCE) + SMALLEST:
        raise PrivacyError(
            f"epsilon {larger:.5g} is above its upper bound {rdp:.5g}",
            remedy="don't train with this setting; report it with noise, rate and steps",
            field="epsilon",
        )
    return larger


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise InvalidInputError(f"a delta of {delta}", remedy="use a delta well below one by the patients")


def rdp_epsilon(spends: Sequence[Spend], *, delta: float) -> float:
    """Return the upper bound by Renyi differential privacy, over whole orders."""
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(orders=[*range(2, 65), 80, 96, 128, 192, 256, 512, 1024])
    accountant.compose(_event(spends))
    return float(accountant.get_epsilon(delta))


def pld_epsilon(spends: Sequence[Spend], *, delta: float, interval: float = FINE) -> float:
    """Return epsilon by privacy loss distributions (dp-accounting) on a grid of `interval`, rounded up."""
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(value_discretization_interval=interval)
    accountant.compose(_event(spends))
    return float(accountant.get_epsilon(delta))


def _event(spends: Sequence[Spend]) -> Any:
    """Return the spends in dp-accounting's terms."""
    import dp_accounting

    return dp_accounting.ComposedDpEvent(
        [
            dp_accounting.SelfComposedDpEvent(
                dp_accounting.PoissonSampledDpEvent(
                    spend.sampling_rate, dp_accounting.GaussianDpEvent(spend.noise_multiplier)
                ),
                spend.steps,
            )
            for spend in spends
        ]
    )


def prv_epsilon(spends: Sequence[Spend], *, delta: float, error: float) -> float:
    """Return epsilon by privacy random variables (Opacus), on a grid for an error of `error`.

    Raises `PrivacyError` when the library can't compute it.
    """
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(s.noise_multiplier, s.sampling_rate, s.steps) for s in spends]
    slack = delta / 1000
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # logarithms of zero at rate 1, and quadrature in flat tails
            variable = accountant._get_dprv(eps_error=error, delta_error=slack)
            _, estimate, _ = variable.compute_epsilon(delta, slack, error)
    except (RuntimeError, ValueError, MemoryError, OverflowError) as problem:
        raise PrivacyError(
            "the PRV accountant can't tell the spend",
            remedy="use more noise, or a larger delta",
            field="epsilon",
        ) from problem
    return max(0.0, float(estimate))


def calibrate_noise(
    *,
    epsilon: float,
    delta: float,
    sampling_rate: float,
    steps: int,
    spent: Sequence[Spend] = (),
    precision: float = 0.005,
) -> float:
    """Return the least noise multiplier, to `precision`, with which `spent` and these steps cost `epsilon`.

    The result costs at most `epsilon`, by both accountants. Raises `PrivacyError` when even a multiplier of
    1,000 costs more, `InvalidInputError` on values out of range.
    """
    if not epsilon > 0 or not 0 < precision < 1:
        raise InvalidInputError("an epsilon or precision of nothing", remedy="use values above 0")
    _check_delta(delta)

    def planned(noise: float) -> tuple[Spend, ...]:
        return merged([*spent, Spend(sampling_rate=sampling_rate, noise_multiplier=noise, steps=steps)])

    def cost(noise: float) -> float:
        return pld_epsilon(planned(noise), delta=delta, interval=COARSE)

    low, high = _bracket(cost, epsilon)
    while high / low > 1 + precision:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if cost(middle) <= epsilon else (middle, high)
    while account(planned(high), delta=delta).epsilon > epsilon:
        high *= 1 + precision
    return high


def _bracket(cost: Any, epsilon: float) -> tuple[float, float]:
    """Return two multipliers, the first costing more than `epsilon` and the second less."""
    high = 1.0
    while cost(high) > epsilon * (1 - SMALLEST):
        high *= 2
        if high > 1000:
            raise PrivacyError(
                f"no noise keeps the spend below epsilon {epsilon:g}",
                remedy="train fewer steps, or take a study with more patients",
                field="epsilon",
            )
    low = high / 2
    while high <= 1.0 and low > 0.3 and cost(low) <= epsilon:
        low, high = low / 2, low
    return low, high
