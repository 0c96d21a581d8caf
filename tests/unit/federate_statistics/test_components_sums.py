"""Components over sites by secure sums: those of the pooled patients, without products of all features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from huizhen.core.study_harmonisation import Harmonisation
from huizhen.data.harmonise.combat import Prior
from huizhen.errors import DataError, InvalidInputError, MessageError
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.combat import Features, features_of
from huizhen.federate.statistics.components import Components
from huizhen.federate.statistics.fixed_point import words_of
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.runner import respond, run
from huizhen.federate.statistics.specification import from_specification, to_specification
from huizhen.pipeline.harmonise_fit import _fitted, _Training  # the pooled fit is the oracle

RNG = np.random.default_rng(4)
SIZES, P = (50, 33, 61), 12
BATCH = np.repeat(np.arange(3), SIZES)
OUTCOME = (RNG.random(len(BATCH)) < 0.3 + 0.1 * BATCH).astype(float)
Y = (
    RNG.normal(size=(len(BATCH), P)) * (1 + 0.5 * BATCH[:, None])
    + 9 * BATCH[:, None]
    + OUTCOME[:, None] * np.linspace(0, 2, P)
)


def at_sites(*, keep: bool) -> list[Features]:
    return [
        features_of(Y[s == BATCH], OUTCOME[s == BATCH, None] if keep else None, outcome=OUTCOME[s == BATCH])
        for s in range(3)
    ]


@pytest.mark.parametrize("mean_only", [False, True])
@pytest.mark.parametrize("keep", [False, True])
def test_sums_give_the_pooled_fit(keep: bool, mean_only: bool) -> None:
    names = ("outcome",) if keep else ()
    statistic = Components(
        features=P, components=3, covariates=names, prior=Prior.PARAMETRIC, mean_only=mean_only
    )
    found = run(statistic, at_sites(keep=keep))
    training = _Training(
        features=Y,
        sites=np.array(["a", "b", "c"])[BATCH],
        covariates=OUTCOME[:, None] if keep else np.zeros((len(Y), 0)),
        names=names,
        unknown=np.array([True] if keep else [], bool),
        outcome=OUTCOME,
    )
    pooled = _fitted(Harmonisation(keep=names, components=3, mean_only=mean_only), training)
    assert pooled.components is not None
    few = pooled.components
    assert np.allclose(found.result.pooled.centre, pooled.pooled.centre, atol=1e-8)
    assert np.allclose(found.result.reduction.axes, few.reduction.axes, atol=1e-8)
    assert np.allclose(found.result.reduction.constant, few.reduction.constant, atol=1e-8)
    for name in ("centre", "slopes", "scale", "covariates"):
        assert np.allclose(getattr(found.result.aligned, name), getattr(few.aligned.pooled, name), atol=1e-8)
    assert (found.n, found.rounds) == (sum(SIZES), 2 + 1 + 3 + 2)


def test_no_round_asks_for_products_of_all_features() -> None:
    statistic = Components(features=P, components=3)
    for step in range(8):
        sizes = [q.size for q in statistic.layout(Query(name="components", step=step)).values()]
        assert max(sizes) <= P
    assert words_of(statistic.layout(Query(name="components", step=3))) == 1 + 4 * P


def test_a_site_of_one_outcome_sends_nothing() -> None:
    sites = at_sites(keep=False)
    sites[1] = replace(sites[1], outcome=np.zeros(SIZES[1]))
    with pytest.raises(DataError, match="both outcomes"):
        run(Components(features=P, components=1), sites)


def test_a_site_of_four_patients_is_refused_and_one_of_nobody_adds_nothing() -> None:
    statistic = Components(features=P, components=2)
    few = features_of(Y[:4], outcome=np.array([0.0, 1.0, 0.0, 1.0]))
    with pytest.raises(DataError, match="a site of 4 patients"):
        run(statistic, [*at_sites(keep=False), few])
    nobody = features_of(np.zeros((0, P)), outcome=np.zeros(0))
    one, two = (run(statistic, [*at_sites(keep=False), *more]) for more in ([], [nobody]))
    assert np.allclose(one.result.reduction.axes, two.result.reduction.axes, atol=1e-9)


def test_a_site_without_outcomes_or_with_other_features_is_refused() -> None:
    statistic = Components(features=P, components=1)
    for wrong in (features_of(Y[:20]), features_of(Y[:20, :5], outcome=OUTCOME[:20])):
        with pytest.raises(InvalidInputError):
            run(statistic, [wrong, wrong])


def first_query(statistic: Components) -> Query:
    centre = np.zeros(P)
    values = {
        "pooled_centre": centre,
        "pooled_slopes": np.zeros((0, P)),
        "pooled_scale": centre + 1,
        "pooled_covariates": np.zeros(0),
        "pooled_flat": centre,
    }
    return Query(name=statistic.name, step=2, values=values)


def test_queries_and_sums_that_do_not_fit_are_refused() -> None:
    statistic, site = Components(features=P, components=1), at_sites(keep=False)[0]
    query = first_query(statistic)
    honest = respond(statistic, query, site)
    for name, lie in (("events", 999), ("xx", -np.ones(P))):
        with pytest.raises(MessageError, match="contradict"):
            statistic.check(query, aggregate(statistic.layout(query), {**honest.values, name: lie}))
    with pytest.raises(MessageError, match="don't fit together"):
        respond(statistic, replace(query, values={**query.values, "pooled_scale": np.zeros(P)}), site)
    spread = {"mean": np.zeros(P), "spread": np.zeros(P), "flat": np.zeros(P), "direction": np.ones(P)}
    with pytest.raises(MessageError, match="don't fit together"):
        respond(statistic, replace(query, step=3, values={**query.values, **spread}), site)
    with pytest.raises(MessageError, match="lacks a parameter"):
        respond(statistic, replace(query, step=3), site)
    with pytest.raises(MessageError, match="no step 6"):
        respond(statistic, replace(query, step=6), site)


def test_settings_that_cannot_be_are_refused_and_others_travel() -> None:
    statistic = Components(
        features=P, components=2, covariates=("outcome",), prior=Prior.NONE, mean_only=True
    )
    assert from_specification(to_specification(statistic)) == statistic
    for wrong in (0, P + 1):
        with pytest.raises(InvalidInputError):
            Components(features=P, components=wrong)
