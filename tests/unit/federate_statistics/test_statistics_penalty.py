"""Batches in lockstep, folds dealt at sites, and penalties chosen by held-out likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.batch import Batch, Fold, Folded
from huizhen.federate.statistics.cox import Cox
from huizhen.federate.statistics.data import Design, Survival, design, survival
from huizhen.federate.statistics.event_times import EventTimes
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.logistic import Logistic
from huizhen.federate.statistics.penalty import choose_cox_ridge, choose_logistic_ridge, deal_folds
from huizhen.federate.statistics.risk_sets import Ties
from huizhen.federate.statistics.runner import run
from huizhen.federate.statistics.stratified_cox import partial_likelihood_at

COLUMNS = ("a", "b")
RIDGES = (0.1, 10.0, 1000.0)


def folded(seed: int) -> list[Folded[Design]]:
    random, found = np.random.default_rng(seed), []
    for place, n in enumerate((40, 3, 50)):
        x = random.normal(size=(n, 2))
        target = (random.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
        fold = deal_folds(target, 3, seed=seed, site=str(place))
        found.append(Folded(data=design(COLUMNS, x, target), fold=fold))
    return found


def test_folds_are_even_within_each_class_and_repeatable() -> None:
    strata = np.repeat([0, 1], [31, 14])
    fold = deal_folds(strata, 5, seed=3, site="a")
    for stratum in (0, 1):
        counts = np.bincount(fold[strata == stratum], minlength=5)
        assert np.ptp(counts) <= 1
    assert np.ptp(np.bincount(fold, minlength=5)) <= 1
    np.testing.assert_array_equal(fold, deal_folds(strata, 5, seed=3, site="a"))
    assert (fold != deal_folds(strata, 5, seed=3, site="b")).any()
    with pytest.raises(InvalidInputError, match="folds"):
        deal_folds(strata, 1, seed=3, site="a")


def test_a_batch_gives_what_each_gives_alone() -> None:
    sites = folded(1)
    parts = tuple(Fold(statistic=Logistic(columns=COLUMNS, ridge=r), fold=f) for r in RIDGES for f in (0, 2))
    together = run(Batch(parts=parts), sites)
    alone = [run(part, sites) for part in parts]
    assert together.rounds == max(each.rounds for each in alone)
    for fit, each in zip(together.result, alone, strict=True):
        np.testing.assert_array_equal(fit.coefficients, each.result.coefficients)


def test_a_batch_says_which_isnt_estimable() -> None:
    x = np.arange(-5.0, 5.0)[:, np.newaxis]
    site = design(("x",), x, (x[:, 0] > 0).astype(float))
    found = run(Batch(parts=(Logistic(columns=("x",)), Logistic(columns=("x",), ridge=1.0))), [site]).result
    assert isinstance(found[0], NotEstimableError)
    assert found[1].coefficients[1] > 0


def test_a_batch_refuses_what_it_didnt_ask() -> None:
    batch = Batch(parts=(Logistic(columns=COLUMNS),))
    with pytest.raises(MessageError, match="another batch"):
        batch.layout(Query(name="batch", values={"steps": np.array([[1.0, 0.0]])}))
    query, site = batch.start().query, folded(2)[0].data
    values = dict(batch.answer(query, site)) | {"n": 1}
    with pytest.raises(MessageError, match="more patients"):
        batch.check(query, aggregate(batch.layout(query), values))


def test_folds_must_fit_the_patients() -> None:
    site = folded(3)[0].data
    for wrong in (np.zeros(3, dtype=np.int64), np.zeros(site.n)):
        with pytest.raises(InvalidInputError, match="fold"):
            Folded(data=site, fold=wrong)


def test_logistic_ridge_is_that_of_pooled_cross_validation() -> None:
    sites = folded(4)
    chosen = choose_logistic_ridge(Logistic(columns=COLUMNS), sites, RIDGES, folds=3, run=run)
    x, y = (np.concatenate([getattr(s.data, name) for s in sites]) for name in ("x", "target"))
    fold = np.concatenate([s.fold for s in sites])
    expected = []
    for ridge in RIDGES:
        total = 0.0
        for held in range(3):
            pooled = LogisticRegression(C=1 / ridge, tol=1e-10, max_iter=9999, solver="newton-cholesky")
            risk = pooled.fit(x[fold != held], y[fold != held]).predict_proba(x[fold == held])[:, 1]
            total += float(np.sum(np.log(np.where(y[fold == held] == 1, risk, 1 - risk))))
        expected.append(total)
    np.testing.assert_allclose(chosen.scores, expected, rtol=0, atol=1e-7)
    assert chosen.ridge == RIDGES[int(np.argmax(expected))]


def test_cox_ridge_is_that_of_pooled_cross_validation() -> None:
    random, sites = np.random.default_rng(5), []
    for place, n in enumerate((50, 2, 40)):
        x = random.normal(size=(n, 2))
        time = np.ceil(random.exponential(np.exp(-x[:, 0]) * 20))
        data = survival(COLUMNS, x, time, random.random(n) < 0.7)
        sites.append(Folded(data=data, fold=deal_folds(data.event, 3, seed=5, site=str(place))))
    whole: list[Survival] = [site.data for site in sites]
    model = Cox(columns=COLUMNS, grid=run(EventTimes(horizon=1000), whole).result)
    chosen = choose_cox_ridge(model, sites, RIDGES, folds=3, run=run)
    pooled = survival(
        COLUMNS, *(np.concatenate([getattr(d, n) for d in whole]) for n in ("x", "time", "event"))
    )
    fold, expected = np.concatenate([site.fold for site in sites]), []
    for ridge in RIDGES:
        total = 0.0
        for held in range(3):
            rest = pooled.subset(fold != held)
            own = Cox(columns=COLUMNS, grid=run(EventTimes(horizon=1000), [rest]).result, ridge=ridge)
            beta = run(own, [rest]).result.coefficients
            both = [partial_likelihood_at(d, beta, ties=Ties.EFRON).value for d in (pooled, rest)]
            total += both[0] - both[1]
        expected.append(total)
    np.testing.assert_allclose(chosen.scores, expected, rtol=0, atol=1e-7)
    assert chosen.ridge == RIDGES[int(np.argmax(expected))]
    assert chosen.rounds <= 11


def test_penalties_that_dont_fit_are_passed_over() -> None:
    x = np.arange(-6.0, 6.0)[:, np.newaxis]
    data = design(("x",), x, (x[:, 0] > 0).astype(float))
    site = Folded(data=data, fold=np.arange(12) % 3)
    chosen = choose_logistic_ridge(Logistic(columns=("x",)), [site], (0.0, 1.0), folds=3, run=run)
    assert chosen.ridge == 1.0
    assert chosen.scores[0] == -np.inf
    with pytest.raises(NotEstimableError, match="no penalty"):
        choose_logistic_ridge(Logistic(columns=("x",)), [site], (0.0,), folds=3, run=run)
    with pytest.raises(InvalidInputError, match="ridges"):
        choose_logistic_ridge(Logistic(columns=("x",)), [site], (), folds=3, run=run)
