"""Federated averaging: the weights move by the patient-weighted mean of the sites' changes."""

from __future__ import annotations

from dataclasses import dataclass

from huizhen.federate.strategies.interface import State, Step, Weights, moved_by


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAvg:
    """Also FedProx: its proximal term acts at the sites alone.

    References: McMahan et al., AISTATS 2017; Li et al., MLSys 2020.

    >>> import numpy as np
    >>> w = {"a": np.float32([1.0])}
    >>> FedAvg(rate=0.5).step(w, {"a": np.float32([2.0])}, {}, share=1.0).weights["a"]
    array([2.], dtype=float32)
    """

    rate: float = 1.0
    """The share of the mean change that is made."""

    def broadcast(self, state: State, weights: Weights) -> Weights:
        """Return nothing: sites need the weights alone."""
        return {}

    def step(self, weights: Weights, change: Weights, state: State, *, share: float) -> Step:
        """Return `weights` moved by `rate` times `change`."""
        moved = moved_by(weights, change, self.rate)
        return Step(weights=moved, state=state)
