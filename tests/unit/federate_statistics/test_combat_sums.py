"""ComBat over sites by secure sums: the pooled fit, without any site's own means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from huizhen.data.harmonise.combat import apply_shift, site_shift
from huizhen.data.harmonise.pooled import pooled_of, slopes_of, squares_of, sums_of
from huizhen.errors import DataError, InvalidInputError, MessageError, PolicyError
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.combat import Combat, Features, features_of
from huizhen.federate.statistics.runner import respond, run
from huizhen.federate.statistics.specification import from_specification, to_specification

RNG = np.random.default_rng(2)
SIZES = (40, 25, 61)
BATCH = np.repeat(np.arange(3), SIZES)
C = np.column_stack([RNG.integers(0, 2, len(BATCH)), RNG.normal(60, 9, len(BATCH)) + BATCH]).astype(float)
Y = (
    RNG.normal(size=(len(BATCH), 8)) * (1 + BATCH[:, None])
    + 30 * BATCH[:, None]
    + C @ RNG.normal(size=(2, 8))
)
NAMES = ("sex", "age")


def at_sites(*, kept: bool, reference: int | None) -> list[Features]:
    return [
        features_of(Y[s == BATCH], C[s == BATCH] if kept else None, reference=s == reference)
        for s in range(3)
    ]


@pytest.mark.parametrize("reference", [None, 1])
@pytest.mark.parametrize("kept", [False, True])
def test_sums_give_the_pooled_fit(kept: bool, reference: int | None) -> None:
    names, c = (NAMES, C) if kept else ((), None)
    statistic = Combat(features=8, covariates=names, referenced=reference is not None)
    found = run(statistic, at_sites(kept=kept, reference=reference))
    sums = sums_of(Y, c, batch=BATCH, reference=reference)
    slopes = slopes_of(sums, names)
    pool = pooled_of(sums, slopes, *squares_of(Y, c, slopes, batch=BATCH, reference=reference))
    for name in ("centre", "slopes", "scale", "covariates"):
        assert np.allclose(getattr(found.result, name), getattr(pool, name), rtol=0, atol=1e-8)
    for s in range(3):
        here, known = Y[s == BATCH], c if c is None else c[s == BATCH]
        both = [
            apply_shift(here, p, site_shift(here, p, covariates=known), covariates=known)
            for p in (found.result, pool)
        ]
        assert np.abs(both[0] - both[1]).max() < 1e-8
    assert (found.n, found.rounds) == (sum(SIZES), 2)


def test_a_site_without_training_patients_adds_nothing() -> None:
    nobody = features_of(np.zeros((0, 8)), np.zeros((0, 2)))
    sites = at_sites(kept=True, reference=None)
    statistic = Combat(features=8, covariates=NAMES)
    assert np.allclose(
        run(statistic, [*sites, nobody]).result.centre, run(statistic, sites).result.centre, atol=1e-9
    )


def test_two_hospitals_that_swap_means_send_the_same_sums() -> None:
    """What the lead gets doesn't say which site has which mean."""
    statistic, first = Combat(features=8), Combat(features=8).start().query
    one, two = features_of(Y[:30]), features_of(Y[30:60] + 5)
    shifted = [features_of(one.y + 5), features_of(two.y - 5)]
    before = [respond(statistic, first, site)["y"] for site in (one, two)]
    after = [respond(statistic, first, site)["y"] for site in shifted]
    assert np.allclose(sum(before), sum(after))
    assert not np.allclose(before[0], after[0])


def test_a_covariate_collinear_with_the_site_is_refused() -> None:
    sites = [features_of(s.y, np.column_stack([s.c[:, 0], np.full(s.n, k)])) for k, s in enumerate(
        at_sites(kept=True, reference=None))]  # fmt: skip
    with pytest.raises(DataError, match="covariate age is collinear with the site"):
        run(Combat(features=8, covariates=NAMES), sites)


def test_other_features_than_asked_for_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="8 features and 0 covariates, not 9 and 0"):
        run(Combat(features=9), at_sites(kept=False, reference=None))


def test_too_few_patients_in_all_are_refused() -> None:
    with pytest.raises(PolicyError):
        run(Combat(features=8), at_sites(kept=False, reference=None), smallest_count=500)


@pytest.mark.parametrize(
    ("name", "value"), [("centre_n", 999), ("within_cc", np.eye(2) * 1e12), ("within_cc", -np.eye(2))]
)
def test_sums_that_contradict_each_other_are_refused(name: str, value: object) -> None:
    statistic = Combat(features=8, covariates=NAMES)
    query = statistic.start().query
    honest = respond(statistic, query, at_sites(kept=True, reference=None)[0])
    lie = aggregate(statistic.layout(query), {**honest.values, name: np.asarray(value)})
    with pytest.raises(MessageError, match="contradict"):
        statistic.check(query, lie)


def test_squares_below_zero_are_refused() -> None:
    statistic = Combat(features=8)
    query = replace(statistic.start().query, step=1)
    lie = aggregate(statistic.layout(query), {"n": 5, "squares_n": 5, "squares": -np.ones(8)})
    with pytest.raises(MessageError, match="contradict"):
        statistic.check(query, lie)


def test_settings_that_cannot_be_are_refused_and_others_travel() -> None:
    statistic = Combat(features=8, covariates=NAMES, referenced=True)
    assert from_specification(to_specification(statistic)) == statistic
    with pytest.raises(InvalidInputError):
        Combat(features=0)
    with pytest.raises(InvalidInputError):
        Combat(features=2, covariates=("age", "age"))
