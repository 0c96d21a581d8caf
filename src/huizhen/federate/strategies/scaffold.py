"""SCAFFOLD: control variates correct the sites' drift away from one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from huizhen.federate.strategies.interface import State, Step, Weights, moved_by

CONTROL = "control/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """The lead's control variate goes out with the weights; the change of each site's comes back.

    A site corrects each local gradient by `control - own control` and renews its own from what it moved
    (option II). Reference: Karimireddy et al., ICML 2020, algorithm 1.
    """

    rate: float = 1.0

    def broadcast(self, state: State, weights: Weights) -> Weights:
        """Return the lead's control variate."""
        return {
            CONTROL + name: state.get(name, np.zeros(w.shape)).astype(np.float32)
            for name, w in weights.items()
        }

    def step(self, weights: Weights, change: Weights, state: State, *, share: float) -> Step:
        """Return `weights` moved by the mean change, and the control variate by its own."""
        moved = moved_by(weights, change, self.rate)
        control = {
            name: state.get(name, np.zeros(w.shape)) + share * change[CONTROL + name].astype(np.float64)
            for name, w in weights.items()
        }
        return Step(weights=moved, state=control)
