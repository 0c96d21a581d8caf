"""The study file's [predictions] and [reads]: tables that somebody else's model, or readers, filled in.

A study holds sites that a model is made from, or one of these tables: what is asked of it, and how it is
judged, is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from huizhen.core.study_base import Frozen, Name

if TYPE_CHECKING:
    from huizhen.core.study import Study

__all__ = [
    "LEFT_OUT",
    "PredictionTable",
    "ReadTable",
    "given_problems",
    "key_name",
    "without_variants",
]

LEFT_OUT = ("modality", "site", "split", "network", "training", "federation", "privacy", "active")
"""Sections on how a model is made: a study of a table has none of them."""

Encoding = Literal["utf-8", "utf-16", "gb18030", "big5", "cp1252", "latin-1", "shift-jis", "euc-kr"]


class PredictionTable(Frozen):
    """A table of predictions that were made elsewhere: a row a patient, or with `clustered` several."""

    table: str
    """CSV or Parquet; its path is relative to the data root ($HUIZHEN_DATA) or else to the study file."""
    encoding: Encoding | None = None
    """Found out where it is left out."""
    patient: str | None = None
    """The column that tells patients apart; without it each row is taken as a patient of its own."""
    outcome: str
    """The column of the reference standard; [task] says which of its values are positive and negative."""
    score: str
    """The column of the model's score, larger for events."""
    model: Name = "model"
    """What reports call the model."""
    compare: tuple[str, ...] = ()
    """Columns of other scores of the same patients, each compared with the model's, paired."""
    scale: Literal["probability", "logit", "rank"] = "probability"
    """probability: risks in [0, 1]. logit: log-odds, turned into risks. rank: any number that grows with the
    risk; only ranks are used, so that calibration and net benefit are not assessed."""
    threshold: float | None = None
    """A score of at least this is a positive decision, on the scale of the table. Fixed beforehand."""
    compare_thresholds: dict[str, float] = Field(default_factory=dict)
    """The same for columns of compare."""
    tune: str | None = None
    """Another table with the same columns, of other patients, that thresholds are chosen on by [threshold];
    never the table that is tested."""
    site: str | None = None
    """The column of the hospital. Columns of subgroups stand in [[subgroup]]."""
    clustered: bool = False
    """A patient may have several rows (lesions, images); intervals are then over patients."""
    other_outcomes: Literal["refuse", "exclude"] = "refuse"
    """What to do where a value of the outcome column is in neither list of [task]: refuse the table, or leave
    such rows out and count them. Rows without an outcome are always left out and counted."""
    cohort: Literal["external", "internal"] = "external"
    """external: the model never learned from patients of these hospitals; internal: it did, from others.
    Taken on trust."""

    @property
    def decides(self) -> bool:
        """Whether a threshold is fixed, or to be chosen on another table."""
        return self.threshold is not None or self.tune is not None

    @model_validator(mode="after")
    def _roles_differ(self) -> Self:
        scores = (self.score, *self.compare)
        if len({key_name(name) for name in scores[1:]} | {self.model}) < len(scores):
            raise ValueError("two scores have the same name in reports; rename a column")
        if self.outcome in scores or self.patient in (self.outcome, *scores):
            raise ValueError("one column can't be patient, outcome and score at once")
        if self.site == self.outcome:
            raise ValueError("the outcome can't be the hospital: it would stand beside the scores unsealed")
        if self.tune is not None and (self.threshold is not None or self.compare_thresholds):
            raise ValueError("a threshold is fixed beforehand, or chosen on the table tune; not both")
        if absent := sorted(set(self.compare_thresholds) - set(self.compare)):
            raise ValueError(f"thresholds of columns that compare doesn't name: {', '.join(absent)}")
        if self.scale == "probability" and self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError("scores are probabilities, so that their threshold is between 0 and 1")
        if self.tune is not None and self.tune == self.table:
            raise ValueError("tune is the tested table: a threshold must be chosen on other patients")
        return self


class ReadTable(Frozen):
    """A reader study: a row a read, of one case by one reader in one arm."""

    table: str
    """CSV or Parquet; its path is relative to the data root ($HUIZHEN_DATA) or else to the study file."""
    encoding: Encoding | None = None
    """Found out where it is left out."""
    patient: str
    """The column that names the case."""
    outcome: str
    """The column of the reference standard, the same in all rows of a case."""
    reader: str
    """The column that names the reader."""
    rating: str
    """The column of the rating, larger for events: a probability, or a category as a number."""
    arm: str | None = None
    """The column of how the case was read, such as without and with AI; without it one arm is described."""
    reference: str | None = None
    """The arm that others are compared with; the last by name where it is left out."""
    threshold: float | None = None
    """A rating of at least this is a positive call. Fixed beforehand."""
    generalise: Literal["readers and cases", "cases", "readers"] = "readers and cases"
    """What the result speaks for: readers and cases like these; these readers; or these cases."""
    margin: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Non-inferiority margin of the difference in AUC from the reference, fixed beforehand."""


def key_name(column: str) -> str:
    """Return a column's or a value's name as it stands in keys of evidence, whose pieces end at a slash.

    >>> key_name("p / AI"), key_name("AI|v2"), key_name("risk")
    ('p _ AI', 'AI_v2', 'risk')
    """
    return re.sub(r"[/|~]", "_", column.strip())


def without_variants(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return an endpoint without the models that only a study that makes its own has.

    >>> without_variants({"metric": "auc", "model": "cman", "against": None})
    {'metric': 'auc'}
    """
    return {key: value for key, value in endpoint.items() if key not in ("model", "against")}


def given_problems(study: Study) -> list[str]:
    """Return what is wrong between the parts of a study that say where its numbers come from."""
    if study.predictions is not None and study.reads is not None:
        return ["[predictions] and [reads] are two studies; write a file for each"]
    tables = {"predictions": study.predictions, "reads": study.reads}
    name = next((key for key, value in tables.items() if value is not None), None)
    if name is None:
        return [f"{key} | is missing | add it" for key in ("modality", "site") if not getattr(study, key)]
    mixed = [
        f"{key} | doesn't go with [{name}]: the model was made elsewhere | take it out"
        for key in LEFT_OUT
        if key in study.model_fields_set
    ]
    table = tables[name]
    shown = [
        f"subgroup | {one.column} is the outcome, which stays apart from scores | compare another column"
        for one in study.subgroup
        if table is not None and one.column == table.outcome
    ]
    return [*mixed, *shown, *_endpoint_problems(study, study.predictions)]


def _endpoint_problems(study: Study, given: PredictionTable | None) -> Iterator[str]:
    """Yield the endpoints that a table of predictions can't answer."""
    for index, endpoint in enumerate(study.endpoint):
        field = f"endpoint[{index}]"
        if given is None:
            yield f"{field} | doesn't go with [reads] | write reads.margin instead"
        elif endpoint.cohort != given.cohort:
            yield f"{field}.cohort | differs from predictions.cohort | write {given.cohort}"
        elif endpoint.metric == "auc_difference" and endpoint.comparator not in given.compare:
            yield f"{field}.comparator | is no column of predictions.compare | name one, or add it there"
        elif endpoint.metric in ("sensitivity", "specificity") and not given.decides:
            yield f"{field}.metric | needs decisions | add predictions.threshold or predictions.tune"
