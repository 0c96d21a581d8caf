"""The covariates that harmonisation keeps, as numbers: columns of tables, outcomes of training patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study import Study
from huizhen.core.study_harmonisation import OUTCOME
from huizhen.data.tables import ColumnKind, TableEncoding
from huizhen.train.arrays import CaseData

__all__ = ["Covariates", "covariates_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariates:
    """q covariates `names` of n patients: `values` (n, q), and which (q,) aren't `known` at use."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    unknown: NDArray[np.bool_]


def covariates_of(study: Study, data: CaseData, encodings: Mapping[str, TableEncoding]) -> Covariates:
    """Return what the study's [harmonisation] keeps, of the cases of `data`.

    A number is standardised, at the training mean where missing; a category has a covariate for each level
    but the first, 0 where missing. The outcome is NaN where it isn't known.
    """
    names: list[str] = []
    columns: list[NDArray[np.float64]] = []
    for key in study.harmonisation.keep if study.harmonisation else ():
        if key == OUTCOME:
            names.append(OUTCOME)
            columns.append(data.outcome.astype(np.float64)[:, None])
            continue
        found = _column(key, data, encodings)
        names += [f"{key} ({k + 1})" for k in range(found.shape[1])] if found.shape[1] > 1 else [key]
        columns.append(found)
    values = np.concatenate([np.zeros((len(data), 0)), *columns], 1)
    return Covariates(
        names=tuple(names), values=values, unknown=np.array([name == OUTCOME for name in names], np.bool_)
    )


def _column(key: str, data: CaseData, encodings: Mapping[str, TableEncoding]) -> NDArray[np.float64]:
    """Return one table column's covariates (n, 1 or levels - 1)."""
    for table, encoding in encodings.items():
        for column in encoding.columns:
            if key == f"{table}.{column.name}":
                first = column.start + (column.kind is ColumnKind.CATEGORICAL)
                found: NDArray[np.float64] = (
                    data.tables[table].values[:, first : column.stop].astype(np.float64)
                )
                return found
    return np.zeros((len(data), 0))  # the study file's own check lets no such key through
