"""What a site needs to know to train by DP-SGD, apart from training, so that accounting loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from huizhen.errors import InvalidInputError
from huizhen.privacy.events import Spend

__all__ = ["DpSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DpSettings:
    """`clip_norm`: each patient's gradient is cut to it. `patients`: training patients at the site.

    `sampling_rate` in (0, 1]: each patient's probability to be in a step. Raises `InvalidInputError`.
    """

    noise_multiplier: float
    clip_norm: float
    sampling_rate: float
    patients: int

    def __post_init__(self) -> None:
        self.spend(1)
        if not 0 < self.clip_norm < math.inf or self.patients < 1:
            raise InvalidInputError("a clip of nothing, or no patient", remedy="give values above 0")

    @property
    def expected_batch(self) -> float:
        """The mean number of patients in a step: what sums are divided by, whoever was drawn."""
        return self.sampling_rate * self.patients

    def spend(self, steps: int) -> Spend:
        """Return what so many steps spend."""
        return Spend(sampling_rate=self.sampling_rate, noise_multiplier=self.noise_multiplier, steps=steps)
