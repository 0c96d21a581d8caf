"""Ask a rule which cases of a pool to have labelled next."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.core.study_active import QueryRule
from huizhen.errors import InvalidInputError
from huizhen.train.active.interface import Asked, Picks, Pool
from huizhen.train.active.picking import Open, highest, opened
from huizhen.train.active.rules.at_random import random_scores
from huizhen.train.active.rules.badge import badge
from huizhen.train.active.rules.bald import bald
from huizhen.train.active.rules.core_set import core_set
from huizhen.train.active.rules.entropy import entropy
from huizhen.train.active.rules.fahl import Information, fahl
from huizhen.train.active.rules.least_confidence import least_confidence
from huizhen.train.active.rules.margin import margin
from huizhen.train.active.rules.typiclust import typiclust

__all__ = ["ask"]

WHY = {
    QueryRule.RANDOM: "drawn at random",
    QueryRule.LEAST_CONFIDENCE: "the model's confidence lacks {:.3f} of 1",
    QueryRule.MARGIN: "margin score {:.3f} of 1",
    QueryRule.ENTROPY: "entropy {:.3f} of 0.693 nats",
    QueryRule.BALD: "draws of the model disagree by {:.3f} of 0.693 nats",
    QueryRule.CORE_SET: "{:.3g} away from the nearest labelled case",
    QueryRule.BADGE: "its gradient is unlike those chosen before, squared distance {:.3g}",
    QueryRule.TYPICLUST: "the most typical of a cluster without labels, typicality {:.3g}",
    QueryRule.FAHL: "takes {:.2%} of the model's uncertainty over the pool",
}


def ask(rule: QueryRule, pool: Pool, budget: int, *, seed: int, known: Information | None = None) -> Asked:
    """Return the up to `budget` cases of `pool` that `rule` would have labelled next, best first.

    Fewer only when fewer are left. Cases of groups without a label go first, and one of a group at a time
    unless the budget outlasts the groups. Rules that need a model choose at random before there is one. The
    same pool and seed give the same answer. `known`: FAHL's sums over all hospitals.
    Raises `InvalidInputError` on a negative budget, or for BALD on a model without samples.
    """
    if budget < 0:
        raise InvalidInputError(f"a budget of {budget}", remedy="ask for 0 or more cases", field="budget")
    if rule is QueryRule.BALD and pool.probability is not None and pool.samples is None:
        raise InvalidInputError(
            "BALD needs draws of the model", remedy="give samples by Monte-Carlo dropout", field="samples"
        )
    rng = stream(seed, "query", rule.value)
    rows: list[int] = []
    scores: list[float] = []
    while len(rows) < budget:
        before = len(rows)
        for opened_ in opened(_with_pending(pool, rows), rng):
            if len(rows) < budget and opened_.any:
                picks = _picks(rule, _with_pending(pool, rows), opened_, budget - len(rows), rng, known)
                rows += picks.rows.tolist()
                scores += picks.score.tolist()
        if len(rows) == before:
            break
    return Asked(
        rule=rule,
        rows=np.array(rows, dtype=np.int64),
        score=np.array(scores, dtype=np.float64),
        reason=tuple(WHY[rule].format(score) for score in scores),
    )


def _picks(
    rule: QueryRule, pool: Pool, open_: Open, budget: int, rng: np.random.Generator, known: Information | None
) -> Picks:
    """Let one rule choose among the open cases."""
    match rule:
        case QueryRule.CORE_SET:
            return core_set(pool.features, pool.covered, open_, budget)
        case QueryRule.TYPICLUST:
            return typiclust(pool.features, pool.covered, open_, budget, rng)
        case QueryRule.FAHL:
            return fahl(pool, open_, budget, rng, known)
        case QueryRule.RANDOM:
            return highest(random_scores(len(pool), rng), open_, budget)
        case (
            QueryRule.BADGE
            | QueryRule.BALD
            | QueryRule.ENTROPY
            | QueryRule.LEAST_CONFIDENCE
            | QueryRule.MARGIN
        ):
            return _by_model(rule, pool, open_, budget, rng)
        case _:
            assert_never(rule)


def _by_model(rule: QueryRule, pool: Pool, open_: Open, budget: int, rng: np.random.Generator) -> Picks:
    """Let a rule choose that needs a model; at random before there is one."""
    p = pool.probability
    if p is None:
        return highest(random_scores(len(pool), rng), open_, budget)
    if rule is QueryRule.BADGE:
        return badge(pool.features, p, open_, budget, rng)
    score: NDArray[np.float64]
    if rule is QueryRule.BALD:
        score = bald(np.asarray(pool.samples))
    elif rule is QueryRule.ENTROPY:
        score = entropy(p)
    elif rule is QueryRule.MARGIN:
        score = margin(p)
    else:
        score = least_confidence(p)
    return highest(score, open_, budget)


def _with_pending(pool: Pool, rows: list[int]) -> Pool:
    """Return the pool with `rows` as if they were asked already."""
    pending = pool.pending.copy()
    pending[rows] = True
    return replace(pool, pending=pending)
