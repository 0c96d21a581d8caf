"""Orders: messages that a site carries out and answers with "done", of which the lead needs a quorum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from huizhen.federate import messages as wire
from huizhen.federate.frames import Arrays, Sealed
from huizhen.federate.lead import Lead

__all__ = ["done_at", "order"]


def order(lead: Lead, message: wire.Inbound, sites: Sequence[str], arrays: Arrays | None = None) -> None:
    """Have `sites` carry out `message`. Raises `FederationError` when fewer than the quorum have."""
    answers = lead.ask(dict.fromkeys(sites, message), lead.patience_s, arrays)
    lead.enough(done_at(answers), sites)


def done_at(answers: Mapping[str, Sealed]) -> list[str]:
    """Return the sites that say they are done."""
    return [site for site, answer in answers.items() if isinstance(answer.message, wire.Done)]
