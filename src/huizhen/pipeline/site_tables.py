"""A site's tables in a federation: the plan that is fixed there, and sums over its training patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.cohort import Case
from huizhen.core.files import write_text
from huizhen.core.streams import stream_seed
from huizhen.core.study import Study, TableModality, Variant
from huizhen.data.tables import level_name, number_of, values_of
from huizhen.errors import FederationError
from huizhen.federate.policy import SitePolicy
from huizhen.federate.statistics.batch import Folded
from huizhen.federate.statistics.data import Design, Table, design, table_of
from huizhen.federate.statistics.interface import Sized, Statistic
from huizhen.federate.statistics.levels import LONGEST, LevelCounts
from huizhen.federate.statistics.penalty import deal_folds
from huizhen.pipeline.federated_plan import FederatedModel
from huizhen.pipeline.federated_regression import FIT, logistic_of, statistic_of, tables_of
from huizhen.pipeline.federated_tables import LEVELS, Encodings, TablePlan, levels_of, moments_of
from huizhen.pipeline.federated_tables import table_of as modality_of
from huizhen.train.arrays import CaseData
from huizhen.train.floor import floor_design
from huizhen.train.harmony import Harmony
from huizhen.train.table_regression import INNER_FOLDS, table_features

PLAN = "plan.json"
Answerable = tuple[Statistic[Any, Any], Sized]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTables:
    """The tables of `study` at the site called `site`, which keeps the plan in `folder`."""

    study: Study
    site: str
    folder: Path

    def fix(self, definition: str) -> None:
        """Fix the plan. Raises `FederationError` on one of other tables, or when another was fixed before."""
        TablePlan.from_text(definition, self.study)
        file = self.folder / PLAN
        if not file.exists():
            write_text(file, definition)
        elif file.read_text(encoding="utf-8") != definition:
            raise FederationError(
                "another plan was fixed for this study here",
                remedy="changed data make another study: sign a new one",
                field="plan",
            )

    def encodings(self, fold: int) -> Encodings:
        """Return the encodings of a fold. Raises `FederationError` before there is a plan."""
        if not self.study.table_modalities:
            return {}
        file = self.folder / PLAN
        if not file.exists():
            raise FederationError(
                "the study's plan isn't fixed here yet", remedy="send the plan first", field="plan"
            )
        return TablePlan.from_text(file.read_text(encoding="utf-8"), self.study).encodings[fold]

    def harmonies(self, fold: int) -> Mapping[str, Harmony]:
        """Return what a fold's features are harmonised by, without any site; none before there is a plan."""
        file = self.folder / PLAN
        if not file.exists():
            return {}
        return TablePlan.from_text(file.read_text(encoding="utf-8"), self.study).harmonies[fold]

    def columns(self, kind: str, rest: str, cases: Sequence[Case], policy: SitePolicy) -> Answerable:
        """Return moments or levels of a table ("TABLE", "TABLE/COLUMN") over the training `cases`.

        Raises `PolicyError` where the site doesn't let names of categories leave.
        """
        name, _, number = rest.partition("/")
        modality = modality_of(self.study, name)
        rows = [case.covariates[name] for case in cases if name in case.covariates]
        if kind != LEVELS:
            return moments_of(modality), _numbers(modality, rows)
        statistic = levels_of(self.study, modality, int(number) if number.isdecimal() else -1)
        policy.name_levels(smallest=statistic.smallest_count)
        return statistic, _levels(modality, modality.categorical[int(number)], rows)

    def regression(self, what: str, model: FederatedModel, data: CaseData, rows: Any) -> Answerable | None:
        """Return the part of a regression that is asked for, over the training `rows` of `data`."""
        tables = tables_of(model, data.tables)
        if model.planned.variant is Variant.TABLE_LR:
            features = table_features(data, rows)
        else:
            features = floor_design(data, tables, rows)
        statistic = statistic_of(what, features.shape[1])
        outcome = data.outcome[rows].astype(np.float64)
        found = design(logistic_of(features.shape[1]).columns, features, outcome)
        if statistic is None:
            return None
        return statistic, found if what == FIT else self._folded(model, found)

    def _folded(self, model: FederatedModel, found: Design) -> Folded[Design]:
        """Return the patients with the inner fold that each is held out in."""
        seed = stream_seed(self.study.seed, "floor", model.planned.name, model.fold)
        fold = deal_folds(found.target, INNER_FOLDS, seed=seed, site=self.site)
        return Folded(data=found, fold=fold)


def _numbers(modality: TableModality, rows: Sequence[Mapping[str, float | str | None]]) -> Table:
    """Return a table's columns as numbers, NaN where missing; 0 stands for any category."""
    columns = (*modality.numeric, *modality.categorical)
    values = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        for k, name in enumerate(columns):
            for value in values_of([row], name, modality.missing_codes):
                values[i, k] = number_of(value, name) if name in modality.numeric else 0.0
    return table_of(columns, values)


def _levels(
    modality: TableModality, name: str, rows: Sequence[Mapping[str, float | str | None]]
) -> LevelCounts:
    """Return how many patients have each level of a column."""
    counts = Counter(level_name(value) for value in values_of(rows, name, modality.missing_codes))
    if any(len(level.encode()) > LONGEST for level in counts):
        raise FederationError(
            f"a level of {modality.name} has a name of more than {LONGEST} bytes",
            remedy="shorten it in the table, or state the column's levels in the study",
            field=name,
        )
    return LevelCounts(counts=counts, n=len(rows))
