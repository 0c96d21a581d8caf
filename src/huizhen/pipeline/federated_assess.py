"""Validation of a federated study: from distributions of scores and exact sums over sites."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from huizhen.core.cohort import Part
from huizhen.core.digests import plain
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.errors import NotEstimableError, PolicyError
from huizhen.federate.lead import Lead
from huizhen.pipeline.assess_stage import not_assessed
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.federated_asking import Asking, whole
from huizhen.pipeline.federated_scores import TOGETHER, held_back_of, predictions_of, sparse
from huizhen.pipeline.federated_sets import sets_evidence, with_levels
from huizhen.pipeline.opened import COHORT_WORDS
from huizhen.pipeline.predict_stage import with_single_specialists
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage
from huizhen.validate.assess import assess, endpoints_not_assessed, with_multiplicity
from huizhen.validate.assessments.interface import FEW, FromSums, Measured

CMAN = "cman"
TOGETHER_ONLY = (
    "scores of development sites leave them in sums over sites only, and sums over few sites that give the "
    "spread between them would show each one's result"
)
NOT_ALONE = "an external site's policy keeps its own result from leaving alone, and so no site's is asked for"


def assess_federated(
    run: Run,
    lead: Lead,
    decisions: Decisions,
    development: tuple[str, ...],
    external: tuple[str, ...],
    locked: Stage,
) -> Stage:
    """Validate the locked models: internal test patients of all development sites, and external sites."""
    cohorts = {Part.TEST: development, Part.EXTERNAL: external}
    lock_entry = max(entry.index for entry in run.log.entries if entry.kind == "lock")

    def body(folder: Path) -> Made:
        evidence: list[Evidence] = []
        for part, sites in cohorts.items():
            if not sites:
                evidence += _absent(run.study, part, "no such site takes part")
            elif not whole(run.study, decisions, CMAN):
                evidence += _absent(run.study, part, "the model has no threshold in every fold")
            else:
                evidence += _assessed(run, lead, decisions, part, sites, locked, folder)
        evidence = with_multiplicity(evidence, run.study)
        opened = {"lock_entry": lock_entry, "sealed_outcomes": locked.digest}
        return Made(evidence=[*evidence, *not_assessed(run.study, evidence)], entries=[("unseal", opened)])

    inputs = [locked.digest, [list(sites) for sites in cohorts.values()]]
    return run.stage("assess", inputs, body, made_from={"lock": locked.digest})


def _absent(study: Study, part: Part, reason: str) -> list[Evidence]:
    return endpoints_not_assessed(study, cohort=COHORT_WORDS[part], reason=reason, phantom=study.phantom)


def _assessed(
    run: Run,
    lead: Lead,
    decisions: Decisions,
    part: Part,
    sites: tuple[str, ...],
    locked: Stage,
    folder: Path,
) -> list[Evidence]:
    """Return the evidence of one cohort."""
    asking = Asking(study=run.study, lead=lead, decisions=decisions, part=part, sites=sites)
    try:
        blocks = asking.blocks()
    except (PolicyError, NotEstimableError) as error:  # for good; what may pass ends the run, to go on later
        return _absent(run.study, part, error.message)
    table = with_single_specialists(predictions_of(blocks, part, asking.counted))
    table = with_levels(table, run.study, decisions, blocks)
    write_json(folder / ARTEFACTS / f"scores_{part.value}.json", sparse(blocks, asking.counted))
    sums = FromSums(
        paired=cache(partial(_paired, asking, len(table.patient))),
        uncounted=asking.uncounted,
        held_back=held_back_of(blocks, asking.counted),
    )
    found = assess(table, run.study, phantom=run.study.phantom, sums=sums)
    found += sets_evidence(table, run.study, decisions, blocks, locked)
    together = f"site:{TOGETHER}"
    kept = [item for item in found if asking.apart or together not in item.key.split("/")]
    return [_events(run, table), *kept, *_unasked(run, asking)]


def _events(run: Run, table: Predictions) -> Evidence:
    """Return how many of the tested patients have the event: known only now."""
    cohort, events = COHORT_WORDS[table.part], int(table.outcome.sum())
    row = {"part": table.part.value, "patients": len(table.outcome), "positive": events}
    return Evidence(
        key=f"data/outcomes/{cohort}",
        metric="outcomes",
        stage="assess",
        n=len(table.outcome),
        n_events=events,
        descriptive=True,
        phantom=run.study.phantom,
        detail={"parts": [row]},
    )


def _paired(asking: Asking, patients: int, one: str, other: str) -> Measured:
    """Return the difference of two models' AUCs on those of the `patients` whom both answer."""
    try:
        found = asking.aucs(one, other)
    except PolicyError as error:
        raise NotEstimableError(error.message, remedy=error.remedy) from error
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


def _unasked(run: Run, asking: Asking) -> list[Evidence]:
    """Return what isn't assessed of a cohort because of what sites let out, each with the reason."""
    cohort, main = COHORT_WORDS[asking.part], run.study.main
    refused = [
        (f"{metric}/{key}/{cohort}/all", metric, reason)
        for name, reason in asking.refused.items()
        for metric, key in (("auc", name), ("auc_difference", f"{main}~{name}"))
        if "|" not in name
    ]
    if not asking.apart and len(asking.sites) > 1:
        reason = TOGETHER_ONLY if asking.part is Part.TEST else NOT_ALONE
        refused += [(f"{what}/{main}/{cohort}/site", what, reason) for what in ("grouping", "heterogeneity")]
    return [
        Evidence.not_assessed(
            key=key, metric=metric, stage="validate", reason=reason, phantom=run.study.phantom
        )
        for key, metric, reason in refused
        if reason
    ]
