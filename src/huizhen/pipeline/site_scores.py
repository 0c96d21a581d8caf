"""What the models that a site holds say of its own patients: calibrated risks, by fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.core.cohort import Case, Part
from huizhen.core.study import Study, Variant
from huizhen.errors import FederationError
from huizhen.federate.statistics.data import Scored, scored
from huizhen.federate.statistics.grouped import GroupedScores
from huizhen.federate.statistics.interface import Query
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.federated_groups import codes_of
from huizhen.pipeline.federated_plan import CALIBRATION, FederatedModel, ScoresAsked, folds_of, scores_of
from huizhen.pipeline.federated_tables import Encodings
from huizhen.pipeline.learned_from import How
from huizhen.pipeline.material import Columns, Material
from huizhen.pipeline.plan import subsets
from huizhen.pipeline.site_models import SiteModels
from huizhen.pipeline.stage import Run
from huizhen.train.fit import predict_logits
from huizhen.train.harmony import Harmony
from huizhen.train.table_regression import table_features

Logits = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SiteScores:
    """The scores of `models` for the patients of one site.

    `development`, `cohort` and `unsealed` give the site's patients when they are needed, `unsealed` with all
    outcomes; `encodings` are those of a fold.
    """

    study: Study
    run: Run
    models: SiteModels
    development: Callable[[], Material]
    cohort: Callable[[], OpenCohort]
    unsealed: Callable[[], OpenCohort]
    encodings: Callable[[int], Encodings]
    harmonies: Callable[[int, Material], Mapping[str, Harmony]] = lambda *_: {}
    """What image features are harmonised by in a fold."""
    out: Callable[[], frozenset[str]] = frozenset
    """Who permits the use no more, and is neither scored nor counted."""
    note: Callable[[How, str, Sequence[Case]], None] = lambda *_: None
    """Is told, before it happens, who is scored by which model."""
    _logits: dict[tuple[Part, str, tuple[str, ...], frozenset[str]], Logits] = field(default_factory=dict)
    _materials: dict[tuple[Part, frozenset[str]], Material] = field(default_factory=dict)

    def forget(self) -> None:
        """Let go of what was scored with weights that are no longer held."""
        self._logits.clear()

    def about(self, subject: str, query: Query, *, hidden: bool) -> Scored:
        """Return outcome and risks of the patients of one part whom all models named can answer.

        `hidden`: for a secure sum. Raises `FederationError` on patients who must not be scored, not yet,
        or not in the clear.
        """
        return self._known(scores_of(subject), query, hidden=hidden)[0]

    def by_group(self, subject: str, query: Query, *, hidden: bool, smallest: int) -> GroupedScores:
        """Return the same with the groups that the study divides tested patients into.

        `smallest`: of how many a group must be to be told of. Raises as `about`, and for tuning patients.
        """
        asked = scores_of(subject)
        if asked.part not in (Part.TEST, Part.EXTERNAL):
            raise FederationError(
                "groups are counted of tested patients only",
                remedy="ask about them after the lock",
                field="subject",
            )
        found, known = self._known(asked, query, hidden=hidden)
        codes = codes_of(self.study, self.material(asked.part).cases)
        return GroupedScores(scored=found, group=codes[:, known], smallest=1 if hidden else smallest)

    def _known(self, asked: ScoresAsked, query: Query, *, hidden: bool) -> tuple[Scored, NDArray[np.bool_]]:
        """Return outcome and risks, and of which cases (n,) of `material` they are."""
        if asked.part is Part.TRAIN:
            raise FederationError(
                "training patients are not scored by outcome",
                remedy="ask about tuning patients",
                field="subject",
            )
        if not hidden and asked.part is not Part.EXTERNAL:
            raise FederationError(
                "scores of a development site's patients leave it in a secure sum only",
                remedy="ask several sites, securely",
                field="subject",
            )
        if asked.part is not Part.TUNE and not self.models.locked():
            raise FederationError(
                "test patients are scored only after the models are locked",
                remedy="lock the models first",
                field="lock",
            )
        how = query.array(CALIBRATION, len(asked.models), folds_of(self.study), 2)
        pairs = zip(asked.models, how, strict=True)
        odds = np.array([self.odds(asked.part, asked.fold, model, own) for model, own in pairs])
        outcome = np.array([case.outcome == 1 for case in self.material(asked.part).cases], bool)
        known = np.isfinite(odds).all(0) & self._present(asked.part)
        return scored(outcome[known], expit(odds[:, known])), known

    def _present(self, part: Part) -> NDArray[np.bool_]:
        """Return which patients of `material(part)` may be scored."""
        out = self.out()
        return np.array([case.pseudonym not in out for case in self.material(part).cases], bool)

    def odds(self, part: Part, fold: int | None, model: str, calibration: NDArray[np.float64]) -> Logits:
        """Return a model's calibrated log-odds for the patients of `material(part)`, the mean over folds.

        Of the fold asked for, or of all, those count in which a patient stands in `part`; else NaN.
        """
        cases = self.material(part).cases
        total, asked = np.zeros(len(cases)), np.zeros(len(cases))
        for number, (slope, intercept) in enumerate(calibration):
            if fold not in (None, number):
                continue
            here = self.standing(part, number)
            total += np.where(here, intercept + slope * self.logits(part, model, number), 0)
            asked += here
        with np.errstate(invalid="ignore"):
            return total / asked

    def standing(self, part: Part, fold: int) -> NDArray[np.bool_]:
        """Return which patients of `material(part)` stand in `part` in one fold."""
        parts = self.cohort().folds[fold].parts
        return np.array([parts[case.pseudonym] is part for case in self.material(part).cases], bool)

    def logits(self, part: Part, model: str, fold: int) -> Logits:
        """Return the mean log-odds of a model's members of one fold for the patients of `material(part)`."""
        members, shown = self._members(model, fold)
        if not members:
            raise FederationError(
                f"the study plans no model {model[:80]} in fold {fold}",
                remedy="run the same version of huizhen everywhere",
                field="subject",
            )
        return np.asarray(np.mean([self._one(part, member, shown) for member in members], axis=0))

    def _members(self, model: str, fold: int) -> tuple[list[FederatedModel], tuple[str, ...]]:
        """Return the members of a planned model, or CMAN's with the subset of modalities it is asked with."""
        own = [m for m in self.models.models.values() if m.fold == fold]
        found = [m for m in own if m.planned.name == model]
        base, _, shown = model.partition("|")
        if found or base != Variant.CMAN.value or tuple(shown.split("+")) not in subsets(self.study):
            return found, ()
        return [m for m in own if m.planned.name == base], tuple(shown.split("+"))

    def _one(self, part: Part, model: FederatedModel, shown: tuple[str, ...] = ()) -> Logits:
        """Return one held model's log-odds, `shown` some modalities only; NaN for whom it can't answer."""
        key = (part, model.name, shown, self.out())
        if key not in self._logits:
            material, names = self.material(part), model.planned.modalities
            data = material.data(self.encodings(model.fold), self.harmonies(model.fold, material))
            rows, cases = np.flatnonzero(self._present(part)), self.material(part).cases
            how = How.TUNED if part is Part.TUNE else How.TESTED
            scored_of = [cases[row] for row in rows] if part is not Part.TUNE else self._tuned(model.fold)
            self.note(how, model.name, scored_of)
            found = np.full(len(data), np.nan)
            if model.regression:
                found[rows] = self.models.regression(model.name).logits(table_features(data, rows))
            else:
                network, keep = self.models.held(model.name)[0], shown or None
                found[rows] = predict_logits(network, data, rows, names, keep=keep)
            whole = model.planned.variant is Variant.SPECIALIST  # which answers for all it was trained on
            able = data.complete(shown or names) if shown or whole else data.answerable(names)
            self._logits[key] = np.where(able, found, np.nan)
        return self._logits[key]

    def _tuned(self, fold: int) -> list[Case]:
        """Return the tuning patients of a fold who may be scored."""
        present = self._present(Part.TUNE) & self.standing(Part.TUNE, fold)
        return [self.material(Part.TUNE).cases[row] for row in np.flatnonzero(present)]

    def material(self, part: Part) -> Material:
        """Return the cases that stand in a part in any fold, with their columns, and may be used."""
        if part in (Part.TRAIN, Part.TUNE):
            return self.development()
        key = part, self.out()
        if key not in self._materials:
            within = self.unsealed().within(part)
            cases: tuple[Case, ...] = tuple(case for case in within if case.pseudonym not in key[1])
            columns = Columns(self.run, cases, augmented=False)
            self._materials[key] = Material(run=self.run, cases=cases, columns=columns)
        return self._materials[key]
