"""What each site of a federation says of itself, signed by it, in the lead's ledger and dossier.

How easily patients are found in a site's tables is measured there, against the site's own policy; a summary
of sizes and shares is all that comes. With it come the facts of [transfer] that the site checked itself.
"""

from __future__ import annotations

from pathlib import Path

from huizhen.core.evidence import Evidence, Verdict
from huizhen.data.transfer.own_facts import said_of
from huizhen.errors import MessageError, VerificationError
from huizhen.federate import messages as wire
from huizhen.federate.lead import Lead
from huizhen.federate.summaries import check_summary
from huizhen.pipeline.stage import Made, Run, Stage

__all__ = ["STANDING", "summaries_stage"]

STANDING = {
    "no_policy": "the site names no policy of disclosure",
    "no_table": "no table of the site has every quasi-identifier of its policy",
    "too_few": "the site's tables are of too few patients to be told of",
}
SILENT = "the site sent no summary of its tables"


def summaries_stage(run: Run, lead: Lead, sites: tuple[str, ...], cohort: Stage) -> Stage | None:
    """Return the stage that asks each of `sites` for its summary; None where nothing asks for one."""
    asks_tables = any(site.disclosure for site in run.study.site)
    if not asks_tables and run.study.transfer is None:
        return None

    def body(folder: Path) -> Made:
        told = _asked(lead, sites)
        found: list[Evidence] = []
        for site in sites:
            found += _tables(run, lead, site, told.get(site)) if asks_tables else []
            found += [_facts(run, site, told.get(site))] if run.study.transfer else []
        return Made(evidence=found)

    inputs = [run.study.digest, cohort.digest, list(sites)]
    return run.stage("summaries", inputs, body, made_from={"cohort": cohort.digest})


def _asked(lead: Lead, sites: tuple[str, ...]) -> dict[str, wire.Summary]:
    """Return the summaries whose signatures hold, by site."""
    question = wire.Summarise(study=lead.study.digest, sender=wire.LEAD)
    found: dict[str, wire.Summary] = {}
    for site, answer in sorted(lead.ask(dict.fromkeys(sites, question), lead.patience_s).items()):
        if not isinstance(answer.message, wire.Summary):
            continue
        try:
            check_summary(answer.message, lead.peers[site])
        except (MessageError, VerificationError) as error:
            lead.journal.note("refused", site=site, reason=error.message)
            continue
        found[site] = answer.message
    return found


def _tables(run: Run, lead: Lead, site: str, told: wire.Summary | None) -> list[Evidence]:
    """Return a site's tables as evidence, or why there is none."""
    if told is None or not told.tables:
        reason = SILENT if told is None else STANDING.get(told.standing, SILENT)
        return [
            Evidence.not_assessed(
                key=f"disclosure/{site}",
                metric="disclosure",
                stage="data",
                reason=reason,
                phantom=run.study.phantom,
            )
        ]
    signed = {"signed_by": lead.peers[site].key_id, "signature": told.signature}
    return [_table(run, site, one, signed) for one in told.tables]


def _table(run: Run, site: str, one: wire.TableRisk, signed: dict[str, str]) -> Evidence:
    failed = one.bounds_failed > 0
    detail = one.model_dump(exclude={"table", "patients"}, exclude_none=True)
    return Evidence(
        key=f"disclosure/{site}/{one.table}",
        metric="disclosure",
        stage="data",
        estimate=float(one.smallest_class),
        n=one.patients,
        descriptive=True,
        phantom=run.study.phantom,
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        reason="the bounds of the site's policy " + ("don't hold" if failed else "hold"),
        detail={**detail, "max_risk": 1 / max(1, one.smallest_class), **signed},
    )


def _facts(run: Run, site: str, told: wire.Summary | None) -> Evidence:
    """Return what the lead says of a site, divided into what the site checked and what nobody did."""
    said = {*said_of(run.study, site), *(["genetic"] if run.study.use else [])}
    checked = (set(told.checked) if told else set()) & {*said, "jurisdiction"}  # no name of the site's own
    return Evidence(
        key=f"transfer_facts/{site}",
        metric="transfer_facts",
        stage="protocol",
        descriptive=True,
        phantom=run.study.phantom,
        detail={"checked": sorted(checked), "unchecked": sorted(said - checked)},
    )
