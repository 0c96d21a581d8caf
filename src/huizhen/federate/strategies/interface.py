"""A strategy: what goes out to the sites besides the weights, and what becomes of their mean change.

Weights are float32 by name. `State` is what the lead keeps between rounds; it is saved with every round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]
State = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The weights after a round, and the strategy's state."""

    weights: Weights
    state: State


class Strategy(Protocol):
    """How the lead turns the sites' mean change into the next weights."""

    def broadcast(self, state: State, weights: Weights) -> Weights:
        """Return what a site is given besides the weights, by prefixed name."""
        ...

    def step(self, weights: Weights, change: Weights, state: State, *, share: float) -> Step:
        """Return the next weights from the mean `change` over the sites' patients.

        `share` in (0, 1]: the part of the sites that answered. `change` holds what the sites sent, with the
        names of `broadcast` too where these are sent back.
        """
        ...


def moved_by(weights: Weights, change: Weights, rate: float) -> Weights:
    """Return `weights` moved by `rate` times `change`, reckoned in float64.

    >>> moved_by({"a": np.float32([1.0])}, {"a": np.float32([2.0])}, 0.5)
    {'a': array([2.], dtype=float32)}
    """
    return {
        name: (weight.astype(np.float64) + rate * change[name]).astype(np.float32)
        for name, weight in weights.items()
    }
