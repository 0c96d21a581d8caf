"""A site's patients counted by part and outcome, as a lead may see them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case, Part
from huizhen.core.study import Study
from huizhen.errors import FederationError
from huizhen.federate.statistics.data import Table, table_of
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.federated_plan import FederatedModel, cell_of

__all__ = ["cells_of", "left_in", "trained_on"]


def cells_of(model: FederatedModel, cohort: OpenCohort, cases: Iterable[Case], study: Study) -> Table:
    """Return one number a patient: its part and outcome, of `cases` whom `model` can answer.

    Sealed outcomes are nobody's before the lock: such patients are counted with the others. So are those whom
    a study that asks for labels may yet be asked about.
    """
    names, parts = frozenset(model.planned.modalities), cohort.folds[model.fold].parts
    open_ = Part.TRAIN if study.active is not None else None
    cells = [
        [float(cell_of(part, None if part is open_ else case.outcome))]
        for case in cases
        if names & case.modalities
        for part in (parts[case.pseudonym],)
    ]
    return table_of(("cell",), np.array(cells, np.float64).reshape(-1, 1))


def left_in(rows: NDArray[np.int64], cases: Sequence[Case], out: frozenset[str]) -> NDArray[np.int64]:
    """Return those of `rows` of `cases` whose patients aren't left out."""
    return rows[[cases[row].pseudonym not in out for row in rows]] if out else rows


def trained_on(cohort: OpenCohort, cases: Iterable[Case], fold: str) -> list[Case]:
    """Return the training patients of a fold among `cases`. Raises `FederationError` without one."""
    if not (fold.isdecimal() and int(fold) < len(cohort.folds)):
        raise FederationError(
            f"the study has no fold {fold[:20]}",
            remedy="run the same version of huizhen everywhere",
            field="subject",
        )
    parts = cohort.folds[int(fold)].parts
    return [case for case in cases if parts[case.pseudonym] is Part.TRAIN]
