"""The prediction table: one row a patient and model, what validation and the dossier recompute from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """The locked models' calibrated risks for n evaluated patients, each patient once.

    `patient` (n,) pseudonyms; `site` (n,); `part` TEST (internal) or EXTERNAL; `outcome` (n,) bool;
    `decision` model name -> (n,) bool by the locked thresholds; `risk` model name -> (n,) in [0, 1] (NaN
    where a model can't answer, e.g. a single-modality model of an absent modality); `present` modality ->
    (n,) bool. Model names: "cman", "concatenation", "late_average", "single:MG", "table_lr", and
    "cman|MG+US" for cman restricted to a subset of modalities. `groups` column -> (n,) what each patient has
    there as text, empty where it isn't known: what subgroups are made of, no input of a model by itself.
    `level` model name -> (n,) risk level by the locked cut points, 1 and up, one above the highest level for
    the top share, 0 without an answer.

    Of a table with several rows a patient `patient` names rows, and `cluster` (n,) their patients: intervals
    are over these. `ranked` are models whose `risk` only orders patients: no calibration is measured of them.
    """

    patient: NDArray[np.str_]
    site: NDArray[np.str_]
    part: Part
    outcome: NDArray[np.bool_]
    risk: Mapping[str, NDArray[np.float64]]
    decision: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    present: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    cluster: NDArray[np.str_] | None = None
    ranked: tuple[str, ...] = ()
    level: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.patient)
        columns = [("site", self.site), ("outcome", self.outcome)]
        columns += [("cluster", self.cluster)] if self.cluster is not None else []
        columns += [*self.risk.items(), *self.decision.items(), *self.present.items(), *self.groups.items()]
        columns += [*self.level.items()]
        for name, column in columns:
            if len(column) != n:
                raise InvalidInputError(
                    f"column {name} has {len(column)} rows, patient has {n}", remedy="give one row a patient"
                )
        if len(set(self.patient.tolist())) != n:
            raise InvalidInputError("a patient stands twice", remedy="aggregate to one row a patient")
        for name, risk in self.risk.items():
            known = risk[~np.isnan(risk)]
            if known.size and (known.min() < 0 or known.max() > 1):
                raise InvalidInputError(f"risks of {name} leave [0, 1]", remedy="calibrate them first")


def with_single_specialists(table: Predictions) -> Predictions:
    """Name each single-modality model as that subset's specialist too."""
    twins = {f"specialist|{n.partition(':')[2]}": n for n in table.risk if n.startswith("single:")}
    return replace(
        table,
        risk={**table.risk, **{twin: table.risk[name] for twin, name in twins.items()}},
        decision={**table.decision, **{twin: table.decision[name] for twin, name in twins.items()}},
    )
