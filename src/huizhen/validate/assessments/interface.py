"""What every family of claims works on, and how a measure becomes Evidence or a reason for its absence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.evidence import Bound, Evidence, Interval, Verdict, judge
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.errors import InvalidInputError, NotEstimableError

SPECIALIST = "specialist"
"""A model trained on a subset of the modalities alone, named "specialist|MG+US"."""
EVERYONE = "all"
STAGE = "validate"
COHORTS: Mapping[Part, str] = {Part.TEST: "internal", Part.EXTERNAL: "external"}
FEW = 10
"""A result on fewer events or non-events than this carries `small` in its detail."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a measure gives: the fields of Evidence that it decides."""

    n: int
    n_events: int
    estimate: float | None = None
    interval: Interval | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """Groups of a column that were held back for being small, and how many patients they have together."""

    groups: tuple[str, ...]
    patients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FromSums:
    """Predictions that were made again from sums over sites: what their rows don't say, which are nobody's.

    A row's outcome goes with its risk of each model by itself, and with its group of each column by itself.
    `paired` gives the difference of two models' AUCs on the patients of both, or raises `NotEstimableError`;
    `uncounted`: column -> why its groups aren't known.
    """

    paired: Callable[[str, str], Measured]
    uncounted: Mapping[str, str] = field(default_factory=dict)
    held_back: Mapping[str, HeldBack] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Locked predictions of one cohort, with the study that fixed its endpoints beforehand.

    `sums`: the predictions are of a federation.
    """

    predictions: Predictions
    study: Study
    phantom: bool
    sums: FromSums | None = None

    def __post_init__(self) -> None:
        if self.predictions.part not in COHORTS:
            raise InvalidInputError(
                f"predictions of the {self.predictions.part.value} part are not evaluated",
                remedy="give those of the test or external part",
                field="part",
            )
        if self.main not in self.predictions.risk:
            raise InvalidInputError(
                f"no predictions of {self.main}", remedy="predict with it first", field="risk"
            )

    @property
    def cohort(self) -> str:
        """The word for the cohort in keys: internal or external."""
        return COHORTS[self.predictions.part]

    @property
    def main(self) -> str:
        """The model; all others are baselines. "cman", or what a table's study calls it."""
        return self.study.main

    @property
    def full_models(self) -> list[str]:
        """The models that aren't restricted to a subset of modalities: the model first, then by name."""
        names = sorted(name for name in self.predictions.risk if "|" not in name and name != self.main)
        return [self.main, *names]

    def everyone(self) -> Mask:
        """Return the mask (n,) of all patients."""
        return np.ones(len(self.predictions.patient), dtype=np.bool_)

    def groups(self) -> Iterator[tuple[str, Mask]]:
        """Yield all patients as "all", then each site's; a site that is itself named "all" as "site:all"."""
        yield EVERYONE, self.everyone()
        if self.study.predictions is not None and self.study.predictions.site is None:
            return
        for site in sorted(set(self.predictions.site.tolist())):
            yield f"site:{site}" if site == EVERYONE else site, self.predictions.site == site

    def answered(self, mask: Mask, *models: str) -> Mask:
        """Return the patients of `mask` (n,) whom all `models` answer.

        Raises `NotEstimableError` if there is no such patient or no such model.
        """
        for model in models:
            if model not in self.predictions.risk:
                raise NotEstimableError(
                    f"there are no predictions of {model}", remedy="add it to the variants"
                )
            mask = mask & ~np.isnan(self.predictions.risk[model])
        if not mask.any():
            raise NotEstimableError(
                f"no patient is answered by {' and '.join(models)}", remedy="gather cases"
            )
        return mask

    @property
    def unit(self) -> str:
        """What is counted: patients, or rows of which a patient may have several."""
        return "patient" if self.predictions.cluster is None else "row"

    def clusters(self, kept: Mask) -> NDArray[np.str_] | None:
        """Return whose the rows of `kept` (n,) are, where a patient may have several; else None."""
        return None if self.predictions.cluster is None else self.predictions.cluster[kept]

    def check_single(self, what: str) -> None:
        """Raise `NotEstimableError` if patients have several rows: `what` has no interval over them."""
        if self.predictions.cluster is not None:
            raise NotEstimableError(
                f"patients have several rows, and {what} has no interval over patients here",
                remedy="give one row a patient",
            )

    def check_risks(self, model: str) -> None:
        """Raise `NotEstimableError` if the scores of `model` only order patients, and are no risks."""
        if model in self.predictions.ranked:
            raise NotEstimableError(
                "the scores only order patients: they are no probabilities",
                remedy="give risks, or log-odds as such",
            )

    def evidence(
        self, key: str, metric: str, measure: Callable[[], Measured], *, bound: Bound | None = None
    ) -> Evidence:
        """Return what `measure` finds as Evidence `key`, judged by `bound`, or NOT_ASSESSED with the reason.

        A measure without an estimate is descriptive.
        """
        try:
            found = measure()
        except NotEstimableError as error:
            return self.not_assessed(key, metric, error.message, bound=bound)
        verdict = Verdict.REPORTED
        if found.estimate is not None and found.interval is not None:
            verdict = judge(found.estimate, found.interval, bound)
        return Evidence(
            key=key,
            metric=metric,
            stage=STAGE,
            estimate=found.estimate,
            interval=found.interval,
            n=found.n,
            n_events=found.n_events,
            unit=self.unit,
            bound=bound,
            verdict=verdict,
            descriptive=found.estimate is None,
            phantom=self.phantom,
            detail=found.detail,
        )

    def not_assessed(self, key: str, metric: str, reason: str, *, bound: Bound | None = None) -> Evidence:
        """Return Evidence that says why `key` was not measured."""
        return Evidence.not_assessed(
            key=key, metric=metric, stage=STAGE, reason=reason, phantom=self.phantom, bound=bound
        )


def sample_notes(group: Mask, kept: Mask, outcome: Mask) -> dict[str, Any]:
    """Return what a reader must know of a sample: patients left unanswered, and whether a class is small.

    `group`, `kept`, `outcome` (n,): the patients asked for, those answered, and who has the event.

    >>> sample_notes(np.array([True, True]), np.array([True, False]), np.array([True, False]))
    {'unanswered': 1, 'small': True}
    """
    notes: dict[str, Any] = {}
    if unanswered := int(np.count_nonzero(group & ~kept)):
        notes["unanswered"] = unanswered
    events = int(np.count_nonzero(kept & outcome))
    if min(events, int(np.count_nonzero(kept)) - events) < FEW:
        notes["small"] = True
    return notes
