"""How a site tells counts: the policy, and one answer's three counts as they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Disclosure", "Told", "rounded"]


class Disclosure(BaseModel):
    """[disclosure] of `catalogue.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    smallest: Annotated[int, Field(ge=5, le=1000)] = 10
    """Fewer than this are told as few, and no two answers differ by fewer subjects."""
    rounding: Annotated[int, Field(ge=5, le=1000)] = 10
    """Counts are rounded to multiples of this."""
    age_step: Annotated[int, Field(ge=1, le=50)] = 5
    """Ages are asked in bands that begin at multiples of this."""
    most_questions: Annotated[int, Field(ge=1, le=1000)] = 200
    """How many different counts are answered of one index."""
    most_a_day: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Questions of one asker in a day, repeated ones too."""
    noise: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Standard deviation of Gaussian noise on the count of subjects; studies and series are then not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One count as it leaves: a rounded number, or None for few; `low` and `high` bound the true one.

    Bounds are given of subjects, and where there is no noise; else they are None.
    """

    value: int | None
    low: int | None = None
    high: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"value": self.value, "low": self.low, "high": self.high}


def rounded(value: float, policy: Disclosure, *, bounded: bool = True) -> Told:
    """Return how a value is told. It may lack up to `smallest` - 1 subjects that nothing tells apart.

    >>> rounded(47.0, Disclosure()).to_json()
    {'value': 50, 'low': 36, 'high': 64}
    >>> rounded(3.0, Disclosure()).to_json()
    {'value': None, 'low': 0, 'high': 18}
    """
    apart = policy.smallest - 1
    if value < policy.smallest - 0.5:
        return Told(value=None, low=0, high=2 * apart) if bounded else Told(value=None)
    near = max(policy.rounding * int(value / policy.rounding + 0.5), policy.rounding)
    if not bounded:
        return Told(value=near)
    reach = (policy.rounding + 1) // 2 + apart
    return Told(value=near, low=max(policy.smallest - apart, near - reach), high=near + reach)
