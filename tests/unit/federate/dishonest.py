"""What a lead or a site that lies does, over the toy federation: sums over chosen sites, altered answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from toy_federation import Toy

from huizhen.errors import FederationError
from huizhen.federate import messages as wire
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.frames import Sealed, seal, unseal
from huizhen.federate.secure_sum import SecureSum
from huizhen.federate.secure_wire import task_of, wire_coding
from huizhen.federate.site.worker import Worker
from huizhen.privacy.secure_aggregation.interface import Terms


def ask_one(one: Toy, site: str, message: wire.Inbound, arrays: Any = None) -> Sealed:
    """Return a site's answer to the lead."""
    frame = one.workers[site].answer(seal(message, one.lead.key, arrays))
    return unseal(frame, {site: [one.folders[site].key.public]})


def sum_over(
    one: Toy, message: Any, sites: tuple[str, ...], coding: Any, number: int, arrays: Any = None
) -> Any:
    """Return the secure sum over exactly `sites`, or the reasons of those that refuse it."""
    length = 0
    for site in sites:
        answer = ask_one(one, site, message, arrays).message
        if isinstance(answer, wire.Refusal):
            return [answer.reason]
        length = answer.length
    opening = wire.Advertise(
        study=message.study,
        sender=wire.LEAD,
        task=task_of(message),
        number=number,
        attempt=0,
        sites={site: one.folders[site].key.public.hex for site in sites},
        threshold=Terms.usual_threshold(len(sites)),
        length=length,
        coding=wire_coding(coding),
    )
    reasons: list[str] = []

    def ask(asked: Mapping[str, wire.Inbound], _: float) -> dict[str, Sealed]:
        found = {site: ask_one(one, site, question) for site, question in asked.items()}
        reasons.extend(a.message.reason for a in found.values() if isinstance(a.message, wire.Refusal))
        return found

    try:
        return SecureSum(opening, ask=ask, patience_s=1.0, whole=False, unmasking=lambda _: None).total()
    except FederationError:
        return reasons


def lying(one: Toy, site: str, alter: Callable[[Any], Any]) -> None:
    """Have `site` send messages as `alter` makes them, signed by its own key."""
    worker: Worker = one.workers[site]

    def answer(frame: bytes) -> bytes:
        honest = unseal(worker.answer(frame), {site: [one.folders[site].key.public]})
        changed = alter(honest.message)
        return changed if isinstance(changed, bytes) else seal(changed, one.folders[site].key, honest.arrays)

    one.lead.engine = InProcess({**{n: w.answer for n, w in one.workers.items()}, site: answer})
