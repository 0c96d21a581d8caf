"""Validation of a federated study: from distributions of scores and exact sums over sites."""

from __future__ import annotations

from pathlib import Path

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json
from huizhen.core.study import Study
from huizhen.errors import NotEstimableError, PolicyError
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.delong import Aucs
from huizhen.pipeline.assess_stage import not_assessed
from huizhen.pipeline.conformal_cuts import CONFORMAL
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.federated_again import cuts_of
from huizhen.pipeline.federated_asking import Asking, whole
from huizhen.pipeline.federated_evidence import Fixed, told_evidence
from huizhen.pipeline.federated_scores import held_back_of
from huizhen.pipeline.federated_told import Told, file_of
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage
from huizhen.validate.assess import with_multiplicity

CMAN = "cman"


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
    cuts = locked.read(CONFORMAL) if (locked.folder / CONFORMAL).exists() else {}
    fixed = Fixed(decisions=decisions, cuts=cuts_of(cuts))

    def body(folder: Path) -> Made:
        evidence: list[Evidence] = []
        for part, sites in cohorts.items():
            asking = None
            if not sites:
                told = Told(part=part, sites=(), apart=False, absent="no such site takes part")
            elif not whole(run.study, decisions, CMAN):
                reason = "the model has no threshold in every fold"
                told = Told(part=part, sites=sites, apart=False, absent=reason)
            else:
                asking = Asking(study=run.study, lead=lead, decisions=decisions, part=part, sites=sites)
                told = _told(asking)
            evidence += _evidence(run.study, asking, fixed, told, folder)
        evidence = with_multiplicity(evidence, run.study)
        opened = {"lock_entry": lock_entry, "sealed_outcomes": locked.digest}
        return Made(evidence=[*evidence, *not_assessed(run.study, evidence)], entries=[("unseal", opened)])

    inputs = [locked.digest, [list(sites) for sites in cohorts.values()]]
    return run.stage("assess", inputs, body, made_from={"lock": locked.digest})


def _evidence(study: Study, asking: Asking | None, fixed: Fixed, told: Told, folder: Path) -> list[Evidence]:
    """Return the evidence of one cohort, and write down what it was reckoned from."""

    def ask(one: str, other: str) -> Aucs | str:
        if asking is None:
            return told.absent
        try:
            return asking.aucs(one, other)
        except (PolicyError, NotEstimableError) as error:
            return error.message

    found = told_evidence(study, fixed, told, ask)
    write_json(folder / ARTEFACTS / file_of(told.part), told.to_json())
    return found


def _told(asking: Asking) -> Told:
    """Return what the sites tell of one part."""
    try:
        blocks = asking.blocks()
    except (PolicyError, NotEstimableError) as error:  # for good; what may pass ends the run, to go on later
        return Told(part=asking.part, sites=asking.sites, apart=False, absent=error.message)
    return Told(
        part=asking.part,
        sites=asking.sites,
        apart=asking.apart,
        blocks=tuple(blocks),
        counted=asking.counted,
        uncounted=asking.uncounted,
        held_back=held_back_of(blocks, asking.counted),
        refused=asking.refused,
    )
