"""Claims of a reader study: each arm's AUC over readers, each reader's own, and the difference between arms.

Keys, where a reader is called by a number:

- reader_auc/<arm>/all, reader_auc/<arm>/<reader>
- reader_sensitivity/<arm>/all, reader_specificity/<arm>/all
- reader_auc_difference/<arm>~<other>, reader_sensitivity_difference/..., reader_specificity_difference/...
- endpoint/1/reader_auc_difference/reads, where the study fixed a margin
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from huizhen.core.digests import plain
from huizhen.core.evidence import Bound, Evidence, Interval, Verdict, judge
from huizhen.core.study_predictions import ReadTable
from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.readers.effects import Effect
from huizhen.validate.readers.merit import AUC, Merit, sensitivity_at, specificity_at
from huizhen.validate.readers.obuchowski_rockette import against, compare
from huizhen.validate.readers.study import ReaderStudy
from huizhen.validate.readers.u_statistics import u_statistic_difference

__all__ = ["ReaderEvaluation", "assess_readers"]

STAGE = "validate"
CHANCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderEvaluation:
    """The reads of a study with what was fixed beforehand. `reference` is the arm that others are less."""

    reads: ReaderStudy
    plan: ReadTable
    phantom: bool

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The arms compared: every other one less the reference, which is the last by name unless named."""
        arms = self.reads.modalities
        reference = self.plan.reference or arms[-1]
        if reference not in arms:
            raise InvalidInputError(
                f"no read is of the arm {reference}",
                remedy=f"name one of: {', '.join(arms)}",
                field="reads.reference",
            )
        return [(arm, reference) for arm in arms if arm != reference]

    @property
    def merits(self) -> dict[str, Merit]:
        """What is measured of each reader, by name."""
        if self.plan.threshold is None:
            return {"auc": AUC}
        cut = self.plan.threshold
        return {"auc": AUC, "sensitivity": sensitivity_at(cut), "specificity": specificity_at(cut)}

    def evidence(self, key: str, measure: Callable[[], Evidence]) -> Evidence:
        """Return what `measure` gives, or why it gives nothing."""
        try:
            return measure()
        except NotEstimableError as error:
            return Evidence.not_assessed(
                key=key,
                metric=key.partition("/")[0],
                stage=STAGE,
                reason=error.message,
                phantom=self.phantom,
            )

    def made(
        self, key: str, reads: ReaderStudy, estimate: float, interval: Interval, **more: Any
    ) -> Evidence:
        """Return an estimate over the cases of `reads` as evidence."""
        return Evidence(
            key=key,
            metric=key.partition("/")[0],
            stage=STAGE,
            estimate=estimate,
            interval=interval,
            n=int(reads.truth.size),
            n_events=int(np.count_nonzero(reads.truth)),
            phantom=self.phantom,
            **more,
        )


def assess_readers(evaluation: ReaderEvaluation) -> list[Evidence]:
    """Return all evidence of a reader study. Raises `InvalidInputError` on a reference that no read is of."""
    return [*_margins(evaluation), *_differences(evaluation), *_arms(evaluation), *_readers(evaluation)]


# --- arms ----------------------------------------------------------------------------------------------


def _arms(evaluation: ReaderEvaluation) -> Iterator[Evidence]:
    """Yield every arm's mean over its readers."""
    for name, merit in evaluation.merits.items():
        for arm in evaluation.reads.modalities:
            key = f"reader_{name}/{arm}/all"
            yield evaluation.evidence(key, partial(_arm, evaluation, key, arm, merit))


def _arm(evaluation: ReaderEvaluation, key: str, arm: str, merit: Merit) -> Evidence:
    """Return one arm's mean over its readers, with the interval of what the study speaks for."""
    own = evaluation.reads.only(arm)
    found = against(own, merit, arm, value=CHANCE, generalise=evaluation.plan.generalise)
    detail = {"readers": len(own.readers), "reads": int(own.read.sum()), **_freedom(found)}
    return evaluation.made(key, own, found.estimate, found.interval, detail=detail)


def _readers(evaluation: ReaderEvaluation) -> Iterator[Evidence]:
    """Yield every reader's own AUC in every arm."""
    for arm in evaluation.reads.modalities:
        own = evaluation.reads.only(arm)
        for place, reader in enumerate(own.readers):
            key = f"reader_auc/{arm}/{reader}"
            yield evaluation.evidence(key, partial(_reader, evaluation, key, own, place))


def _reader(evaluation: ReaderEvaluation, key: str, own: ReaderStudy, place: int) -> Evidence:
    rating = own.ratings[0, place]
    read = ~np.isnan(rating)
    found = auc_interval(own.truth[read], rating[read], method="logit")
    seen = ReaderStudy(
        truth=own.truth[read],
        ratings=own.ratings[:, [place]][..., read],
        modalities=own.modalities,
        readers=(own.readers[place],),
    )
    return evaluation.made(key, seen, found.value, found.interval)


# --- differences ---------------------------------------------------------------------------------------


def _differences(evaluation: ReaderEvaluation) -> Iterator[Evidence]:
    """Yield the difference of every arm from the reference."""
    for name, merit in evaluation.merits.items():
        for first, second in evaluation.pairs:
            key = f"reader_{name}_difference/{first}~{second}"
            measure = partial(_difference, evaluation, key, (first, second), merit)
            yield evaluation.evidence(key, measure)


def _difference(evaluation: ReaderEvaluation, key: str, pair: tuple[str, str], merit: Merit) -> Evidence:
    """Return the first arm less the second; where readers didn't all use both, by Gallas' U-statistics."""
    reads = evaluation.reads.only(*pair)
    try:
        found = compare(reads, merit, generalise=evaluation.plan.generalise).differences[pair]
    except NotEstimableError:
        if evaluation.plan.generalise != "readers and cases" or reads.read.any(axis=2).all():
            raise
        found = u_statistic_difference(reads, merit, *pair).effect
    detail = {
        "p": plain(found.p),
        "readers": len(reads.readers),
        "reads": int(reads.read.sum()),
        "crossed": reads.crossed,
        **_freedom(found),
    }
    return evaluation.made(key, reads, found.estimate, found.interval, detail=detail)


def _freedom(found: Effect) -> dict[str, float]:
    """Return the degrees of freedom, where they are finite."""
    return {"df": found.df} if math.isfinite(found.df) else {}


def _margins(evaluation: ReaderEvaluation) -> Iterator[Evidence]:
    """Yield the verdict on non-inferiority of every arm, where the study fixed a margin."""
    if evaluation.plan.margin is None:
        return
    bound = Bound(at_least=-evaluation.plan.margin)
    for number, pair in enumerate(evaluation.pairs, start=1):
        key = f"endpoint/{number}/reader_auc_difference/reads"
        names = {"model": pair[0], "against": pair[1]}
        try:
            found = _difference(evaluation, key, pair, AUC)
        except NotEstimableError as error:
            yield Evidence.not_assessed(
                key=key,
                metric="reader_auc_difference",
                stage=STAGE,
                reason=error.message,
                phantom=evaluation.phantom,
                bound=bound,
            )
            continue
        verdict = Verdict.REPORTED
        if found.estimate is not None and found.interval is not None:
            verdict = judge(found.estimate, found.interval, bound)
        yield Evidence(
            key=key,
            metric="reader_auc_difference",
            stage=STAGE,
            estimate=found.estimate,
            interval=found.interval,
            n=found.n,
            n_events=found.n_events,
            bound=bound,
            verdict=verdict,
            phantom=evaluation.phantom,
            detail={**found.detail, **names},
        )
