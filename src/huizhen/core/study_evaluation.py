"""The study file's [evaluation] and [[subgroup]]: what is reported beside the endpoints, fixed beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from huizhen.core.study_base import Frozen

if TYPE_CHECKING:
    from huizhen.core.study import Study

__all__ = ["ErrorCosts", "EvaluationPlan", "PartialArea", "Subgroup", "evaluation_problems"]

Share = Annotated[float, Field(gt=0, lt=1)]


class PartialArea(Frozen):
    """The part of the ROC curve where the test would be used; one of the two."""

    specificity: Share | None = None
    """From this specificity up to 1."""
    sensitivity: Share | None = None
    """From this sensitivity up to 1."""

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.specificity is None) == (self.sensitivity is None):
            raise ValueError("a part of the curve begins at a specificity or at a sensitivity: give one")
        return self


class ErrorCosts(Frozen):
    """What each kind of decision costs, in any one unit; an error must cost more than the right decision."""

    false_negative: float
    """Of a missed event."""
    false_positive: float
    """Of a false alarm."""
    true_positive: float = 0.0
    """Of an event that was found."""
    true_negative: float = 0.0
    """Of a patient without it who was let be."""
    test: float = 0.0
    """Of testing anybody."""

    @model_validator(mode="after")
    def _errors_cost_more(self) -> Self:
        if self.false_negative <= self.true_positive or self.false_positive <= self.true_negative:
            raise ValueError("an error must cost more than the right decision")
        return self


class EvaluationPlan(Frozen):
    """What is reported beside the endpoints, and on which terms. Left out: the defaults, and nothing more.

    Whoever sees the results may not choose these any more: they are signed with the study.
    """

    net_benefit_range: tuple[Share, Share] = (0.05, 0.5)
    """The thresholds of the decision curve. The default: from one needless intervention in 20 (19 for one
    true positive) to one in two."""
    prevalence: Share | None = None
    """The prevalence where the model will be used: PPV, NPV and costs are given for it too."""
    at_specificity: Share | None = None
    """The sensitivity at this specificity is reported, the threshold taken from the tested patients."""
    partial_auc: PartialArea | None = None
    """The part of the area that is reported, as { specificity = 0.8 } or { sensitivity = 0.9 }."""
    costs: ErrorCosts | None = None
    """The costs of decisions: the mean cost a patient is reported, beside those of acting on all and none."""
    multiplicity: Literal["all", "holm", "gatekeeping"] = "all"
    """What the endpoints claim. all: that every one is met, which needs no correction. holm: each by itself,
    by Holm's procedure over all of them. gatekeeping: the same, family by family, in order."""
    least_events: Annotated[int, Field(ge=2, le=1000)] = 10
    """A group with fewer events or non-events than this gets no measure."""
    least_shown: Annotated[int, Field(ge=0, le=1000)] = 5
    """Of a group with fewer patients than this not even their number is printed."""
    resamples: Annotated[int, Field(ge=200, le=20_000)] = 2000
    """Resamples of every bootstrap."""

    @model_validator(mode="after")
    def _range_rises(self) -> Self:
        low, high = self.net_benefit_range
        if low >= high:
            raise ValueError(
                "evaluation.net_benefit_range | doesn't rise | write the lower threshold first: [0.05, 0.5]"
            )
        return self


class Subgroup(Frozen):
    """Groups of patients that are compared with each other: by what a column of a labels table says of them
    (it needn't be an input of the model), or by `site`, `scanner:MODALITY` or `present:MODALITY`.

    With `edges` numbers are cut into bands, with `groups` values are gathered under a name; with neither
    each value is a group. A patient without a value, or with several, stands in no group and is counted.
    """

    column: Annotated[str, Field(min_length=1, max_length=100)]
    """A column of the sites' labels tables, `site`, `scanner:MODALITY` or `present:MODALITY`."""
    title: Annotated[str, Field(max_length=100)] = ""
    """What it is called in the dossier; the column if left out."""
    title_zh: Annotated[str, Field(max_length=100)] = ""
    """The same in Chinese."""
    edges: tuple[float, ...] = ()
    """Rising numbers: [50, 70] makes <50, 50–<70 and ≥70."""
    groups: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Name of a group and the values in it; other values are in none."""
    cross: tuple[str, ...] = ()
    """Columns of other subgroups: the intersections with each are compared too."""

    @model_validator(mode="after")
    def _groups_are_clear(self) -> Self:
        if self.edges and self.groups:
            raise ValueError("edges cut numbers and groups gather values: give one of them")
        if any(not math.isfinite(e) for e in self.edges) or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must rise")
        values = [value for found in self.groups.values() for value in found]
        if len(set(values)) < len(values):
            raise ValueError("a value stands in two groups")
        if any(name in values and name not in self.groups[name] for name in self.groups):
            raise ValueError("a group is called after a value of another one")
        if "" in self.groups or "" in values:
            raise ValueError("an empty cell is no group: patients without a value are counted by themselves")
        return self

    @property
    def source(self) -> Literal["site", "scanner", "present", "table"]:
        """Where the groups come from.

        >>> Subgroup(column="scanner:MG").source, Subgroup(column="sex").source
        ('scanner', 'table')
        """
        if self.column == "site":
            return "site"
        match self.column.split(":", 1)[0], ":" in self.column:
            case "scanner", True:
                return "scanner"
            case "present", True:
                return "present"
        return "table"

    @property
    def modality(self) -> str:
        """The modality whose scanner or presence makes the groups; "" for others.

        >>> Subgroup(column="present:MG").modality
        'MG'
        """
        return self.column.split(":", 1)[1] if self.source in ("scanner", "present") else ""


def evaluation_problems(study: Study) -> Iterator[str]:
    """Yield what in `study` doesn't go with its evaluation and subgroups, each "field | reason | remedy"."""
    how = study.evaluation.multiplicity
    for index, endpoint in enumerate(study.endpoint):
        if how != "all" and endpoint.on == "estimate":
            yield (
                f"endpoint[{index}].on | an estimate has no p-value, which evaluation.multiplicity needs | "
                'judge it by the lower limit, or claim that all endpoints are met: multiplicity = "all"'
            )
        if how != "gatekeeping" and endpoint.family != 1:
            yield (
                f"endpoint[{index}].family | orders endpoints for gatekeeping only | "
                'set evaluation.multiplicity = "gatekeeping", or leave family out'
            )
    columns = [subgroup.column for subgroup in study.subgroup]
    modalities = {m.name for m in study.modality}
    images = {m.name for m in study.image_modalities}
    for index, subgroup in enumerate(study.subgroup):
        field = f"subgroup[{index}]"
        if columns.index(subgroup.column) < index:
            yield f"{field}.column | {subgroup.column} stands in a subgroup before | name each column once"
        known = images if subgroup.source == "scanner" else modalities
        if subgroup.modality and subgroup.modality not in known:
            yield (
                f"{field}.column | the study has no such modality as {subgroup.modality} | "
                f"name one of {', '.join(sorted(known))}"
            )
        for other in subgroup.cross:
            if other == subgroup.column or other not in columns:
                yield (
                    f"{field}.cross | {other} is no other subgroup's column | "
                    "add a [[subgroup]] for it, or take it out of cross"
                )
