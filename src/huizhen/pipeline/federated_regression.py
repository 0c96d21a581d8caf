"""Regressions over sites: the floor of a network's tables and the clinical baseline, by exact Newton sums.

What is fitted is the pooled regression; its penalty is chosen among those of the central fit by inner
cross-validation, whose folds each site deals by itself.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.evidence import Evidence
from huizhen.core.study import Variant
from huizhen.errors import DataError, NotEstimableError
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.batch import Batch, Fold
from huizhen.federate.statistics.interface import Sized, Statistic
from huizhen.federate.statistics.logistic import Logistic, LogisticLikelihood
from huizhen.federate.statistics.penalty import choose_logistic_ridge
from huizhen.federate.statistics.runner import Run as Conducted
from huizhen.federate.statistics.runner import conduct
from huizhen.federate.strategies.interface import Weights
from huizhen.pipeline.federated_plan import FederatedModel
from huizhen.pipeline.federated_tables import Encodings
from huizhen.pipeline.stage import Run
from huizhen.train.table_regression import INNER_FOLDS, STRENGTHS, TableRegression

CHOOSE, JUDGE, FIT = "choose", "judge", "fit"
REGRESSION = "regression"
RIDGES = tuple(1 / strength for strength in STRENGTHS)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTables:
    """A regression over sites: the fit, its `ridge`, over `n` patients, `events` of them with the event."""

    regression: TableRegression
    ridge: float
    n: int
    events: int
    rounds: int


def tables_of(model: FederatedModel, tables: Container[str]) -> tuple[str, ...]:
    """Return those of `tables` that a model's regression is on, in the study's order."""
    return tuple(name for name in model.planned.modalities if name in tables)


def width_of(model: FederatedModel, encodings: Encodings) -> int:
    """Return how many columns a model's regression has: of the floor, or of the clinical baseline."""
    row = 0 if model.planned.variant is Variant.TABLE_LR else 1  # the floor also weighs that there is a row
    found = [encodings[name] for name in tables_of(model, encodings)]
    return sum(encoding.n_features + len(encoding.columns) + row for encoding in found)


def logistic_of(width: int) -> Logistic:
    """Return the regression on `width` columns, not yet penalised."""
    return Logistic(columns=tuple(f"x{i}" for i in range(width)))


def statistic_of(what: str, width: int) -> Statistic[Any, Any] | None:
    """Return what a site answers of a regression on `width` columns; None of anything else.

    Penalties and coefficients are the lead's; which fold a part is of, both know by its place.
    """
    model = logistic_of(width)
    folds = [fold for _ in RIDGES for fold in range(INNER_FOLDS)]
    if what == FIT:
        return model
    if what == CHOOSE:
        return Batch(parts=tuple(Fold(statistic=model, fold=fold) for fold in folds))
    if what == JUDGE:
        judged = LogisticLikelihood(model=model, coefficients=(0.0,) * (width + 1))
        return Batch(parts=tuple(Fold(statistic=judged, fold=fold, held_out=True) for fold in folds))
    return None


def regression_weights(found: TableRegression) -> dict[str, NDArray[np.float32]]:
    """Return a regression as weights that may be sent."""
    intercept = np.array([found.intercept], np.float32)
    return {"weights": found.weights.astype(np.float32), "intercept": intercept}


def regression_of(found: FittedTables | str | None) -> dict[str, NDArray[np.float32]]:
    """Return the clinical baseline's weights. Raises `DataError` where the regression couldn't be fitted."""
    if isinstance(found, FittedTables):
        return regression_weights(found.regression)
    raise DataError(
        f"table_lr can't be fitted: {found or 'the study has no table'}",
        remedy="add patients, or leave table_lr out of network.variants",
        field="network.variants",
    )


def regression_from(weights: Weights) -> TableRegression:
    """Return the regression of sent weights."""
    return TableRegression(
        weights=np.asarray(weights["weights"], np.float64), intercept=float(weights["intercept"][0])
    )


def regression_shapes(model: FederatedModel, encodings: Encodings) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a clinical regression's weights."""
    return {"weights": (width_of(model, encodings),), "intercept": (1,)}


def fit_over_sites(
    lead: Lead, model: FederatedModel, encodings: Encodings, sites: tuple[str, ...], *, smallest: int
) -> FittedTables:
    """Return the penalised regression of a model's tables over the training patients of `sites`.

    Raises `NotEstimableError` where the pooled fit would have none, and what the sums raise.
    """
    logistic = logistic_of(width_of(model, encodings))
    rounds = 0

    def asked(statistic: Statistic[Any, Any], _: Sequence[Sized]) -> Conducted[Any]:
        nonlocal rounds
        what = _what(statistic)
        exchange = lead.exchange(f"{REGRESSION}/{what}/{model.name}", secure=True, sites=sites)
        found = conduct(statistic, exchange, smallest_count=smallest)
        rounds += found.rounds
        return found

    chosen = choose_logistic_ridge(logistic, (), RIDGES, folds=INNER_FOLDS, run=asked)
    final = Logistic(columns=logistic.columns, ridge=chosen.ridge)
    fit = asked(final, ()).result
    regression = TableRegression(
        weights=np.asarray(fit.coefficients[1:], np.float64), intercept=float(fit.coefficients[0])
    )
    return FittedTables(
        regression=regression, ridge=chosen.ridge, n=fit.n, events=round(fit.events), rounds=rounds
    )


def _what(statistic: Statistic[Any, Any]) -> str:
    """Return which of the three questions a statistic is."""
    if not isinstance(statistic, Batch):
        return FIT
    first = statistic.parts[0]
    held_out = isinstance(first, Fold) and first.held_out
    return JUDGE if held_out else CHOOSE


def fitted_or_reason(
    lead: Lead,
    model: FederatedModel,
    encodings: Encodings,
    sites: tuple[str, ...],
    counts: tuple[int, int],
    *,
    smallest: int,
) -> FittedTables | str:
    """Return the regression, or why there is none; `counts`: training patients by outcome."""
    if min(counts) < INNER_FOLDS:
        return f"fewer than {INNER_FOLDS} training patients in a class"
    try:
        return fit_over_sites(lead, model, encodings, sites, smallest=smallest)
    except NotEstimableError as error:
        return error.message


def regression_evidence(run: Run, model: FederatedModel, found: FittedTables | str) -> Evidence:
    """Return how the regression under (or instead of) a network was fitted."""
    key = f"floor/{model.planned.name}/fold{model.fold}"
    if isinstance(found, str):
        return Evidence.not_assessed(
            key=key, metric="floor", stage="fit", reason=found, phantom=run.study.phantom
        )
    return Evidence(
        key=key,
        metric="floor",
        stage="fit",
        n=found.n,
        n_events=found.events,
        descriptive=True,
        phantom=run.study.phantom,
        detail={
            "columns": len(found.regression.weights),
            "penalty": found.ridge,
            "rounds": found.rounds,
            "inner_folds": INNER_FOLDS,
        },
    )
