"""What a lead asks the sites of tested patients: distributions by model, fold, site and group, and pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.core.cohort import Part
from huizhen.core.study import Study
from huizhen.errors import FederationError, NotEstimableError, PolicyError
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.delong import Aucs, DeLong
from huizhen.federate.statistics.divisions import Division
from huizhen.federate.statistics.grouped import GroupedDistribution, ScoresByGroup
from huizhen.federate.statistics.runner import Exchange, conduct
from huizhen.federate.statistics.scores import ScoreDistribution, Scores
from huizhen.pipeline.decisions import Decisions
from huizhen.pipeline.federated_groups import Counted, counted_groups
from huizhen.pipeline.federated_plan import calibrated, folds_of, scores_subject, smallest_count_of
from huizhen.pipeline.federated_scores import TOGETHER, Block
from huizhen.pipeline.predict_stage import log_odds

__all__ = ["Asking", "calibrations", "whole"]

Place = tuple[tuple[str, ...], int | None]
"""Sites that are asked together, and the fold (None: all)."""
LEAST = 3
"""A group is to be at so many sites, or at both of two: else its sum would be one site's own."""


def whole(study: Study, decisions: Decisions, name: str) -> bool:
    """Tell whether a model has a decision in every fold."""
    return len(decisions.get(name, {})) == folds_of(study)


def calibrations(decisions: Decisions, names: Sequence[str]) -> NDArray[np.float64]:
    """Return slope and intercept of models in every fold (models, folds, 2)."""
    by_model = [[decisions[name][fold].platt for fold in sorted(decisions[name])] for name in names]
    return np.array([[[platt.slope, platt.intercept] for platt in folds] for folds in by_model])


@dataclass(kw_only=True)
class Asking:
    """The questions about one part's patients at `sites`, by the locked `decisions`.

    `refused`: model -> why sites don't tell of it, when they have been asked. `uncounted`: column -> why its
    groups aren't counted.
    """

    study: Study
    lead: Lead
    decisions: Decisions
    part: Part
    sites: tuple[str, ...]
    refused: dict[str, str] = field(default_factory=dict)
    uncounted: dict[str, str] = field(default_factory=dict)
    counted: tuple[Counted, ...] = ()

    def __post_init__(self) -> None:
        self.counted, left = counted_groups(self.study)
        self.uncounted |= left
        if not self.apart:
            self.uncounted |= {
                one.column: "sites tell of their patients together, so that none is known to be of one site"
                for one in self.study.subgroup
                if one.source == "site"
            }

    @cached_property
    def apart(self) -> bool:
        """Whether each site is asked by itself: external ones, when all of them let their own result out.

        When one doesn't, its result would be the difference of a sum and the others'.
        """
        return self.part is Part.EXTERNAL and set(self.sites) <= self.lead.alone

    def blocks(self) -> list[Block]:
        """Return all tested patients, block by block; blocks without patients are left out.

        Raises `NotEstimableError` when all are, `PolicyError` when sites don't tell of the main model, and
        `FederationError` below the quorum.
        """
        mains = self._mains()
        places = [(sites, fold) for sites, fold, _ in mains]
        others = {name: self._of(name, places) for name in self._others()}
        groups = self._groups(places)
        names = [self.study.main, *(name for name in others if name not in self.refused)]
        found: list[Block] = []
        for row, (sites, fold, main) in enumerate(mains):
            own = {name: others[name][row] for name in names[1:]}
            told = {name: scores for name, scores in own.items() if scores is not None}
            found.append(
                Block(
                    site=sites[0] if self.apart else TOGETHER,
                    fold=fold,
                    scores={self.study.main: main, **told},
                    thresholds={name: self._threshold(name, fold) for name in names},
                    groups=groups[row] if groups else None,
                )
            )
        return found

    def _others(self) -> list[str]:
        """Return the other models that have a decision in every fold."""
        return [n for n in self.decisions if n != self.study.main and whole(self.study, self.decisions, n)]

    def _mains(self) -> list[tuple[tuple[str, ...], int | None, ScoreDistribution]]:
        """Return the main model's scores, with the sites that they are of and the fold.

        Sites that are asked by themselves may be away, as long as the quorum holds.
        """
        found: list[tuple[tuple[str, ...], int | None, ScoreDistribution]] = []
        answered: list[str] = []
        for sites in [(site,) for site in self.sites] if self.apart else [self.sites]:
            try:
                own = [(sites, fold, self._scores(self.study.main, fold, sites)) for fold in self._folds()]
            except PolicyError:
                raise
            except FederationError as error:
                if not self.apart:
                    raise
                self.lead.journal.note("refused", site=sites[0], reason=error.message)
                continue
            found += [(of, fold, scores) for of, fold, scores in own if scores is not None]
            answered += sites
        if self.apart:
            self.lead.enough(answered, self.sites)
        self.sites = tuple(answered)
        if not found:
            raise NotEstimableError("there is no test patient", remedy="gather cases")
        return found

    def _folds(self) -> Sequence[int | None]:
        """Return the folds that patients are asked about by: external ones are judged by all together."""
        alone = self.part is Part.EXTERNAL or folds_of(self.study) == 1
        return [None] if alone else sorted(self.decisions[self.study.main])

    def _threshold(self, name: str, fold: int | None) -> float:
        """Return from which risk on a model calls a patient."""
        own = self.decisions[name]
        if fold is not None:
            return own[fold].threshold
        cut = float(expit(np.mean([log_odds(decision.threshold) for decision in own.values()])))
        return cut if len(own) > 1 else own[0].threshold

    def _of(self, name: str, places: Sequence[Place]) -> list[ScoreDistribution | None]:
        """Return another model's scores in every place; nothing, noted, when a site doesn't tell."""
        try:
            return [self._scores(name, fold, sites) for sites, fold in places]
        except PolicyError as error:
            self.refused[name] = error.message
            return []

    def _scores(self, name: str, fold: int | None, sites: tuple[str, ...]) -> ScoreDistribution | None:
        """Return the distribution of a model's calibrated risks; None when it answers for nobody."""
        try:
            return conduct(Scores(), self._exchange([name], fold, sites)).result
        except NotEstimableError:
            return None

    def _groups(self, places: Sequence[Place]) -> list[GroupedDistribution]:
        """Return the main model's scores by group in every place; nothing, noted, when sites don't tell."""
        if not self.counted:
            return []
        divisions = tuple(one.division for one in self.counted)
        try:
            return [self._grouped(divisions, fold, sites) for sites, fold in places]
        except (PolicyError, NotEstimableError) as error:
            self.uncounted |= {one.column: error.message for one in self.counted}
            self.counted = ()
            return []

    def _grouped(
        self, divisions: tuple[Division, ...], fold: int | None, sites: tuple[str, ...]
    ) -> GroupedDistribution:
        statistic = ScoresByGroup(
            divisions=divisions,
            smallest_count=smallest_count_of(self.study),
            least_sites=min(LEAST, len(sites)),
        )
        return conduct(statistic, self._exchange([self.study.main], fold, sites)).result

    def aucs(self, one: str, other: str) -> Aucs:
        """Return two models' AUCs on the patients whom both answer, with their covariance.

        Raises `NotEstimableError` when there are too few, or no such model, and `PolicyError`.
        """
        pair = [self._named(one), self._named(other)]
        return conduct(DeLong(models=2), self._exchange(pair, None, self.sites)).result

    def _named(self, name: str) -> str:
        """Return the name that a model was trained under: a single one is its modality's specialist too."""
        base, _, shown = name.partition("|")
        single = f"single:{shown}"
        found = single if base == "specialist" and single in self.decisions else name
        if not whole(self.study, self.decisions, found):
            raise NotEstimableError(f"there are no predictions of {name}", remedy="add it to the variants")
        return found

    def _exchange(self, names: Sequence[str], fold: int | None, sites: tuple[str, ...]) -> Exchange:
        """Return how sites are asked about models' calibrated risks."""
        subject = scores_subject(self.part, fold, names)
        exchange = self.lead.exchange(subject, secure=True, sites=sites)
        return calibrated(exchange, calibrations(self.decisions, names))
