"""The opened test: what every stage after the unsealing works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from huizhen.core.cohort import Part
from huizhen.core.predictions import Predictions
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.stage import Stage

__all__ = ["COHORT_WORDS", "Opened"]

COHORT_WORDS: Mapping[Part, str] = {Part.TEST: "internal", Part.EXTERNAL: "external"}
"""What each tested part is called in keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The opened test: all cases with outcomes, and the predictions of each evaluated cohort."""

    stage: Stage
    cohort: OpenCohort
    predictions: Mapping[Part, Predictions]
