"""Shortcuts: whether a model's features tell where a patient was imaged, what changes without the lesion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.estimates import Estimate, wald
from huizhen.validate.samples import checked_outcome

__all__ = ["FOLDS", "mean_change", "told_by_neighbours", "told_by_trees", "told_from_features"]

FOLDS = 5
PENALTY = 0.1
"""The inverse strength of the L2 penalty, on standardised features: strong enough for more features than
patients: a weaker one tells sites better in the folds it learns from and worse in the one it is asked."""

NEIGHBOURS, COMPONENTS, TREES = 25, 40, 60
FEWEST = 4 * NEIGHBOURS
"""Patients in all below which neighbours and trees aren't asked: they give most patients their fold's share
of the site, which is smaller where more of it are held out: an AUC below 0.5 that looks like success."""


def told_from_features(
    features: NDArray[np.floating], belongs: NDArray[np.bool_], *, seed: int, folds: int = FOLDS
) -> NDArray[np.float64]:
    """Return for each patient (n,) how much its features speak for belonging, by a model that hasn't seen it.

    `features` (n, p), `belongs` (n,): to the site that is told from the rest. Logistic regression with an L2
    penalty, cross-validated over `folds` that keep the share of the site. Raises `InvalidInputError` on
    wrong shapes or NaN, `NotEstimableError` with fewer than two patients a fold on either side.

    >>> rng = np.random.default_rng(1)
    >>> belongs = np.arange(60) % 2 == 0
    >>> found = told_from_features(rng.normal(size=(60, 3)) + belongs[:, None], belongs, seed=1)
    >>> bool(found[belongs].mean() > found[~belongs].mean())
    True
    """
    from sklearn.linear_model import LogisticRegression

    rows, truth = _told_of(features, belongs, folds)
    place, score = _folds(truth, folds, seed), np.empty(truth.size)
    for k in range(folds):
        held = place == k
        scaled = _scaled(rows, held)
        model = LogisticRegression(C=PENALTY, max_iter=2000).fit(scaled[~held], truth[~held])
        score[held] = model.decision_function(scaled[held])
    return score


def told_by_neighbours(
    features: NDArray[np.floating], belongs: NDArray[np.bool_], *, seed: int, folds: int = FOLDS
) -> NDArray[np.float64]:
    """Return for each patient (n,) the share of its nearest others that belong, as `told_from_features`.

    It sees what no line does: clouds of another shape. The `NEIGHBOURS` nearest, by the first `COMPONENTS`
    principal components of standardised features.

    >>> rng = np.random.default_rng(1)
    >>> belongs = np.arange(120) % 2 == 0
    >>> rings = rng.normal(size=(120, 3)) * np.where(belongs, 1, 4)[:, None]
    >>> found = told_by_neighbours(rings, belongs, seed=1)
    >>> bool(found[belongs].mean() > found[~belongs].mean() + 0.2)
    True
    """
    rows, truth = _told_of(features, belongs, folds, least=FEWEST)
    place, score = _folds(truth, folds, seed), np.empty(truth.size)
    for k in range(folds):
        held = place == k
        few = _few(_scaled(rows, held), held)
        apart = ((few[held] ** 2).sum(1)[:, None] - 2 * few[held] @ few[~held].T) + (few[~held] ** 2).sum(1)
        near = np.argsort(apart, axis=1, kind="stable")[:, : min(NEIGHBOURS, int((~held).sum()))]
        score[held] = truth[~held][near].mean(1)
    return score


def told_by_trees(
    features: NDArray[np.floating], belongs: NDArray[np.bool_], *, seed: int, folds: int = FOLDS
) -> NDArray[np.float64]:
    """Return for each patient (n,) how much its features speak for belonging, as `told_from_features`.

    Gradient-boosted trees on the first `COMPONENTS` principal components of standardised features: they find
    corners and steps that neither a line nor distances show.

    >>> rng = np.random.default_rng(1)
    >>> rows = rng.normal(size=(160, 2))
    >>> corners = rows.prod(1) > 0
    >>> found = told_by_trees(rows, corners, seed=1)
    >>> bool(found[corners].mean() > found[~corners].mean() + 0.5)
    True
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows, truth = _told_of(features, belongs, folds, least=FEWEST)
    place, score = _folds(truth, folds, seed), np.empty(truth.size)
    for k in range(folds):
        held = place == k
        few = _few(_scaled(rows, held), held)
        model = HistGradientBoostingClassifier(
            max_iter=TREES, max_depth=3, early_stopping=False, random_state=0
        )
        score[held] = model.fit(few[~held], truth[~held]).decision_function(few[held])
    return score


def _few(scaled: NDArray[np.float64], held: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the first `COMPONENTS` principal components (n, k), found from those who aren't held out."""
    if scaled.shape[1] <= COMPONENTS:
        return scaled
    _, _, axes = np.linalg.svd(scaled[~held], full_matrices=False)
    found: NDArray[np.float64] = scaled @ axes[:COMPONENTS].T
    return found


def _told_of(
    features: NDArray[np.floating], belongs: NDArray[np.bool_], folds: int, *, least: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return features and site as they may be used. Raises as `told_from_features`."""
    truth = checked_outcome(belongs)
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != truth.size or not np.isfinite(rows).all():
        raise InvalidInputError(
            f"features of shape {rows.shape} are not finite ones of {truth.size} patients",
            remedy="give (n, p)",
            field="features",
        )
    if min(int(truth.sum()), int((~truth).sum())) < 2 * folds:
        raise NotEstimableError(
            f"fewer than {2 * folds} patients of the site or of the others", remedy="gather cases"
        )
    if truth.size < least:
        raise NotEstimableError(
            f"fewer than {least} patients in all for this classifier", remedy="gather cases"
        )
    return rows, truth


def _scaled(rows: NDArray[np.float64], held: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return features (n, p) standardised by the patients who aren't held out."""
    centre, spread = rows[~held].mean(0), rows[~held].std(0)
    found: NDArray[np.float64] = (rows - centre) / np.where(spread > 1e-12, spread, 1.0)
    return found


def _folds(truth: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.int64]:
    """Return each patient's fold (n,), drawn so that each has its share of both classes."""
    rng, place = stream(seed, "shortcuts", "folds"), np.empty(truth.size, np.int64)
    for which in (truth, ~truth):
        rows = rng.permutation(np.flatnonzero(which))
        place[rows] = np.arange(rows.size) % folds
    return place


def mean_change(
    before: NDArray[np.floating], after: NDArray[np.floating], *, level: float = 0.95
) -> Estimate:
    """Return the mean of `after` - `before` (n,) on the same patients, with its normal interval.

    Raises `NotEstimableError` with fewer than two patients.

    >>> found = mean_change(np.array([0.0, 0.0]), np.array([1.0, 3.0]))
    >>> found.value, round(found.interval.high - found.value, 2)
    (2.0, 1.96)
    """
    change = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    if change.size < 2:
        raise NotEstimableError("fewer than 2 patients", remedy="gather cases")
    error = float(change.std(ddof=1) / np.sqrt(change.size))
    value = float(change.mean())
    return Estimate(value=value, interval=wald(value, error, method="normal, paired", level=level))
