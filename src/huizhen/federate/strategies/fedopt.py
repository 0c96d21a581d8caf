"""FedAdam and FedYogi: the mean change is a gradient for an adaptive optimiser at the lead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.federate.strategies.interface import State, Step, Weights, moved_by

Array = NDArray[np.float64]
FIRST, SECOND = "first/", "second/"


@dataclass(frozen=True, slots=True, kw_only=True)
class FedOpt:
    """Adaptive server optimisation, without bias correction as published.

    Reference: Reddi et al., ICLR 2021, algorithm 2.

    >>> w, d = {"a": np.float32([0.0])}, {"a": np.float32([2.0])}
    >>> FedOpt(rate=0.1).step(w, d, {}, share=1.0).weights["a"].round(3)
    array([0.1], dtype=float32)
    """

    rate: float
    yogi: bool = False
    first_decay: float = 0.9
    second_decay: float = 0.99
    floor: float = 1e-3
    """Added to the root of the second moment: how adaptive the steps are."""

    def broadcast(self, state: State, weights: Weights) -> Weights:
        """Return nothing: sites need the weights alone."""
        return {}

    def step(self, weights: Weights, change: Weights, state: State, *, share: float) -> Step:
        """Return `weights` moved along the first moment over the root of the second."""
        direction: dict[str, NDArray[np.float32]] = {}
        kept: dict[str, Array] = {}
        for name in weights:
            delta = change[name].astype(np.float64)
            first = self._first(state.get(FIRST + name, np.zeros_like(delta)), delta)
            second = self._second(state.get(SECOND + name, np.full_like(delta, self.floor**2)), delta**2)
            direction[name] = np.asarray(first / (np.sqrt(second) + self.floor), np.float32)
            kept |= {FIRST + name: first, SECOND + name: second}
        return Step(weights=moved_by(weights, direction, self.rate), state=kept)

    def _first(self, first: Array, delta: Array) -> Array:
        """Return the first moment after `delta`."""
        return self.first_decay * first + (1 - self.first_decay) * delta

    def _second(self, second: Array, square: Array) -> Array:
        """Return the second moment after `square`."""
        rest = 1 - self.second_decay
        if self.yogi:
            return np.asarray(second - rest * square * np.sign(second - square), np.float64)
        return self.second_decay * second + rest * square
