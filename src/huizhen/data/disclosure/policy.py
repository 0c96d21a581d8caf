"""A policy of disclosure: what outsiders may know, what must not come out, and the bounds.

>>> Bounds(k=5).least_class
5
>>> Bounds(k=1, max_risk=0.09).least_class
12
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from huizhen.core.digests import Digest, digest_value
from huizhen.core.toml_file import read_toml, refused
from huizhen.errors import HuizhenError, PolicyError

__all__ = ["Bounds", "DisclosurePolicy", "Population", "Quasi", "Search", "Sensitive", "load_policy"]

_STRICT = ConfigDict(extra="forbid", frozen=True)
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Quasi(BaseModel):
    """A quasi-identifier and how it may be coarsened, from fine to coarse; the last level hides it."""

    model_config = _STRICT
    kind: Literal["auto", "numeric", "date", "prefix", "category"] = "auto"
    bands: tuple[Positive, ...] = ()
    """numeric: widths of the bands, each a multiple of the one before."""
    bottom: float | None = None
    top: float | None = None
    """numeric: values at or beyond these are one band at every level but the first."""
    to: tuple[Literal["month", "quarter", "year", "5 years", "10 years"], ...] = ()
    keep: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """prefix: how many characters stay, falling."""
    rare: tuple[Annotated[int, Field(ge=2)], ...] = ()
    """category: values of fewer patients become one, rising."""
    groups: tuple[dict[str, str], ...] = ()
    """category: the group of each value, a level each; a value that isn't named keeps its own."""
    least: Annotated[int, Field(ge=0)] = 0
    """The level that must at least be taken."""
    weight: Positive = 1.0
    """How much losing it costs beside the others."""


class Sensitive(BaseModel):
    """A column that must not come out, and how mixed its values must be in each class."""

    model_config = _STRICT
    distinct: Annotated[int, Field(ge=1)] | None = None
    entropy: Annotated[float, Field(ge=1)] | None = None
    recursive: tuple[Positive, Annotated[int, Field(ge=2)]] | None = None
    """c and l."""
    t: Share | None = None
    distance: Literal["equal", "ordered", "hierarchical"] = "equal"
    order: tuple[str, ...] = ()
    """ordered: the values from least to most, where they are neither numbers nor days."""
    groups: tuple[dict[str, str], ...] = ()
    """hierarchical: the group of every value, from fine to coarse."""

    @model_validator(mode="after")
    def _groups_for_a_tree(self) -> Self:
        if (self.distance == "hierarchical") != bool(self.groups):
            raise ValueError('groups and distance = "hierarchical" go together')
        if self.order and (self.distance != "ordered" or len(set(self.order)) < len(self.order)):
            raise ValueError('order goes with distance = "ordered", each value once')
        return self


class Bounds(BaseModel):
    """What must hold of the table that is released."""

    model_config = _STRICT
    k: Annotated[int, Field(ge=1)] = 5
    max_risk: Annotated[float, Field(gt=0, le=1)] | None = None
    average_risk: Annotated[float, Field(gt=0, le=1)] | None = None
    share_above: Share | None = None
    """The share of patients whose risk may be above `threshold`."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.2
    suppress: Share = 0.05
    """The share of patients who may be left out, or have cells blanked, for the rest to be finer."""

    @property
    def least_class(self) -> int:
        """The smallest class that k and the highest risk allow."""
        return max(self.k, math.ceil(1 / self.max_risk - 1e-9) if self.max_risk else 1)


class Search(BaseModel):
    """How a recoding is looked for."""

    model_config = _STRICT
    loss: Literal["entropy", "discernibility"] = "entropy"
    suppress: Literal["rows", "cells"] = "rows"
    nodes: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """The largest lattice that is searched for its best node; beyond, a good one is looked for."""


class Population(BaseModel):
    """The population behind the table: a table of it, or its size and a model."""

    model_config = _STRICT
    table: str | None = None
    size: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.table is None) == (self.size is None):
            raise ValueError("needs either table or size")
        return self


class Outcome(BaseModel):
    """A column that a model shall still predict from the recoded quasi-identifiers."""

    model_config = _STRICT
    column: str
    positive: Annotated[tuple[str, ...], Field(min_length=1)]


class RareDisease(BaseModel):
    """A column of disease codes, and a table of how common they are."""

    model_config = _STRICT
    column: str
    prevalence: str
    """A table with columns code and per_million."""
    catchment: Annotated[int, Field(ge=1)]
    """How many people the hospital's area has."""
    fewest: Annotated[int, Field(ge=1)] = 100
    """A disease that fewer people of the area are expected to have is rare."""


class Genotypes(BaseModel):
    """Columns of genotypes: everything whose name begins so."""

    model_config = _STRICT
    prefix: Annotated[str, Field(min_length=1)]


class DisclosurePolicy(BaseModel):
    """The content of a policy file."""

    model_config = _STRICT
    patient: str | None = None
    """The column that names a row's patient; without it, every row is another one."""
    keep: tuple[str, ...] = ()
    """Columns that go out as they are; what no part of the policy names doesn't go out."""
    quasi: Annotated[dict[str, Quasi], Field(min_length=1)]
    sensitive: dict[str, Sensitive] = Field(default_factory=dict)
    bounds: Bounds = Bounds()
    search: Search = Search()
    population: Population | None = None
    outcome: Outcome | None = None
    rare_disease: RareDisease | None = None
    genotypes: Genotypes | None = None
    smallest: Annotated[int, Field(ge=1)] = 10
    """Counts of fewer patients are not shown in a report."""
    _file: str | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_part_a_column(self) -> Self:
        parts = [*self.quasi, *self.sensitive, *self.keep, *([self.patient] if self.patient else [])]
        if twice := sorted({name for name in parts if parts.count(name) > 1}):
            raise ValueError(f"columns named in two parts: {', '.join(twice)}")
        return self

    @property
    def file(self) -> str | None:
        """The name of the file that the policy was read from, for messages."""
        return self._file

    def fields(self) -> list[tuple[str, str]]:
        """Return each column that the policy names, with the key that names it."""
        found = [("patient", self.patient)] if self.patient else []
        found += [("keep", name) for name in self.keep]
        found += [(f"quasi.{name}", name) for name in self.quasi]
        found += [(f"sensitive.{name}", name) for name in self.sensitive]
        found += [("outcome.column", self.outcome.column)] if self.outcome else []
        return found + ([("rare_disease.column", self.rare_disease.column)] if self.rare_disease else [])

    @property
    def digest(self) -> Digest:
        """The digest of what the policy says."""
        return digest_value(self.model_dump(mode="json"))


def load_policy(path: Path) -> DisclosurePolicy:
    """Return the policy in a TOML file. Raises `PolicyError` when it is none."""

    def wrong(error: ValidationError) -> HuizhenError:
        return refused(
            error,
            DisclosurePolicy,
            PolicyError,
            remedy="correct it; docs/explanation/disclosure-risk.md names every key",
            file=path.name,
        )

    found = read_toml(path, DisclosurePolicy, wrong=wrong)
    found._file = path.name
    return found
