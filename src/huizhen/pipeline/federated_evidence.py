"""What is claimed of one part's patients from what sites told: by the run, and by whoever recomputes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from huizhen.core.cohort import Part
from huizhen.core.digests import plain
from huizhen.core.evidence import Evidence
from huizhen.core.predictions import with_single_specialists
from huizhen.core.study import Study
from huizhen.errors import NotEstimableError
from huizhen.federate.statistics.delong import Aucs
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.federated_scores import TOGETHER, predictions_of
from huizhen.pipeline.federated_sets import sets_evidence, with_levels
from huizhen.pipeline.federated_told import Told
from huizhen.pipeline.opened import COHORT_WORDS
from huizhen.validate.assess import assess, endpoints_not_assessed
from huizhen.validate.assessments.interface import FEW, FromSums, Measured
from huizhen.validate.conformal import Cuts

__all__ = ["NOT_ALONE", "TOGETHER_ONLY", "Fixed", "told_evidence"]

TOGETHER_ONLY = (
    "scores of development sites leave them in sums over sites only, and sums over few sites that give the "
    "spread between them would show each one's result"
)
NOT_ALONE = "an external site's policy keeps its own result from leaving alone, and so no site's is asked for"

Ask = Callable[[str, str], Aucs | str]
"""From two models to their AUCs on the patients of both, or why there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What was fixed with the lock: every model's decisions by fold, and the cuts of prediction sets."""

    decisions: Decisions
    cuts: Mapping[int, Cuts]


def told_evidence(study: Study, fixed: Fixed, told: Told, ask: Ask) -> list[Evidence]:
    """Return the evidence of one cohort; what `ask` answers is noted in `told.pairs`."""
    cohort = COHORT_WORDS[told.part]
    if told.absent:
        return endpoints_not_assessed(study, cohort=cohort, reason=told.absent, phantom=study.phantom)
    table = with_single_specialists(predictions_of(told.blocks, told.part, told.counted))
    table = with_levels(table, study, fixed.decisions, told.blocks)
    sums = FromSums(
        paired=partial(_paired, told, ask, len(table.patient)),
        uncounted=told.uncounted,
        held_back=told.held_back,
    )
    found = assess(table, study, phantom=study.phantom, sums=sums)
    found += sets_evidence(table, study, fixed.decisions, told.blocks, fixed.cuts)
    together = f"site:{TOGETHER}"
    kept = [item for item in found if told.apart or together not in item.key.split("/")]
    events = _events(study, cohort, told.part, len(table.outcome), int(table.outcome.sum()))
    return [events, *kept, *_untold(study, told)]


def _events(study: Study, cohort: str, part: Part, n: int, events: int) -> Evidence:
    """Return how many of the tested patients have the event: known only now."""
    return Evidence(
        key=f"data/outcomes/{cohort}",
        metric="outcomes",
        stage="assess",
        n=n,
        n_events=events,
        descriptive=True,
        phantom=study.phantom,
        detail={"parts": [{"part": part.value, "patients": n, "positive": events}]},
    )


def _paired(told: Told, ask: Ask, patients: int, one: str, other: str) -> Measured:
    """Return the difference of two models' AUCs on those of the `patients` whom both answer."""
    name = f"{one}~{other}"
    if name not in told.pairs:
        told.pairs[name] = ask(one, other)
    found = told.pairs[name]
    if isinstance(found, str):
        raise NotEstimableError(found, remedy="see which models the sites tell of")
    difference, n = found.difference(0, 1), found.n_pos + found.n_neg
    notes = {"unanswered": patients - n} if n < patients else {}
    small = {"small": True} if min(found.n_pos, found.n_neg) < FEW else {}
    tested = {"p": plain(difference.p), "z": plain(difference.z)}
    return Measured(
        estimate=difference.estimate,
        interval=difference.interval,
        n=n,
        n_events=found.n_pos,
        detail={"auc_main": float(found.aucs[0]), **tested, **notes, **small},
    )


def _untold(study: Study, told: Told) -> list[Evidence]:
    """Return what isn't assessed of a cohort because of what sites let out, each with the reason."""
    cohort, main = COHORT_WORDS[told.part], study.main
    left = [
        (f"{metric}/{key}/{cohort}/all", metric, reason)
        for name, reason in told.refused.items()
        for metric, key in (("auc", name), ("auc_difference", f"{main}~{name}"))
        if "|" not in name
    ]
    if not told.apart and len(told.sites) > 1:
        reason = TOGETHER_ONLY if told.part is Part.TEST else NOT_ALONE
        left += [(f"{what}/{main}/{cohort}/site", what, reason) for what in ("grouping", "heterogeneity")]
    return [
        Evidence.not_assessed(key=key, metric=metric, stage="validate", reason=reason, phantom=study.phantom)
        for key, metric, reason in left
    ]
