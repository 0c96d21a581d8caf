"""The clinical baseline: logistic regression on the table modalities alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import DataError
from huizhen.train.arrays import CaseData

STRENGTHS = tuple(float(c) for c in np.logspace(-4, 2, 10))
"""The inverses of the penalties that are tried."""
INNER_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRegression:
    """A fitted regression: log-odds = features (n, p) . `weights` (p,) + `intercept`."""

    weights: NDArray[np.float64]
    intercept: float

    def logits(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-odds (n,) of `features` (n, p)."""
        found: NDArray[np.float64] = features @ self.weights + self.intercept
        return found


def table_features(data: CaseData, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the design matrix (n, p): encoded values of every table, then what is missing.

    Missing values are at the training mean and flagged by an indicator per column.
    """
    parts: list[NDArray[np.float64]] = []
    for column in data.tables.values():
        parts += [column.values[rows].astype(np.float64), (~column.there[rows]).astype(np.float64)]
    return np.concatenate(parts, 1)


def fit_table_regression(data: CaseData, train: NDArray[np.int64], seed: int) -> TableRegression:
    """Fit an L2-penalised logistic regression, its penalty by cross-validated log-loss on `train`.

    Raises `DataError` when a class has fewer patients than the inner folds need.
    """
    outcome = data.outcome[train].astype(int)
    if np.bincount(outcome, minlength=2).min() < INNER_FOLDS:
        raise DataError(
            f"fewer than {INNER_FOLDS} training patients in a class",
            remedy="add patients, or leave table_lr out of network.variants",
            field="network.variants",
        )
    return penalised_regression(table_features(data, train), outcome, seed)


def penalised_regression(
    features: NDArray[np.float64], outcome: NDArray[np.int64], seed: int
) -> TableRegression:
    """Return the L2-penalised logistic regression of `outcome` (n,) on `features` (n, p).

    Its penalty has the best cross-validated log-loss over stratified inner folds, drawn from `seed`.
    """
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold

    model = LogisticRegressionCV(
        Cs=list(STRENGTHS),
        cv=StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed % 2**32),
        scoring="neg_log_loss",
        max_iter=5000,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    model.fit(features, outcome)
    return TableRegression(weights=model.coef_[0].astype(np.float64), intercept=float(model.intercept_[0]))
