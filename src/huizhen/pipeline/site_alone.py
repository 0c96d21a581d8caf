"""What a site may answer by itself, in the clear: counts, what it spent, and an external site's results.

Everything else is a sum that only a secure sum with other sites may show. A lead chooses the parameters of a
regression, and so could ask for a single patient by sums that look harmless.
"""

from __future__ import annotations

from typing import Final

from huizhen.errors import FederationError
from huizhen.federate.policy import SitePolicy, refusal
from huizhen.federate.site.learner import Asked
from huizhen.pipeline.federated_explain import EXPLAIN

__all__ = ["PRIVATE", "SCORES", "check_alone", "check_paid"]

SCORES: Final = "scores"
ALONE: Final = frozenset({"cohort", "privacy", "given", "labelled", EXPLAIN, SCORES})
"""Kinds of subject that a site may be asked about alone, if its policy lets it."""
PRIVATE: Final = frozenset({"cohort", "consent", "privacy", EXPLAIN, SCORES})
"""Kinds of subject in a study with [privacy]: of training patients they tell how many, no more."""


def check_alone(asked: Asked, policy: SitePolicy) -> None:
    """Refuse to answer alone what only a secure sum may show. Raises `FederationError` or `PolicyError`."""
    kind = asked.subject.partition("/")[0]
    if asked.hidden:
        return
    if kind not in ALONE:
        raise FederationError(
            "this leaves a site in a secure sum only", remedy="ask several sites, securely", field="subject"
        )
    if kind == SCORES and not policy.score_histograms:
        raise refusal("score_histograms", "the distribution of scores doesn't leave this site")


def check_paid(asked: Asked) -> None:
    """Refuse, in a study with [privacy], what would tell of training patients without noise.

    Raises `FederationError`.
    """
    if asked.subject.partition("/")[0] not in PRIVATE:
        raise FederationError(
            "with [privacy], nothing is computed from training patients but by private rounds",
            remedy="drop [privacy], or don't ask for it",
            field="privacy",
        )
