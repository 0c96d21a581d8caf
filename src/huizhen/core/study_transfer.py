"""The study file's [transfer]: who leads, what people know of each hospital, which documents are held."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from huizhen.core.jurisdictions import CODES, meant_by
from huizhen.core.study_base import Frozen, Name

if TYPE_CHECKING:
    from huizhen.core.study import Study

__all__ = ["HeldDocument", "TransferPlan", "transfer_problems"]

Place = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Told = dict[str, bool | int | str]


class HeldDocument(Frozen):
    """A document that is held: a contract, an approval, an assessment."""

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
    """What it is, as rules call it: standard_contract, security_assessment ..."""
    id: Annotated[str, Field(min_length=1, max_length=128)]
    """Its reference number; the document itself is kept by the hospital."""
    site: Name | None = None
    """The hospital that holds it; left out, it holds for every site and the lead."""
    issued: date
    """The first day on which it holds."""
    expires: date | None = None
    """The last day on which it holds."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.expires is not None and self.expires < self.issued:
            raise ValueError("expires before it is issued")
        return self

    def covers(self, kind: str, *parties: str) -> bool:
        """Tell whether it is a document of `kind` that one of the parties holds."""
        return self.kind == kind and (self.site is None or self.site in parties)

    def valid(self, day: date) -> bool:
        """Tell whether it holds on a day; the first and the last day count."""
        return self.issued <= day and (self.expires is None or day <= self.expires)


class TransferPlan(Frozen):
    """What may cross borders, decided by rules before a run: it starts only if every flow is permitted."""

    lead: Place
    """The jurisdiction of whoever leads, or runs, the study (ISO 3166)."""
    until: date | None = None
    """The last day of the study: rules that change and documents that run out before it are warned of."""
    rules: str | None = None
    """A folder of the hospital's own rule files, beside the study file."""
    deidentified: bool = False
    """Without a federation: whether the sites' data are de-identified before they are read."""
    facts: Told = Field(default_factory=dict)
    """What holds for every sender, by names of `huizhen transfer rules --facts`; a day stands in quotes."""
    site: dict[str, Told] = Field(default_factory=dict)
    """The same for one sender, by its name; the lead's is lead."""
    document: list[HeldDocument] = Field(default_factory=list)
    """Documents that are held, one section each."""


def transfer_problems(study: Study) -> list[str]:
    """Return what is wrong between [transfer] and the sites."""
    if study.transfer is None:
        return _unsaid(study)
    names = {site.name for site in study.site}
    problems = []
    for name in sorted(set(study.transfer.site) - names - {"lead"}):
        problems.append(f"transfer.site.{name} | is no site of the study | name a site, or lead")
    held = {one.site for one in study.transfer.document if one.site}
    for name in sorted(held - names - {"lead"}):
        problems.append(
            f"transfer.document | {name} is no site of the study | name a site, or leave site out"
        )
    places = [("transfer.lead", study.transfer.lead)]
    places += [(f"site[{k}].jurisdiction", site.jurisdiction) for k, site in enumerate(study.site)]
    return problems + [_no_place(field, code) for field, code in places if code and code not in CODES]


def _no_place(field: str, code: str) -> str:
    """Return the problem of a jurisdiction that is none."""
    meant = meant_by(code)
    remedy = f"did you mean {meant}?" if meant else "write it as CN, DE or US"
    return f"{field} | is no ISO 3166 code of two capital letters | {remedy}"


def _unsaid(study: Study) -> list[str]:
    """Return the problem of a federation over jurisdictions whose study says nothing of transfers."""
    places = {site.jurisdiction.upper() for site in study.site if site.jurisdiction}
    if study.federation is None or len(places) < 2:
        return []
    return [
        f"transfer | is missing, and the sites stand in {len(places)} jurisdictions | "
        "say in [transfer] who leads, and which documents are held"
    ]
