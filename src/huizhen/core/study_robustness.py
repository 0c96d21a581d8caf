"""The study file's [robustness] and [conformal]: what is tried on the locked model beside its endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from huizhen.core.study_base import Frozen

if TYPE_CHECKING:
    from huizhen.core.study import Study

__all__ = [
    "IMAGE_DISTURBANCES",
    "TABLE_DISTURBANCES",
    "Conformal",
    "Disturbance",
    "Robustness",
    "robustness_problems",
]


class Disturbance(StrEnum):
    """What is done to images or rows before the locked model is asked again."""

    NOISE = "noise"
    BLUR = "blur"
    MOTION = "motion"
    CONTRAST = "contrast"
    DOWNSAMPLING = "downsampling"
    SCANNER = "scanner"
    MISSING = "missing"
    MEASUREMENT_ERROR = "measurement_error"


TABLE_DISTURBANCES = (Disturbance.MISSING, Disturbance.MEASUREMENT_ERROR)
IMAGE_DISTURBANCES = tuple(kind for kind in Disturbance if kind not in TABLE_DISTURBANCES)

Step = Annotated[int, Field(ge=1, le=5)]
Flip = Annotated[float, Field(gt=0, lt=0.5)]


class Robustness(Frozen):
    """Tests of the locked model that change neither the model nor its endpoints: disturbed images and rows,
    wrong test labels, shortcuts. Left out, none is done and the dossier says so.

    What each step does, with its parameter, stands in docs/explanation/robustness.md.
    """

    kinds: tuple[Disturbance, ...] = tuple(Disturbance)
    """What is tried. Of the default, the kinds that the study's modalities allow: the last two are for
    tables, the others for images."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    """Which of the five fixed steps, from barely visible to gross."""
    patients: Annotated[int, Field(ge=20, le=100_000)] = 200
    """At most so many internal test patients, half of them with the event as far as there are so many."""
    shortcuts: bool = True
    """Whether the site is told from the model's features, and lesions with a mask are blanked."""
    label_flips: tuple[Flip, ...] = (0.01, 0.02, 0.05, 0.1)
    """Shares of the test labels that are taken to be wrong; none leaves this out."""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        for name, values in (("kinds", self.kinds), ("steps", self.steps), ("label_flips", self.label_flips)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names one twice")
        if list(self.steps) != sorted(self.steps) or list(self.label_flips) != sorted(self.label_flips):
            raise ValueError("steps and label_flips must rise")
        return self


class Conformal(Frozen):
    """Prediction sets by site and class (Mondrian), fixed on tuning patients with the lock."""

    level: Annotated[float, Field(ge=0.5, le=0.99)] = 0.9
    """The share of patients of each class whose set is meant to hold their outcome."""


def robustness_problems(study: Study) -> Iterator[str]:
    """Yield what in `study` doesn't go with its [robustness] or [conformal], as "field | reason | remedy".

    What is as by default is none: a study that was signed states its defaults.
    """
    if study.is_given:
        if study.conformal is not None:
            yield "conformal | needs the tuning patients of a model that is made here | take it out"
        asked, plain = study.robustness or Robustness(), Robustness()
        for key in ("kinds", "patients", "shortcuts", "steps"):
            if getattr(asked, key) != getattr(plain, key):
                yield f"robustness.{key} | needs the model, and the table holds only its scores | take it out"
        return
    if study.robustness is None or study.robustness.kinds == tuple(Disturbance):
        return
    for index, kind in enumerate(study.robustness.kinds):
        of_tables = kind in TABLE_DISTURBANCES
        if not (study.table_modalities if of_tables else study.image_modalities):
            what = "tables" if of_tables else "images"
            reason = f"{kind.value} is for {what}, and the study has none"
            yield f"robustness.kinds[{index}] | {reason} | take it out"
