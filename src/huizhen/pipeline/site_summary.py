"""What a site says of itself to the lead: how its tables stand, and which facts of [transfer] it checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huizhen.core.cohort import Case
from huizhen.core.study import Study
from huizhen.data.transfer.own_facts import check_cohort, check_said, own_facts
from huizhen.federate.messages import TableRisk
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.summaries import Said
from huizhen.pipeline.cohort_stage import OpenCohort, cohort_stage
from huizhen.pipeline.stage import Run

__all__ = ["checked_cohort", "checked_facts", "site_summary"]


def checked_facts(study: Study, site: SiteFolder, cases: Sequence[Case]) -> tuple[str, ...]:
    """Return the facts of [transfer] that hold here. Raises `PolicyError` for one that doesn't."""
    if study.transfer is None:
        return ()
    least = site.policy().smallest_count
    held = {
        *check_said(study, site.name, own_facts(site.path)),
        *check_cohort(study, site.name, cases, smallest=least),
    }
    place = {"jurisdiction"} if site.jurisdiction else set()  # compared before anything leaves
    return tuple(sorted(held | place))


def checked_cohort(run: Run, study: Study, site: SiteFolder) -> OpenCohort:
    """Return the site's cohort. Raises `PolicyError` where its patients contradict what the study tells."""
    found = cohort_stage(run)
    checked_facts(study, site, found.cases)
    return found


def site_summary(run: Run, study: Study, site: SiteFolder, cases: Sequence[Case]) -> Said:
    """Return the summary. Tables of fewer patients than may be shown are left out."""
    checked = checked_facts(study, site, cases)
    if run.study.site[0].disclosure is None:
        return Said(standing="no_policy", checked=checked)
    least = site.policy().smallest_count
    entries = [entry.body for entry in run.log.entries if entry.kind == "evidence"]
    newest = {body["key"]: body for body in entries if body.get("metric") == "disclosure"}
    held = [body for body in newest.values() if body.get("estimate") is not None]
    tables = tuple(_risk(body, least) for body in held if int(body["n"]) >= _least(body, least))
    if tables:
        return Said(standing="assessed", tables=tables, checked=checked)
    return Said(standing="too_few" if held else "no_table", checked=checked)


def _least(body: Mapping[str, Any], least: int) -> int:
    return max(least, int(body["detail"].get("smallest", 0)))


def _risk(body: Mapping[str, Any], least: int) -> TableRisk:
    """Return a table's evidence without what tells of few patients."""
    told, n, few = body["detail"], int(body["n"]), _least(body, least)
    above, alone = float(told["share_above"]), told["unique"]
    recoded = told.get("recoded_class")
    return TableRisk(
        table=int(str(body["key"]).rpartition("/")[2]),
        patients=n,
        smallest_class=int(told["smallest_class"]),
        average_risk=round(float(told["average_risk"]), 2),
        share_above=round(above, 2) if _may_be_shown(above * n, n, few) else None,
        unique=alone if isinstance(alone, int) and _may_be_shown(alone, n, few) else None,
        quasi_identifiers=int(told["quasi_identifiers"]),
        bounds_failed=int(told["bounds_failed"]),
        recoded_class=None if recoded is None else int(recoded),
    )


def _may_be_shown(count: float, of: int, few: int) -> bool:
    """Tell whether neither a count nor the rest of the patients is one of few, as none is."""
    return all(number < 0.5 or number > few - 0.5 for number in (count, of - count))
