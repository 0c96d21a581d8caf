"""What a site's worker needs of its data: training for one round, and answering queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study import Study
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.statistics.interface import Query
from huizhen.federate.strategies.interface import Weights
from huizhen.federate.summaries import Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A round's work: the change of the weights (and of what the strategy sent), and the mean loss."""

    change: Weights
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A query about `subject`, whose answer is added over up to `sites` sites.

    `smallest`: the least number of patients that an answer may go over; 1 for what is masked. `hidden`: it is
    for a secure sum, and nobody sees it but added up with other sites' answers.
    """

    subject: str
    query: Query
    sites: int
    smallest: int
    hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """A query round: annotators are asked about own cases that score at least `at` for `model`.

    `labelled`: the labels of all sites so far.
    """

    model: str
    query: int
    at: float
    labelled: int


class Learner(Protocol):
    """A study opened at a site. Every answer depends on the question alone, so that it can be asked again."""

    def patients(self, model: str, round_number: int, weights: Weights) -> int:
        """Return how many patients train `model` here in a round that begins from `weights`.

        Raises `FederationError` where patients' consents can't be read.
        """
        ...

    def plan(self, definition: str) -> None:
        """Keep the study's plan. Raises `FederationError` when another one was fixed here before."""
        ...

    def train(self, model: str, round_number: int, weights: Weights) -> Trained:
        """Train from `weights` for one round. Raises `FederationError` on a model of another shape."""
        ...

    def hold(self, model: str, weights: Weights) -> None:
        """Keep the finished weights of `model`. Raises `FederationError` on another shape."""
        ...

    def label(self, asked: Labelling) -> None:
        """Have the annotators asked for a query round, once.

        Raises `FederationError` with `STILL_ASKED` while labels are missing.
        """
        ...

    def lock(self, digest: str) -> None:
        """Fix the held models: from now on test patients may be scored, and no weight changes.

        Raises `FederationError` when others were locked before.
        """
        ...

    def head(self) -> tuple[str, int]:
        """Return root and size of the ledger kept here of the study, its cohort committed to in it."""
        ...

    def summary(self) -> Said:
        """Return how the site's tables stand, and which facts of [transfer] were checked here."""
        ...

    def answer(self, asked: Asked) -> NDArray[np.uint32]:
        """Return the words of the aggregate. Raises `FederationError` on what can't be answered."""
        ...

    def close(self) -> None:
        """Let go of files that only one process, or one opening, may hold."""
        ...


STILL_ASKED = "waiting for annotators"
"""The reason of a site whose annotators have not answered all that was asked."""
OpenLearner = Callable[[Study, SiteFolder, Path], Learner]
"""Opens a study at a site: reads its data, keeps what it needs in the folder given."""
