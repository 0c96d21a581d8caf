"""What spends privacy: repeated Gaussian noise on a sum over a random sample of patients.

>>> rounds = (Spend(sampling_rate=0.1, noise_multiplier=1.2, steps=50),)
>>> Spend.from_json(rounds[0].to_json()) == rounds[0]
True
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from huizhen.errors import InvalidInputError

__all__ = ["Spend", "merged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """`steps` times the Poisson-sampled Gaussian mechanism, which is what DP-SGD does.

    `sampling_rate` in (0, 1]: the probability with which each patient is in a step, independently.
    `noise_multiplier` > 0: the noise's standard deviation by the norm that each patient is clipped to.
    Neighbours differ by one patient more or less. Raises `InvalidInputError` on values out of range.
    Reference: Abadi et al., Deep learning with differential privacy, CCS 2016, algorithm 1.
    """

    sampling_rate: float
    noise_multiplier: float
    steps: int

    def __post_init__(self) -> None:
        numbers = (self.sampling_rate, self.noise_multiplier)
        if any(isinstance(n, bool) or not math.isfinite(n) for n in numbers) or not 0 < numbers[0] <= 1:
            raise InvalidInputError("a sampling rate outside (0, 1]", remedy="give patients' probability")
        if self.noise_multiplier <= 0:
            raise InvalidInputError("noise of nothing spends without end", remedy="use a multiplier above 0")
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise InvalidInputError("steps are no whole number from 1", remedy="count the noisy steps")

    def to_json(self) -> dict[str, Any]:
        """Return the spend as plain values."""
        return {
            "sampling_rate": self.sampling_rate,
            "noise_multiplier": self.noise_multiplier,
            "steps": self.steps,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Spend:
        """Return the spend of plain values. Raises `InvalidInputError`."""
        if set(record) != {"sampling_rate", "noise_multiplier", "steps"}:
            raise InvalidInputError("a spend has other keys than it should", remedy="write it with to_json")
        try:
            return cls(
                sampling_rate=record["sampling_rate"],
                noise_multiplier=record["noise_multiplier"],
                steps=record["steps"],
            )
        except TypeError as error:
            raise InvalidInputError("a spend holds no numbers", remedy="write it with to_json") from error


def merged(spends: Iterable[Spend]) -> tuple[Spend, ...]:
    """Return spends with equal rate and noise added up, in a fixed order: the order doesn't change a spend.

    >>> one = Spend(sampling_rate=0.1, noise_multiplier=1.2, steps=50)
    >>> [spend.steps for spend in merged([one, one])]
    [100]
    """
    steps: dict[tuple[float, float], int] = {}
    for spend in spends:
        key = (spend.sampling_rate, spend.noise_multiplier)
        steps[key] = steps.get(key, 0) + spend.steps
    return tuple(
        Spend(sampling_rate=rate, noise_multiplier=noise, steps=count)
        for (rate, noise), count in sorted(steps.items())
    )
