"""The heads of the sites' ledgers in the lead's: what each site committed to is fixed without being seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huizhen.federate import messages as wire
from huizhen.federate.lead import Lead


def site_heads(lead: Lead, sites: Sequence[str], moment: str) -> tuple[str, dict[str, Any]]:
    """Return the ledger entry with root and size of each site's ledger at `moment`.

    `moment`: "cohort" (before training) or "locked". A site that doesn't answer is left out of the entry.
    """
    question = wire.Attest(study=lead.study.digest, sender=wire.LEAD)
    answers = lead.ask(dict.fromkeys(sites, question), lead.patience_s)
    heads = {
        site: {"root": answer.message.root, "size": answer.message.size}
        for site, answer in sorted(answers.items())
        if isinstance(answer.message, wire.Attested)
    }
    return "site_heads", {"moment": moment, "heads": heads, "asked": sorted(sites)}
