"""The cohort of a federated study: which sites take part, and their patients by part and outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.cohort import Part
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json
from huizhen.core.study import Role
from huizhen.errors import FederationError
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.counts import Categories
from huizhen.federate.statistics.runner import conduct
from huizhen.pipeline.federated_heads import site_heads
from huizhen.pipeline.federated_plan import CELLS, PARTS, federated_models
from huizhen.pipeline.stage import Made, Run, Stage

BEGUN = "federation/begun.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """The sites that take part, by role, and their patients by part and outcome."""

    development: tuple[str, ...]
    external: tuple[str, ...]
    counts: Mapping[str, dict[str, int]]
    """"development" or an external site's name -> "train/0" and so on -> patients."""

    def patients(self, part: Part) -> int:
        """Return how many patients stand in `part` at all development sites."""
        return sum(self.counts["development"].get(f"{part.value}/{y}", 0) for y in (0, 1))


def federated_cohort(run: Run, lead: Lead) -> tuple[Sites, Stage]:
    """Invite the sites, and count their patients by part and outcome."""
    roles = {site.name: site.role for site in run.study.site}
    taking_part = _as_begun(run, lead, lead.invite())
    development = tuple(s for s in taking_part if roles[s] is Role.DEVELOPMENT)
    external = tuple(s for s in taking_part if roles[s] is Role.EXTERNAL)
    if not development:
        raise FederationError(
            "no development site takes part: " + lead.journal.refusals(), remedy="ask the sites' officers"
        )

    def body(folder: Path) -> Made:
        cman = federated_models(run.study)[0].name
        counts = {"development": patients_of(lead, cman, development)}
        counts |= {site: patients_of(lead, cman, (site,)) for site in external}
        write_json(folder / "sites.json", {"taking_part": list(taking_part), "counts": counts})
        heads = site_heads(lead, taking_part, "cohort")
        return Made(evidence=[_cohort_evidence(run, counts)], entries=[heads])

    made_from = {"study": run.study.digest}
    stage = run.stage("cohort", [run.study.digest, list(taking_part)], body, made_from=made_from)
    counts = stage.read("sites.json")["counts"]
    write_json(run.folder / BEGUN, list(taking_part))
    return Sites(development=development, external=external, counts=counts), stage


def _as_begun(run: Run, lead: Lead, accepted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sites that the study was begun with, if enough are here: a resumed run keeps to them.

    Rounds over other sites would be another study. Raises `FederationError` below the quorum.
    """
    file = run.folder / BEGUN
    if not file.exists():
        return accepted
    begun = tuple(json.loads(file.read_text(encoding="utf-8")))
    lead.enough(set(accepted) & set(begun), begun)
    for site in sorted(set(accepted) - set(begun)):
        lead.journal.note("late", site=site, reason="it wasn't there when the study began")
    lead.taking_part = begun
    return begun


def patients_of(lead: Lead, model: str, sites: tuple[str, ...]) -> dict[str, int]:
    """Return patients by part and outcome over `sites`."""
    statistic = Categories(column="cell", codes=CELLS)
    exchange = lead.exchange(f"cohort/{model}", secure=True, sites=sites)
    cells = conduct(statistic, exchange).result.counts
    names = [f"{part.value}/{outcome}" for part in PARTS for outcome in (0, 1)]
    return {name: int(n) for name, n in zip(names, cells, strict=False)}


def _cohort_evidence(run: Run, counts: Mapping[str, Mapping[str, int]]) -> Evidence:
    """Return the table of the cohort: development sites together, external ones each."""
    asks = run.study.active is not None
    known = run.study.split.method == "folds" and not asks  # else outcomes of some are sealed, or asked for
    rows = [_cohort_row(name, found, asks=asks, known=known) for name, found in counts.items()]
    return Evidence(
        key="data/cohort",
        metric="cohort",
        stage="cohort",
        n=sum(row["patients"] for row in rows),
        descriptive=True,
        phantom=run.study.phantom,
        detail={"sites": rows},
    )


def _cohort_row(name: str, found: Mapping[str, int], *, asks: bool, known: bool) -> dict[str, Any]:
    """Return a row of the table; events of development patients where all their outcomes are `known`."""
    row: dict[str, Any] = {"site": name, "patients": sum(found.values()), "modalities": [], "scanners": []}
    if name != "development":
        return row
    if asks:
        row["may_be_asked"] = sum(n for cell, n in found.items() if cell.startswith("train/"))
    if known:
        row["positive"] = sum(n for cell, n in found.items() if cell.endswith("/1"))
    return row
