"""What a recoding does to a model of the outcome on the quasi-identifiers, as they are and recoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.data.disclosure.microdata import Codes
from huizhen.errors import NotEstimableError

__all__ = ["ModelEffect", "model_effect"]

FOLDS, REPEATS = 5, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEffect:
    """AUC of a logistic regression, out of fold, on the patients who stay: as they are, and recoded.

    `low` and `high`: the 95 % interval of the change, by a bootstrap of patients.
    """

    n: int
    events: int
    before: float
    after: float
    low: float
    high: float


def model_effect(
    before: list[Codes], after: list[Codes], outcome: NDArray[np.bool_], people: Codes, *, seed: int = 0
) -> ModelEffect:
    """Return the effect on a model of the quasi-identifiers' codes (rows,) `before` and `after`.

    `people` (rows,): the patient of each row; folds and the bootstrap keep a patient's rows together. Raises
    `NotEstimableError` with fewer than ten patients of either outcome.
    """
    events = len(np.unique(people[outcome]))
    others = len(np.unique(people[~outcome]))
    if min(events, others) < 10:
        raise NotEstimableError(
            "fewer than ten patients of either outcome are left",
            remedy="leave outcome out of the policy",
            field="outcome",
        )
    folds = stream(seed, "disclosure", "folds").permutation(int(people.max()) + 1)[people] % FOLDS
    one, two = (_scores(codes, outcome, folds) for codes in (before, after))
    changes = []
    rng = stream(seed, "disclosure", "bootstrap")
    rows_of = [np.flatnonzero(people == who) for who in np.unique(people)]
    for _ in range(REPEATS):
        drawn = np.concatenate([rows_of[k] for k in rng.integers(0, len(rows_of), len(rows_of))])
        if 0 < outcome[drawn].sum() < len(drawn):
            changes.append(_auc(two[drawn], outcome[drawn]) - _auc(one[drawn], outcome[drawn]))
    low, high = np.quantile(changes, [0.025, 0.975])
    return ModelEffect(
        n=len(rows_of),
        events=events,
        before=_auc(one, outcome),
        after=_auc(two, outcome),
        low=float(low),
        high=float(high),
    )


def _scores(codes: list[Codes], outcome: NDArray[np.bool_], folds: Codes) -> NDArray[np.float64]:
    """Return log-odds (rows,) by models that didn't see the row's fold."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import LogisticRegression

    rows = np.arange(len(outcome))
    parts = [
        csr_matrix((np.ones(len(rows)), (rows, code)), (len(rows), int(code.max()) + 1)) for code in codes
    ]
    data = hstack(parts).tocsr()
    found = np.zeros(len(outcome))
    for fold in range(FOLDS):
        train = folds != fold
        if train.all() or not 0 < outcome[train].sum() < train.sum():
            continue
        model = LogisticRegression(max_iter=500).fit(data[train], outcome[train])
        found[~train] = model.decision_function(data[~train])
    return found


def _auc(score: NDArray[np.float64], outcome: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve, ties counting half."""
    from scipy.stats import rankdata

    ranks = rankdata(score)
    events = int(outcome.sum())
    return float((ranks[outcome].sum() - events * (events + 1) / 2) / (events * (len(outcome) - events)))
