"""What lead and sites both know of a federated study: its models, cells of the cohort, names of queries."""

from __future__ import annotations

import re
from dataclasses import dataclass

from huizhen.core.cohort import Part
from huizhen.core.streams import stream_seed
from huizhen.core.study import Study, Variant
from huizhen.errors import FederationError
from huizhen.pipeline.plan import PlannedModel, planned_models

PARTS = (Part.TRAIN, Part.TUNE, Part.TEST, Part.EXTERNAL)
CELLS = tuple(float(i) for i in range(2 * len(PARTS)))
"""Codes of a patient's part and outcome: two a part, others first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedModel:
    """One network that the sites train together: a planned model and the number of the member."""

    planned: PlannedModel
    member: int

    @property
    def name(self) -> str:
        """The network's name in messages."""
        return f"{self.planned.name}/member{self.member}"

    def seed(self, study: Study) -> int:
        """Return the seed of its first weights, the same everywhere."""
        return stream_seed(study.seed, "fit", self.planned.name, 0, self.member)


def federated_models(study: Study) -> list[FederatedModel]:
    """Return the networks of a federated study, CMAN first."""
    return [
        FederatedModel(planned=planned, member=member)
        for planned in planned_models(study)
        if planned.variant is not Variant.TABLE_LR
        for member in range(study.training.members)
    ]


def cell_of(part: Part, outcome: int | None) -> int:
    """Return the code of a patient's part and outcome.

    >>> cell_of(Part.TUNE, 1)
    3
    """
    return 2 * PARTS.index(part) + int(outcome == 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresAsked:
    """Which scores a query is about: of one part, of models each with its calibration."""

    part: Part
    models: tuple[tuple[str, float, float], ...]
    """Name, slope and intercept; 1 and 0 leave the log-odds as they are."""


def scores_subject(part: Part, models: list[tuple[str, float, float]]) -> str:
    """Return the subject of a query about scores.

    >>> scores_subject(Part.TEST, [("cman", 1.0, 0.0)])
    'scores/test/cman:0x1.0000000000000p+0:0x0.0p+0'
    """
    each = "/".join(f"{name.replace(':', '|')}:{a.hex()}:{b.hex()}" for name, a, b in models)
    return f"scores/{part.value}/{each}"


def scores_of(subject: str) -> ScoresAsked:
    """Return what a subject (without "scores/") asks for. Raises `FederationError` on another form."""
    try:
        part, *models = subject.split("/")
        found = []
        for model in models:
            name, slope, intercept = model.split(":")
            found.append((name.replace("|", ":"), float.fromhex(slope), float.fromhex(intercept)))
        if not found or not all(re.fullmatch(r"[A-Za-z0-9_.:+-]+", name) for name, _, _ in found):
            raise ValueError(subject)
        return ScoresAsked(part=Part(part), models=tuple(found))
    except ValueError as error:
        raise FederationError(
            "a query about scores of another form",
            remedy="run the same version of huizhen everywhere",
            field="subject",
        ) from error
