"""Flows: what a study sends from whom to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from huizhen.core.study import Site, Study
from huizhen.data.transfer.facts import Value, checked_value

__all__ = ["LEAD", "Flow", "Kind", "facts_of", "flows_of"]

LEAD = "lead"
"""What the study lead is called among the sites."""


class Kind(StrEnum):
    """What may cross a border."""

    IMAGES = "images"
    """Images and rows of patients as the hospital has them."""
    DEIDENTIFIED = "deidentified"
    """The same, de-identified."""
    UPDATES = "updates"
    """A site's changes of a model."""
    SUMS = "sums"
    """Sums over sites of which no site's part is seen."""
    AGGREGATES = "aggregates"
    """Statistics of one site's patients."""
    WEIGHTS = "weights"
    """A model."""
    COUNTS = "counts"
    """Numbers of patients and files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What `kind` goes from `sender` to `receiver` (sites, or the lead), and the jurisdictions of both."""

    kind: Kind
    sender: str
    receiver: str
    origin: str
    destination: str

    @property
    def key(self) -> str:
        """The flow's name: north>lead/updates."""
        return f"{self.sender}>{self.receiver}/{self.kind.value}"

    @property
    def site(self) -> str:
        """The hospital of the flow."""
        return self.receiver if self.sender == LEAD else self.sender


def flows_of(study: Study) -> tuple[Flow, ...]:
    """Return the flows of a study, site by site.

    In a federation a site sends counts, updates (or, with secure aggregation, sums of them) and sums of
    statistics, and is sent the model. Otherwise whoever runs the study reads the sites' images and rows.
    """
    lead = study.transfer.lead if study.transfer else ""
    found: list[Flow] = []
    for site in study.site:
        up, down = _kinds(study, site)
        here = site.jurisdiction.upper()
        found += [
            Flow(kind=kind, sender=site.name, receiver=LEAD, origin=here, destination=lead) for kind in up
        ]
        found += [
            Flow(kind=kind, sender=LEAD, receiver=site.name, origin=lead, destination=here) for kind in down
        ]
    return tuple(found)


def _kinds(study: Study, site: Site) -> tuple[tuple[Kind, ...], tuple[Kind, ...]]:
    """Return what a site sends and what it is sent."""
    if study.federation is None:
        deidentified = study.transfer is not None and study.transfer.deidentified
        return ((Kind.DEIDENTIFIED if deidentified else Kind.IMAGES),), ()
    sums = Kind.SUMS if study.federation.secure else Kind.AGGREGATES
    if site.role.value == "external":
        return (Kind.COUNTS, sums), (Kind.WEIGHTS,)
    return (Kind.COUNTS, Kind.UPDATES, sums), (Kind.WEIGHTS,)


def facts_of(study: Study, flow: Flow, day: date) -> dict[str, Value]:
    """Return what is known of a flow on `day`: what the study says, and what people told of the site.

    Numbers counted since 1 January of another year than `day`'s are not known any more. Raises
    `InvalidInputError` for a fact that isn't one, or of another type.
    """
    told = {name: checked_value(name, value) for name, value in _told(study, flow).items()}
    counted = told.get("counted_on")
    if not isinstance(counted, date) or counted.year != day.year or counted > day:
        told = {
            name: value for name, value in told.items() if name not in ("sensitive_persons", "other_persons")
        }
    known: dict[str, Value] = {**told, "kind": flow.kind.value, **_places(flow), **_of_study(study)}
    if (found := told.get(f"{flow.kind.value}_anonymous")) is not None:
        known["anonymous"] = found
    return known


def _told(study: Study, flow: Flow) -> Mapping[str, object]:
    """Return what people told: of the site in place of what they told of all."""
    if study.transfer is None:
        return {}
    return {**study.transfer.facts, **study.transfer.site.get(flow.sender, {})}


def _places(flow: Flow) -> dict[str, Value]:
    found: dict[str, Value] = {}
    found |= {"sender": flow.origin} if flow.origin else {}
    found |= {"receiver": flow.destination} if flow.destination else {}
    if flow.origin and flow.destination:
        found["crosses_border"] = flow.origin != flow.destination
    return found


def _of_study(study: Study) -> dict[str, Value]:
    """Return what the study file itself says."""
    found: dict[str, Value] = {"differential_privacy": study.privacy is not None}
    if study.use is not None:
        found["purpose"] = study.use.purpose
        found["ethics_approval"] = bool(study.use.ethics_approval)
        found["genetic"] = study.use.genetic
    if study.federation is not None:
        found["secure_aggregation"] = study.federation.secure
        found["smallest_count"] = study.federation.smallest_count
    return found
