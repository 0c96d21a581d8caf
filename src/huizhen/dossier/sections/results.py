"""Results on the internal and the external test set: discrimination to utility, sites, subsets."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Heading, Section
from huizhen.dossier.labels import COHORTS, cohort_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.calibration import calibration
from huizhen.dossier.sections.conformal import conformal
from huizhen.dossier.sections.decisions import PLANNED, decisions, planned
from huizhen.dossier.sections.discrimination import discrimination, roc_figures
from huizhen.dossier.sections.harmonisation import harmonisation
from huizhen.dossier.sections.label_noise import label_noise
from huizhen.dossier.sections.places import other_models_by_site, sites
from huizhen.dossier.sections.readers import readers
from huizhen.dossier.sections.robustness import robustness
from huizhen.dossier.sections.shortcuts import shortcuts
from huizhen.dossier.sections.subgroups import subgroups
from huizhen.dossier.sections.subsets import best_shares, subsets
from huizhen.dossier.sections.triage import triage
from huizhen.dossier.sections.unanswered import unanswered
from huizhen.dossier.sections.utility import utility
from huizhen.dossier.wording import Text, join, say


def cohorts(found: tuple[Measured, ...], place: int = 1) -> list[str]:
    """Return the cohorts that evidence names at `place` of its key: internal and external first."""
    named = dict.fromkeys(m.parts[place] for m in found if len(m.parts) > place)
    return [*(c for c in COHORTS if c in named), *(c for c in named if c not in COHORTS)]


def results(record: Record) -> Section:
    """Return the section on the results."""
    curves = roc_figures(record, cohorts(record.family("roc")))
    blocks: list[Block] = [Heading(id="roc", text=say("heading.roc")), *curves] if curves else []
    for cohort in cohorts(record.family("auc")):
        blocks += _titled(discrimination(record, cohort), "discrimination", cohort)
    blocks += decisions(record, cohorts(record.family("sensitivity", "specificity", "ppv", "npv")))
    blocks += unanswered(record)
    blocks += planned(record, cohorts(record.family(*PLANNED)))
    blocks += calibration(record, cohorts(record.family("calibration_slope", "calibration_curve", "brier")))
    blocks += utility(record, cohorts(record.family("decision_curve")))
    for cohort in cohorts(record.family("auc")):
        blocks += _titled(sites(record, cohort), "sites", cohort)
    blocks += other_models_by_site(record)
    for cohort in cohorts(record.family("grouping")):
        blocks += _titled(subgroups(record, cohort), "subgroups", cohort)
    for cohort in cohorts(record.family("subset_auc")):
        blocks += _titled(subsets(record, cohort), "subsets", cohort)
    blocks += best_shares(record)
    blocks += readers(record)
    blocks += conformal(record)
    blocks += robustness(record)
    blocks += shortcuts(record)
    blocks += harmonisation(record)
    blocks += label_noise(record)
    blocks += triage(record)
    return Section(id="results", title=say("section.results"), blocks=tuple(blocks), phantom=record.phantom)


def _titled(blocks: list[Block], topic: str, cohort: str) -> list[Block]:
    if not blocks:
        return []
    title = join(say(f"heading.{topic}"), cohort_name(cohort), by=Text(", ", "，"))
    return [Heading(id=f"{topic}-{cohort}", text=title), *blocks]
