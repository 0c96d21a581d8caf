"""The study file's [[endpoint]] and [threshold], and the models that they name."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from huizhen.core.study_base import Frozen

__all__ = ["Endpoint", "ThresholdRule", "Variant"]


class Variant(StrEnum):
    """The model and the baselines that it is compared with."""

    CMAN = "cman"
    CONCATENATION = "concatenation"
    LATE_AVERAGE = "late_average"
    SINGLE = "single"
    """One model per modality, each trained on that modality alone."""
    SPECIALIST = "specialist"
    """One model per subset of two or more modalities (but not all), each trained on that subset alone."""
    TABLE_LR = "table_lr"
    """Logistic regression on the table modalities alone."""


class ThresholdRule(Frozen):
    """How the decision threshold is chosen on tuning data, before the test set is opened."""

    rule: Literal["sensitivity", "specificity", "youden"] = "sensitivity"
    target: Annotated[float, Field(gt=0, lt=1)] = 0.9


class Endpoint(Frozen):
    """An acceptance bound, fixed beforehand."""

    metric: Literal["auc", "auc_difference", "sensitivity", "specificity"] = "auc"
    model: Variant = Variant.CMAN
    against: Variant | None = None
    """With auc_difference: the baseline."""
    comparator: str | None = None
    """With auc_difference, in a study of [predictions]: the column of the other score."""
    cohort: Literal["internal", "external"] = "internal"
    at_least: float
    """The bound. Of a difference a negative one is a margin: -0.05 asks for no worse than 0.05 below."""
    on: Literal["lower", "estimate"] = "lower"
    family: Annotated[int, Field(ge=1, le=9)] = 1
    """With evaluation.multiplicity = "gatekeeping": a family is tested only where all of the one before are
    met."""

    @model_validator(mode="after")
    def _difference_names_baseline(self) -> Self:
        if (self.metric == "auc_difference") != bool(self.against or self.comparator):
            raise ValueError("against goes with auc_difference, and auc_difference needs it")
        return self
