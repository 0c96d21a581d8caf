"""Regressions and survival curves over sites equal other packages' fits of the pooled patients."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from huizhen.errors import HuizhenError, InvalidInputError, MessageError, NotEstimableError
from huizhen.federate.statistics.aggregate import aggregate
from huizhen.federate.statistics.cox import Cox
from huizhen.federate.statistics.cox_likelihood import CoxLikelihood
from huizhen.federate.statistics.data import Design, Survival, design, survival
from huizhen.federate.statistics.event_times import EventGrid, EventTimes
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.kaplan_meier import KaplanMeier
from huizhen.federate.statistics.logistic import Logistic, LogisticLikelihood, risk_of
from huizhen.federate.statistics.newton import Climb, Point, advance, pack, unpack
from huizhen.federate.statistics.risk_sets import Ties
from huizhen.federate.statistics.runner import run
from huizhen.federate.statistics.stratified_cox import StratifiedCox, partial_likelihood_at

COLUMNS = ("a", "b", "c")
SIZES = (80, 1, 6, 113)
TIES = (Ties.EFRON, Ties.BRESLOW)


def designs(seed: int, *, weighted: bool = False) -> list[Design]:
    """Return sites of which the second has one patient and the third one class."""
    random, found = np.random.default_rng(seed), []
    for place, n in enumerate(SIZES):
        x = random.normal(size=(n, 3)) + 0.3 * place
        risk = 1 / (1 + np.exp(-(x @ [0.8, -0.5, 0.1] - 0.4)))
        target = (random.random(n) < risk) & (place != 2)
        weights = random.integers(1, 4, n) if weighted else np.ones(n)
        found.append(design(COLUMNS, x, target.astype(float), weights=weights))
    return found


def survivals(seed: int, *, coarse: float = 1.0, weighted: bool = False) -> list[Survival]:
    """Return sites with ties (times are whole multiples of `coarse`), the third without an event."""
    random, found = np.random.default_rng(seed), []
    for place, n in enumerate(SIZES):
        x = random.normal(size=(n, 3)) + 0.2 * place
        latent = random.exponential(np.exp(-x @ [0.7, -0.4, 0.0]) * 50)
        censored = random.exponential(80, n)
        time = np.ceil(np.minimum(latent, censored) / coarse) * coarse
        weights = random.uniform(0.5, 2, n) if weighted else np.ones(n)
        event = (latent <= censored) & (place != 2)
        found.append(survival(COLUMNS, x, time, event, weights=weights))
    return found


def stack(sites: list[Design] | list[Survival], name: str) -> np.ndarray:
    return np.concatenate([getattr(site, name) for site in sites])


def grid_of(sites: list[Survival]) -> EventGrid:
    return run(EventTimes(horizon=10_000), sites).result


@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_is_statsmodels_pooled_fit(weighted: bool) -> None:
    sites = designs(1, weighted=weighted)
    found = run(Logistic(columns=COLUMNS), sites)
    x = np.column_stack([np.ones(200), stack(sites, "x")])
    expected = GLM(stack(sites, "target"), x, family=Binomial(), freq_weights=stack(sites, "weights")).fit(
        tol=1e-14, maxiter=100
    )
    np.testing.assert_allclose(found.result.coefficients, expected.params, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.result.covariance, expected.cov_params(), rtol=1e-7)
    assert found.result.log_likelihood == pytest.approx(expected.llf, abs=1e-8)
    assert found.rounds <= 10
    assert found.result.names[0] == "(intercept)"


def test_ridge_logistic_is_scikit_learns() -> None:
    sites = designs(2)
    found = run(Logistic(columns=COLUMNS, ridge=4.0), sites).result
    pooled = LogisticRegression(C=0.25, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    pooled.fit(stack(sites, "x"), stack(sites, "target"))
    expected = [*pooled.intercept_, *pooled.coef_[0]]
    np.testing.assert_allclose(found.coefficients, expected, rtol=0, atol=1e-8)
    risks = risk_of(found, COLUMNS, sites[0].x)
    np.testing.assert_allclose(risks, pooled.predict_proba(sites[0].x)[:, 1], atol=1e-9)


def test_offsets_and_no_intercept() -> None:
    sites = [replace(site, offset=0.3 * site.x[:, 2]) for site in designs(3)]
    found = run(Logistic(columns=COLUMNS, intercept=False), sites).result
    model = GLM(stack(sites, "target"), stack(sites, "x"), family=Binomial(), offset=stack(sites, "offset"))
    np.testing.assert_allclose(found.coefficients, model.fit(tol=1e-14).params, rtol=0, atol=1e-8)
    interval = found.interval("b")
    assert interval.high - interval.low == pytest.approx(2 * 1.959964 * found.errors[1], rel=1e-6)
    with pytest.raises(InvalidInputError, match="no coefficient"):
        found.interval("d")
    with pytest.raises(InvalidInputError, match="lacks"):
        risk_of(found, ("a",), np.zeros((1, 1)))


def test_separation_collinearity_and_one_class_arent_estimable() -> None:
    x = np.arange(-5.0, 5.0)[:, np.newaxis]
    with pytest.raises(NotEstimableError, match=r"separated|converge"):
        run(Logistic(columns=("x",)), [design(("x",), x, (x[:, 0] > 0).astype(float))])
    assert (
        run(Logistic(columns=("x",), ridge=1.0), [design(("x",), x, (x[:, 0] > 0).astype(float))]).rounds
        <= 10
    )
    both = design(("x", "y"), np.hstack([x, 2 * x]), [0, 1] * 5)
    with pytest.raises(NotEstimableError, match="say the same"):
        run(Logistic(columns=("x", "y")), [both])
    flat = design(("x",), np.zeros((10, 1)), [0, 1] * 5)
    with pytest.raises(NotEstimableError, match="doesn't vary"):
        run(Logistic(columns=("x",)), [flat])
    with pytest.raises(NotEstimableError, match="one class"):
        run(Logistic(columns=("x",)), [design(("x",), x, np.ones(10))])


def test_quasi_separation_isnt_estimable() -> None:
    random = np.random.default_rng(4)
    x = np.column_stack([random.normal(size=60), np.repeat([0.0, 1.0], [50, 10])])
    target = np.where(x[:, 1] == 1, 1.0, random.random(60) < 0.5)
    sites = [design(("a", "rare"), x[part], target[part]) for part in (slice(30), slice(30, 60))]
    with pytest.raises(NotEstimableError):
        run(Logistic(columns=("a", "rare")), sites)


def test_a_far_start_is_halved() -> None:
    """With an offset far from the data Newton's first step overshoots."""
    random = np.random.default_rng(5)
    x = random.normal(size=(60, 1))
    target = (random.random(60) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    site = design(("x",), x, target, offset=np.full(60, 6.0))
    found = run(Logistic(columns=("x",)), [site])
    expected = run(Logistic(columns=("x",)), [replace(site, offset=np.zeros(60))]).result
    np.testing.assert_allclose(found.result.coefficients, expected.coefficients - [6, 0], atol=1e-9)


def test_newton_stops_where_nothing_rises() -> None:
    start = Point(beta=np.zeros(1), value=0.0, gradient=np.ones(1), information=np.eye(1))
    climb = advance(Climb(trial=np.zeros(1)), start, most_rounds=99)
    lower = replace(start, value=-1.0)
    for _ in range(30):
        climb = advance(climb, lower, most_rounds=99)
    assert climb.trial[0] == 2.0**-30
    with pytest.raises(NotEstimableError, match="no step raises"):
        advance(climb, lower, most_rounds=99)
    with pytest.raises(NotEstimableError, match="doesn't converge in 1 rounds"):
        advance(replace(climb, rounds=1), start, most_rounds=1)
    with pytest.raises(NotEstimableError, match="at the start"):
        advance(Climb(trial=np.zeros(1)), replace(start, value=np.nan), most_rounds=9)


def test_packing_keeps_symmetric_matrices() -> None:
    half = np.random.default_rng(6).normal(size=(5, 4, 4))
    whole = half + half.transpose(0, 2, 1)
    np.testing.assert_array_equal(unpack(pack(whole), 4), whole)


def test_unequal_columns_and_settings_are_refused() -> None:
    sites = designs(7)
    with pytest.raises(InvalidInputError, match="lacks d"):
        run(Logistic(columns=(*COLUMNS, "d")), sites)
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(InvalidInputError, match="ridge"):
            Logistic(columns=COLUMNS, ridge=wrong)
        with pytest.raises(InvalidInputError, match="ridge"):
            StratifiedCox(columns=COLUMNS, ridge=wrong)
    with pytest.raises(InvalidInputError, match="no column"):
        Logistic(columns=(), intercept=False)
    with pytest.raises(InvalidInputError, match="no column"):
        StratifiedCox(columns=())
    with pytest.raises(InvalidInputError, match="ties"):
        StratifiedCox(columns=COLUMNS, ties="exact")


def test_huge_columns_ask_for_standardisation() -> None:
    site = design(("x",), np.array([[1e9], [-1e9], [2e9], [3e9]]), [0, 1, 0, 1])
    with pytest.raises(InvalidInputError, match="standardise the columns first"):
        run(Logistic(columns=("x",)), [site])


@pytest.mark.parametrize(
    "wrong", [{"events": 999.0}, {"events": -1.0}, {"information": -1.0}, {"information": 1e6}]
)
def test_sums_of_a_regression_that_lie_are_refused(wrong: dict[str, float]) -> None:
    model, site = Logistic(columns=COLUMNS), designs(8)[0]
    query = model.start().query
    values = dict(model.answer(query, site))
    for name, value in wrong.items():
        values[name] = value if name == "events" else np.array([values[name][0], value, *values[name][2:]])
    if wrong == {"information": -1.0}:
        values["information"] = -np.asarray(model.answer(query, site)["information"])
    with pytest.raises(MessageError, match="contradict"):
        model.check(query, aggregate(model.layout(query), values))


@pytest.mark.parametrize("coarse", [1.0, 10.0], ids=["some ties", "many ties"])
@pytest.mark.parametrize("ties", TIES)
def test_cox_is_statsmodels_pooled_fit(ties: Ties, coarse: float) -> None:
    sites = survivals(1, coarse=coarse)
    found = run(Cox(columns=COLUMNS, grid=grid_of(sites), ties=ties), sites)
    model = PHReg(stack(sites, "time"), stack(sites, "x"), status=stack(sites, "event"), ties=ties.value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.fit(method="newton", disp=0, tol=1e-14, start_params=found.result.coefficients)
    np.testing.assert_allclose(found.result.coefficients, expected.params, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.result.covariance, expected.cov_params(), rtol=1e-6)
    assert found.result.log_likelihood == pytest.approx(expected.llf, abs=1e-8)
    assert np.abs(model.score(found.result.coefficients)).max() < 1e-8
    assert found.rounds <= 9  # and one for the grid


@pytest.mark.parametrize("ties", TIES)
def test_stratified_cox_is_statsmodels(ties: Ties) -> None:
    sites = survivals(2, coarse=5.0)
    found = run(StratifiedCox(columns=COLUMNS, ties=ties), sites)
    strata = np.repeat(np.arange(4), SIZES)
    model = PHReg(
        stack(sites, "time"), stack(sites, "x"), status=stack(sites, "event"), strata=strata, ties=ties.value
    )
    assert np.abs(model.score(found.result.coefficients)).max() < 1e-8
    np.testing.assert_allclose(
        np.linalg.inv(-model.hessian(found.result.coefficients)), found.result.covariance, rtol=1e-6
    )
    assert found.result.log_likelihood == pytest.approx(model.loglike(found.result.coefficients), abs=1e-8)
    assert found.rounds <= 10


@pytest.mark.parametrize("ties", TIES)
def test_weighted_cox_and_hazard_are_those_of_the_pooled_patients(ties: Ties) -> None:
    sites = survivals(3, coarse=4.0, weighted=True)
    pooled = survival(
        COLUMNS, *(stack(sites, n) for n in ("x", "time", "event")), weights=stack(sites, "weights")
    )
    found = run(Cox(columns=COLUMNS, grid=grid_of(sites), ridge=2.0, ties=ties), sites).result

    def worse(beta: np.ndarray) -> tuple[float, np.ndarray]:
        point = partial_likelihood_at(pooled, beta, ties=ties).penalised(np.full(3, 2.0))
        return -point.value, -point.gradient

    best = minimize(worse, np.zeros(3), jac=True, method="BFGS", options={"gtol": 1e-10})
    np.testing.assert_allclose(found.coefficients, best.x, rtol=0, atol=1e-7)
    eta = np.exp(pooled.x @ found.coefficients) * pooled.weights
    steps = [
        pooled.weights[pooled.event & (pooled.time == t)].sum() / eta[pooled.time >= t].sum()
        for t in found.times
    ]
    np.testing.assert_allclose(found.hazard, np.cumsum(steps), rtol=1e-9)


def test_cox_derivatives_are_those_of_its_value() -> None:
    (site,) = survivals(4, coarse=8.0, weighted=True)[:1]
    beta, step = np.array([0.3, -0.2, 0.1]), 1e-6
    for ties in TIES:
        point = partial_likelihood_at(site, beta, ties=ties)
        for place, unit in enumerate(np.eye(3) * step):
            up, down = (partial_likelihood_at(site, beta + side * unit, ties=ties) for side in (1, -1))
            assert point.gradient[place] == pytest.approx((up.value - down.value) / (2 * step), abs=1e-5)
            slope = (up.gradient - down.gradient) / (2 * step)
            np.testing.assert_allclose(point.information[place], -slope, atol=1e-5)


def test_cox_likelihood_is_the_fits_own() -> None:
    sites = survivals(5, coarse=6.0)
    model = Cox(columns=COLUMNS, grid=grid_of(sites))
    fit = run(model, sites).result
    likelihood = CoxLikelihood(model=model, coefficients=tuple(fit.coefficients))
    assert run(likelihood, sites).result == pytest.approx(fit.log_likelihood, abs=1e-9)
    far = CoxLikelihood(model=model, coefficients=(500.0, 0.0, 0.0))
    assert run(far, sites).result == -np.inf
    plain = run(Logistic(columns=COLUMNS), designs(5))
    held = LogisticLikelihood(model=Logistic(columns=COLUMNS), coefficients=tuple(plain.result.coefficients))
    assert run(held, designs(5)).result == pytest.approx(plain.result.log_likelihood, abs=1e-9)


def test_monotone_likelihood_and_no_event_arent_estimable() -> None:
    x = np.arange(20.0)[:, np.newaxis] / 10
    first = survival(("x",), x, np.arange(20.0, 0.0, -1.0), np.ones(20, dtype=bool))
    grid = grid_of([first])
    with pytest.raises(NotEstimableError):
        run(Cox(columns=("x",), grid=grid), [first])
    with pytest.raises(NotEstimableError):
        run(StratifiedCox(columns=("x",)), [first])
    nobody = replace(first, event=np.zeros(20, dtype=bool))
    with pytest.raises(NotEstimableError, match="nobody had an event"):
        run(EventTimes(horizon=100), [nobody])
    for model in (Cox(columns=("x",), grid=grid), StratifiedCox(columns=("x",))):
        with pytest.raises(NotEstimableError, match="nobody had an event"):
            run(model, [nobody])


def test_steps_too_steep_to_sum_are_halved() -> None:
    random = np.random.default_rng(6)
    x = random.standard_cauchy(size=(80, 1)) * 5
    latent = random.exponential(np.exp(-np.clip(0.02 * x[:, 0], -5, 5)) * 50)
    site = survival(("x",), x, np.ceil(latent), np.ones(80, dtype=bool))
    pooled = run(Cox(columns=("x",), grid=grid_of([site])), [site]).result
    model = PHReg(site.time, site.x, ties="efron")
    assert abs(model.score(pooled.coefficients)[0]) < 1e-6
    assert run(StratifiedCox(columns=("x",)), [site]).result.coefficients == pytest.approx(
        pooled.coefficients, abs=1e-9
    )
    model = Cox(columns=("x",), grid=grid_of([site]))
    steep = dict(model.answer(Query(name="cox", values={"beta": np.array([9.0])}), site))
    assert steep["steep"] > 0
    assert not np.any(steep["s0"])


def test_event_grid() -> None:
    sites = survivals(7)
    grid, times = grid_of(sites), stack(sites, "time")[stack(sites, "event")]
    np.testing.assert_array_equal(grid.times, np.unique(times))
    assert sum(grid.tied) == (np.unique(times, return_counts=True)[1] > 1).sum()
    with pytest.raises(NotEstimableError, match="after the horizon"):
        run(EventTimes(horizon=5), sites)
    with pytest.raises(InvalidInputError, match="isn't on the grid"):
        run(Cox(columns=COLUMNS, grid=replace(grid, cells=grid.cells[1:], tied=grid.tied[1:])), sites)
    for horizon, resolution in ((1.0, 0.0), (1.0, 2.0), (1e9, 1.0)):
        with pytest.raises(InvalidInputError, match="horizon"):
            EventTimes(horizon=horizon, resolution=resolution)
    for cells, tied in (((), ()), ((2, 1), (True, True)), ((1,), ()), ((-1,), (True,))):
        with pytest.raises(InvalidInputError, match="rise"):
            EventGrid(resolution=1.0, cells=cells, tied=tied)
    with pytest.raises(InvalidInputError, match="resolution"):
        EventGrid(resolution=0.0, cells=(1,), tied=(False,))


def test_times_between_grid_points_are_moved_to_them() -> None:
    sites = survivals(8, coarse=0.25)
    grid = run(EventTimes(horizon=1000, resolution=3.0), sites).result
    moved = [replace(site, time=np.rint(site.time / 3) * 3) for site in sites]
    found = run(Cox(columns=COLUMNS, grid=grid), sites).result
    model = PHReg(stack(moved, "time"), stack(moved, "x"), status=stack(moved, "event"), ties="efron")
    assert np.abs(model.score(found.coefficients)).max() < 1e-8


@pytest.mark.parametrize(
    "wrong", [{"s0": -1.0}, {"s0": 1e9}, {"weight": -1.0}, {"events": 500}, {"s1": 1e9}, {"events": 2}]
)
def test_risk_sets_that_lie_are_refused(wrong: dict[str, float]) -> None:
    sites = survivals(9)
    model = Cox(columns=COLUMNS, grid=grid_of(sites))
    query = model.start().query
    values = {name: np.array(value, dtype=float) for name, value in model.answer(query, sites[0]).items()}
    for name, value in wrong.items():
        last = model.grid.tied.index(False) if name == "events" else -1
        values[name].reshape(len(values[name]), -1)[last] = value
    with pytest.raises(MessageError, match="contradict"):
        model.check(query, aggregate(model.layout(query), values))


def test_more_events_than_patients_are_refused() -> None:
    times = EventTimes(horizon=3)
    query = times.start().query
    with pytest.raises(MessageError, match="more events than patients"):
        times.check(query, aggregate(times.layout(query), {"n": 1, "events": [0, 1, 1, 0], "later": 0}))


def test_kaplan_meier_is_lifelines() -> None:
    sites = survivals(10, coarse=2.0)
    grid = tuple(np.unique(stack(sites, "time")))
    found = run(KaplanMeier(times=grid), sites).result
    pooled = KaplanMeierFitter().fit(stack(sites, "time"), stack(sites, "event"))
    expected = pooled.survival_function_at_times(grid).to_numpy()
    np.testing.assert_allclose(found.survival, expected, rtol=0, atol=1e-12)
    limits = pooled.confidence_interval_.loc[list(grid)].to_numpy()
    inside = (found.survival < 1) & (found.survival > 0)
    np.testing.assert_allclose(np.column_stack([found.low, found.high])[inside], limits[inside], atol=1e-9)
    variance = pooled._cumulative_sq_.loc[list(grid)].to_numpy()
    alive = found.survival > 0
    np.testing.assert_allclose(
        found.error[alive], (found.survival * np.sqrt(variance.ravel()))[alive], atol=1e-12
    )


def test_kaplan_meier_hides_steps_of_few_patients() -> None:
    sites = survivals(11)
    grid = tuple(np.arange(1.0, 120.0))
    full, shown = (run(KaplanMeier(times=grid, smallest_count=k), sites).result for k in (1, 5))
    kept = ~np.isnan(shown.survival)
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(shown.survival[kept], full.survival[kept])
    assert (shown.at_risk[kept] >= 5).all()
    assert ((shown.events[kept] == 0) | (shown.events[kept] >= 5)).all()


def test_kaplan_meier_of_bad_settings_and_sums() -> None:
    for times in ((), (1.0, 1.0), (np.nan,)):
        with pytest.raises(InvalidInputError, match="times"):
            KaplanMeier(times=times)
    with pytest.raises(InvalidInputError, match="level"):
        KaplanMeier(times=(1.0,), level=1.0)
    curve = KaplanMeier(times=(1.0,))
    query = curve.start().query
    with pytest.raises(MessageError, match="add up"):
        curve.check(
            query, aggregate(curve.layout(query), {"n": 9, "events": [1], "censored": [0], "beyond": 9})
        )


def test_errors_never_hold_a_patients_value() -> None:
    secret = 123456.789
    site = design(("x",), np.array([[secret], [np.nan]])[:1] * 1e12, [1.0])
    with pytest.raises(HuizhenError) as caught:
        run(Logistic(columns=("x",)), [site])
    assert "1234" not in str(caught.value)
