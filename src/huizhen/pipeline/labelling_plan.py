"""What lead and sites both know of query rounds: which model asks, what is counted, who gets how many."""

from __future__ import annotations

from typing import Final

from huizhen.core.study import Role, Study
from huizhen.core.study_active import Active, QueryRule
from huizhen.federate.statistics.asking import Asking
from huizhen.federate.statistics.counts import Categories
from huizhen.pipeline.federated_plan import FederatedModel, federated_models

__all__ = ["FIRST", "GIVEN", "LABELLED", "asking_model", "asking_of", "development_sites"]

FIRST: Final = QueryRule.TYPICLUST
"""How the first cases are chosen, before there is a model."""
GIVEN: Final = Categories(column="given", codes=(0.0,))
"""How many labels a query round gave."""
LABELLED: Final = Categories(column="outcome", codes=(0.0, 1.0))
"""The labelled training patients by outcome."""


def asking_model(study: Study) -> FederatedModel:
    """Return the network that asks; the others train when all labels are there."""
    return federated_models(study)[0]


def asking_of(study: Study, active: Active, query: int) -> Asking:
    """Return the statistic that shares out the budget of a query round, from 1."""
    return Asking(
        budget=active.budgets[query - 1],
        sites=development_sites(study),
        floor_share=active.floor_share,
    )


def development_sites(study: Study) -> int:
    """Return over how many sites the study shares a budget out."""
    return sum(site.role is Role.DEVELOPMENT for site in study.site)
