"""What lead and sites both know of a federated study: its models, cells of the cohort, names of queries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.streams import stream_seed
from huizhen.core.study import Study, Variant
from huizhen.errors import FederationError
from huizhen.federate.statistics.fixed_point import Words
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.runner import Exchange
from huizhen.pipeline.plan import PlannedModel, planned_models

PARTS = (Part.TRAIN, Part.TUNE, Part.TEST, Part.EXTERNAL)
CELLS = tuple(float(i) for i in range(2 * len(PARTS)))
"""Codes of a patient's part and outcome: two a part, others (and whose outcome is sealed) first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedModel:
    """One model that the sites train together: a planned model, its fold (of `folds`), and the member."""

    planned: PlannedModel
    member: int
    fold: int = 0
    folds: int = 1

    @property
    def name(self) -> str:
        """The model's name in messages."""
        fold = f"/fold{self.fold}" if self.folds > 1 else ""
        return f"{self.planned.name}{fold}/member{self.member}"

    @property
    def regression(self) -> bool:
        """Whether it is the clinical regression, which takes no rounds."""
        return self.planned.variant is Variant.TABLE_LR

    def seed(self, study: Study) -> int:
        """Return the seed of its first weights, the same everywhere."""
        return stream_seed(study.seed, "fit", self.planned.name, self.fold, self.member)


def folds_of(study: Study) -> int:
    """Return into how many folds each site divides its patients."""
    return study.split.folds if study.split.method == "folds" else 1


def smallest_count_of(study: Study) -> int:
    """Return how many patients a number must be of to be shown."""
    return study.federation.smallest_count if study.federation else 1


def federated_models(study: Study) -> list[FederatedModel]:
    """Return the models of a federated study, CMAN first."""
    folds = folds_of(study)
    return [
        FederatedModel(planned=planned, member=member, fold=fold, folds=folds)
        for planned in planned_models(study)
        for fold in range(folds)
        for member in range(study.training.members if planned.variant is not Variant.TABLE_LR else 1)
    ]


def cell_of(part: Part, outcome: int | None) -> int:
    """Return the code of a patient's part and outcome.

    >>> cell_of(Part.TUNE, 1)
    3
    """
    return 2 * PARTS.index(part) + int(outcome == 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresAsked:
    """Which scores a query is about: of one part, by the models of one fold or (None) of all.

    The calibrations go with the query: see `CALIBRATION`.
    """

    part: Part
    fold: int | None
    models: tuple[str, ...]


CALIBRATION = "calibration"
"""The query's parameter (models, folds, 2): slope and intercept of every model in every fold."""
ALL = "all"


def scores_subject(part: Part, fold: int | None, models: Sequence[str]) -> str:
    """Return the subject of a query about scores.

    >>> scores_subject(Part.TEST, None, ["cman", "single:US"])
    'scores/test/all/cman/single:US'
    """
    return "/".join(["scores", part.value, ALL if fold is None else str(fold), *models])


def scores_of(subject: str) -> ScoresAsked:
    """Return what a subject (without "scores/") asks for. Raises `FederationError` on another form."""
    part, _, rest = subject.partition("/")
    fold, _, names = rest.partition("/")
    models = tuple(names.split("/"))
    known = part in [p.value for p in PARTS] and (fold == ALL or (fold.isdecimal() and len(fold) < 4))
    if not known or not all(re.fullmatch(r"[A-Za-z0-9_.:|+-]+", name) for name in models):
        raise FederationError(
            "a query about scores of another form",
            remedy="run the same version of huizhen everywhere",
            field="subject",
        )
    return ScoresAsked(part=Part(part), fold=None if fold == ALL else int(fold), models=models)


def calibrated(exchange: Exchange, how: NDArray[np.float64]) -> Exchange:
    """Return an exchange whose queries carry the calibrations `how` (models, folds, 2)."""

    def asked(query: Query) -> Words:
        return exchange(replace(query, values={**query.values, CALIBRATION: how}))

    return asked
