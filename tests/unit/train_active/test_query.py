"""Query rules: what they choose, that they stay within bounds, and that they agree with published code."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from huizhen.core.study_active import QueryRule
from huizhen.errors import InvalidInputError
from huizhen.train.active.interface import Pool
from huizhen.train.active.query import ask
from huizhen.train.active.rules.core_set import nearest_covered

RULES = pytest.mark.parametrize("rule", list(QueryRule), ids=lambda rule: str(rule.value))


def make_pool(
    n: int = 60,
    d: int = 5,
    *,
    labelled: int = 8,
    missing: float = 0.0,
    group: NDArray[np.int64] | None = None,
    model: bool = True,
    seed: int = 1,
) -> Pool:
    """A pool of n cases of which the first `labelled` have a label."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, d))
    logit = features[:, 0] * 2
    features[rng.random((n, d)) < missing] = np.nan
    return Pool(
        features=features,
        labelled=np.arange(n) < labelled,
        pending=np.zeros(n, dtype=bool),
        group=np.arange(n) if group is None else group,
        probability=1 / (1 + np.exp(-logit)) if model else None,
        samples=1 / (1 + np.exp(-(logit + rng.standard_normal((7, n))))) if model else None,
        penalty=5.0,
    )


@RULES
@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("model", [True, False])
def test_each_rule_asks_open_cases_once_and_says_why(rule: QueryRule, missing: float, model: bool) -> None:
    pool = make_pool(missing=missing, model=model)
    asked = ask(rule, pool, 12, seed=3)
    assert len(set(asked.rows.tolist())) == len(asked.rows) == len(asked.score) == len(asked.reason) == 12
    assert not pool.labelled[asked.rows].any()
    assert np.isfinite(asked.score).all()
    assert all(len(reason) > 10 for reason in asked.reason)


@RULES
def test_the_same_seed_asks_the_same(rule: QueryRule) -> None:
    first, again = (ask(rule, make_pool(), 9, seed=5).rows for _ in range(2))
    assert first.tolist() == again.tolist()


@RULES
def test_all_that_is_left_is_asked_when_the_budget_is_larger(rule: QueryRule) -> None:
    asked = ask(rule, make_pool(20), 100, seed=1)
    assert sorted(asked.rows.tolist()) == list(range(8, 20))
    assert len(ask(rule, make_pool(20, labelled=20), 5, seed=1).rows) == 0
    assert len(ask(rule, make_pool(20), 0, seed=1).rows) == 0


@RULES
def test_one_of_a_group_is_asked_and_groups_without_a_label_go_first(rule: QueryRule) -> None:
    group = np.arange(40) // 4  # the first two groups are labelled
    pool = make_pool(40, group=group)
    asked = ask(rule, pool, 8, seed=2)
    assert sorted(group[asked.rows].tolist()) == list(range(2, 10))
    more = ask(rule, pool, 12, seed=2)
    assert sorted(group[more.rows[:8]].tolist()) == list(range(2, 10))
    assert len(set(more.rows.tolist())) == 12


@RULES
def test_a_modality_absent_for_half_of_the_cases_neither_breaks_nor_bars_them(rule: QueryRule) -> None:
    pool = make_pool(100, 6, labelled=10, seed=4)
    features = pool.features.copy()
    absent = np.arange(100) % 2 == 0
    features[np.ix_(absent, np.arange(3, 6))] = np.nan
    with_gaps = Pool(
        features=features,
        labelled=pool.labelled,
        pending=pool.pending,
        group=pool.group,
        probability=pool.probability,
        samples=pool.samples,
    )
    rows = ask(rule, with_gaps, 40, seed=1).rows
    assert 0 < absent[rows].sum() < 40


@RULES
def test_features_wholly_missing_for_a_case_are_allowed(rule: QueryRule) -> None:
    pool = make_pool(30)
    pool.features[[2, 15, 20]] = np.nan
    assert len(ask(rule, pool, 22, seed=1).rows) == 22


def test_pending_cases_are_not_asked_again() -> None:
    pool = make_pool(30)
    pending = np.zeros(30, dtype=bool)
    pending[10:25] = True
    held = Pool(
        features=pool.features,
        labelled=pool.labelled,
        pending=pending,
        group=pool.group,
        probability=pool.probability,
    )
    assert set(ask(QueryRule.FAHL, held, 9, seed=1).rows.tolist()) == {8, 9, 25, 26, 27, 28, 29}


def test_uncertainty_rules_ask_the_least_sure_case_first() -> None:
    pool = make_pool(labelled=0)
    assert pool.probability is not None
    unsure = int(np.abs(pool.probability - 0.5).argmin())
    for rule in (QueryRule.LEAST_CONFIDENCE, QueryRule.MARGIN, QueryRule.ENTROPY):
        assert ask(rule, pool, 1, seed=1).rows.tolist() == [unsure]


def test_uncertainty_scores_agree_with_scikit_activeml() -> None:
    pool_module = pytest.importorskip("skactiveml.pool", reason="the extra 'active' is not installed")
    from huizhen.train.active.rules.entropy import entropy
    from huizhen.train.active.rules.least_confidence import least_confidence
    from huizhen.train.active.rules.margin import margin

    p = np.linspace(0.01, 0.99, 31)
    both = np.column_stack([1 - p, p])
    for own, name in (
        (entropy, "entropy"),
        (least_confidence, "least_confident"),
        (margin, "margin_sampling"),
    ):
        theirs = pool_module.uncertainty_scores(both, method=name)
        np.testing.assert_allclose(own(p), theirs, atol=1e-12)


def test_core_set_agrees_with_scikit_activeml() -> None:
    pool_module = pytest.importorskip("skactiveml.pool", reason="the extra 'active' is not installed")
    pool = make_pool(50, labelled=6)
    label = np.where(pool.labelled, 1.0, np.nan)
    theirs = pool_module.CoreSet(random_state=0).query(pool.features, label, batch_size=10)
    assert ask(QueryRule.CORE_SET, pool, 10, seed=1).rows.tolist() == np.asarray(theirs).tolist()


def test_core_set_covers_better_than_chance() -> None:
    pool = make_pool(200, 3, labelled=1)

    def radius(rule: QueryRule) -> float:
        covered = pool.labelled.copy()
        covered[ask(rule, pool, 15, seed=1).rows] = True
        return float(nearest_covered(pool.features, covered).max())

    assert radius(QueryRule.CORE_SET) < 0.7 * radius(QueryRule.RANDOM)


def test_typiclust_takes_one_of_each_blob_and_near_its_middle() -> None:
    rng = np.random.default_rng(2)
    centres = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0], [50.0, 50.0]])
    features = np.repeat(centres, 30, axis=0) + rng.standard_normal((120, 2))
    pool = Pool(
        features=features,
        labelled=np.zeros(120, dtype=bool),
        pending=np.zeros(120, dtype=bool),
        group=np.arange(120),
    )
    rows = ask(QueryRule.TYPICLUST, pool, 4, seed=1).rows
    assert sorted((rows // 30).tolist()) == [0, 1, 2, 3]
    assert (np.linalg.norm(features[rows] - centres[rows // 30], axis=1) < 1.2).all()


def test_badge_asks_unsure_cases_in_different_directions() -> None:
    features = np.repeat(np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0]]), 10, axis=0)
    probability = np.where(np.arange(30) % 10 == 0, 0.5, 0.999)
    pool = Pool(
        features=features,
        labelled=np.zeros(30, dtype=bool),
        pending=np.zeros(30, dtype=bool),
        group=np.arange(30),
        probability=probability,
    )
    for seed in range(5):
        first, second = ask(QueryRule.BADGE, pool, 2, seed=seed).rows
        assert first in (0, 10, 20)
        assert second // 10 != first // 10 or second % 10 != 0


def test_bald_passes_over_a_toss_up_on_which_all_draws_agree() -> None:
    samples = np.full((6, 4), 0.5)
    samples[:3, 2] = 0.05
    samples[3:, 2] = 0.95
    pool = Pool(
        features=np.zeros((4, 1)),
        labelled=np.zeros(4, dtype=bool),
        pending=np.zeros(4, dtype=bool),
        group=np.arange(4),
        probability=samples.mean(0),
        samples=samples,
    )
    assert ask(QueryRule.BALD, pool, 1, seed=1).rows.tolist() == [2]


def test_bald_without_samples_is_refused() -> None:
    pool = make_pool()
    bare = Pool(
        features=pool.features,
        labelled=pool.labelled,
        pending=pool.pending,
        group=pool.group,
        probability=pool.probability,
    )
    with pytest.raises(InvalidInputError, match="draws") as caught:
        ask(QueryRule.BALD, bare, 1, seed=1)
    assert "dropout" in caught.value.remedy


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="budget"):
        ask(QueryRule.RANDOM, make_pool(), -1, seed=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("features", np.full((60, 5), np.inf)),
        ("features", np.zeros(60)),
        ("labelled", np.zeros(59, dtype=bool)),
        ("group", np.zeros(3, dtype=np.int64)),
        ("probability", np.full(60, 1.5)),
        ("probability", np.full(60, np.nan)),
        ("samples", np.zeros((3, 59))),
        ("samples", np.full((3, 60), -0.1)),
        ("penalty", 0.0),
        ("penalty", np.nan),
    ],
)
def test_a_pool_that_does_not_fit_is_refused_with_its_field(field: str, value: object) -> None:
    good = make_pool()
    values = {name: getattr(good, name) for name in Pool.__dataclass_fields__}
    with pytest.raises(InvalidInputError) as caught:
        Pool(**{**values, field: value})
    assert caught.value.field == field
