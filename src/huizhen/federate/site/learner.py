"""What a site's worker needs of its data: training for one round, and answering a query in counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study import Study
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.strategies.interface import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A round's work: the change of the weights (and of what the strategy sent), and the mean loss."""

    change: Weights
    loss: float


Counted = dict[str, NDArray[np.int64]]
"""Named arrays of counts, or of limbs of quantised sums; none below 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question for counts: counts below `smallest` are given as 0, unless they go into a secure sum."""

    name: str
    step: int
    parameters: Mapping[str, NDArray[Any]]
    smallest: int


class Learner(Protocol):
    """A study opened at a site. Every answer depends on the question alone, so that it can be asked again."""

    def patients(self, model: str) -> int:
        """Return how many patients train `model` here."""
        ...

    def train(self, model: str, round_number: int, weights: Weights) -> Trained:
        """Train from `weights` for one round. Raises `FederationError` on a model of another shape."""
        ...

    def query(self, ask: Query) -> Counted:
        """Return the counts that answer a query. Raises `FederationError` on an unknown one."""
        ...


OpenLearner = Callable[[Study, SiteFolder, Path], Learner]
"""Opens a study at a site: reads its data, keeps what it needs in the folder given."""
