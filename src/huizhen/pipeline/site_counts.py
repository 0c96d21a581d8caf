"""A site's patients counted by part and outcome, as a lead may see them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from huizhen.core.cohort import Case, Part
from huizhen.data.splits import Fold
from huizhen.errors import FederationError
from huizhen.federate.statistics.data import Table, table_of
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.federated_plan import cell_of

__all__ = ["cells_of", "trained_on"]


def cells_of(cases: Iterable[Case], fold: Fold, names: frozenset[str], *, asks: bool) -> Table:
    """Return one number a patient: its part and outcome, of `cases` who have any of the modalities `names`.

    Sealed outcomes are nobody's before the lock: such patients are counted with the others. So are those whom
    a study that `asks` for labels may yet be asked about.
    """
    cells = [
        [float(cell_of(part, None if asks and part is Part.TRAIN else case.outcome))]
        for case in cases
        if names & case.modalities
        for part in (fold.parts[case.pseudonym],)
    ]
    return table_of(("cell",), np.array(cells, np.float64).reshape(-1, 1))


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
