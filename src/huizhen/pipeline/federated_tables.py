"""Tables in a federation: how columns become numbers, found from sums over the sites' training patients.

Moments and counts of levels are asked over all development sites, and what comes of them is the encoding that
the pooled tables would give, but that levels of few patients become one. It is fixed at every site before the
first round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.digests import canonical_json
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json
from huizhen.core.study import Study, TableModality
from huizhen.data.tables import (
    ColumnEncoding,
    ColumnKind,
    TableEncoding,
    categorical_column,
    declared_levels,
    numeric_column,
)
from huizhen.errors import FederationError, InvalidInputError, ModelError, NotEstimableError
from huizhen.federate import messages as wire
from huizhen.federate.lead import Lead
from huizhen.federate.orders import order
from huizhen.federate.statistics.levels import FoundLevels, Levels
from huizhen.federate.statistics.moments import Moments, Summary
from huizhen.federate.statistics.runner import conduct
from huizhen.pipeline.federated_harmony import (
    harmonies_fit,
    harmonies_over,
    harmonised_evidence,
    harmony_from_json,
    harmony_to_json,
)
from huizhen.pipeline.federated_plan import folds_of, smallest_count_of
from huizhen.pipeline.stage import Made, Run, Stage
from huizhen.train.harmony import Harmony

ENCODINGS = "encodings.json"
MOMENTS, LEVELS = "moments", "levels"
Encodings = Mapping[str, TableEncoding]
"""Table modality -> encoding."""


def moments_of(modality: TableModality) -> Moments:
    """Return the statistic of a table's columns; of categorical ones only whether there is a value."""
    return Moments(columns=(*modality.numeric, *modality.categorical))


def levels_of(study: Study, modality: TableModality, column: int) -> Levels:
    """Return the statistic of one categorical column. Raises `FederationError` when there is none such."""
    if study.federation is None or not 0 <= column < len(modality.categorical):
        raise FederationError(
            f"the table {modality.name} has no categorical column {column}",
            remedy="run the same version of huizhen everywhere",
            field="subject",
        )
    name = f"{study.digest}/{modality.name}/{modality.categorical[column]}"
    return Levels(column=name, smallest_count=study.federation.smallest_count)


def table_of(study: Study, name: str) -> TableModality:
    """Return the table modality `name`. Raises `FederationError` when there is none such."""
    for modality in study.table_modalities:
        if modality.name == name:
            return modality
    raise FederationError(
        f"the study has no table {name[:80]}", remedy="run the same version everywhere", field="subject"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """The encodings of every fold: what is fixed before the first round."""

    encodings: tuple[Encodings, ...]
    harmonies: tuple[Mapping[str, Harmony], ...] = ()
    """Each fold's ComBat by image modality, without any site's shift; empty without [harmonisation]."""

    def to_text(self) -> str:
        """Return the plan as canonical JSON."""
        plain: dict[str, Any] = {
            "encodings": [{name: e.to_json() for name, e in by_name.items()} for by_name in self.encodings]
        }
        if self.harmonies:
            plain["harmonies"] = [
                {name: harmony_to_json(h) for name, h in by_name.items()} for by_name in self.harmonies
            ]
        return canonical_json(plain).decode()

    @classmethod
    def from_text(cls, text: str, study: Study) -> TablePlan:
        """Return the plan that `to_text` wrote for `study`. Raises `FederationError` on any other."""
        try:
            plain = json.loads(text)
            found = cls(
                encodings=tuple(
                    {name: TableEncoding.from_json(record) for name, record in by_name.items()}
                    for by_name in plain["encodings"]
                ),
                harmonies=tuple(
                    {name: harmony_from_json(record) for name, record in by_name.items()}
                    for by_name in plain.get("harmonies", [])
                ),
            )
        except (ModelError, InvalidInputError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _other("a plan that can't be read") from error
        if not harmonies_fit(study, found.harmonies):
            raise _other("a plan of other features")
        if len(found.encodings) != folds_of(study) or not all(_fits(e, study) for e in found.encodings):
            raise _other("a plan of other tables")
        return found


def _other(what: str) -> FederationError:
    return FederationError(what, remedy="run the same version of huizhen everywhere", field="plan")


def _fits(encodings: Encodings, study: Study) -> bool:
    """Tell whether encodings are of the study's tables, column by column."""
    if set(encodings) != {m.name for m in study.table_modalities}:
        return False
    return all(_columns_fit(encodings[m.name], m) for m in study.table_modalities)


def _columns_fit(encoding: TableEncoding, modality: TableModality) -> bool:
    kinds = [(name, ColumnKind.NUMERIC) for name in modality.numeric]
    kinds += [(name, ColumnKind.CATEGORICAL) for name in modality.categorical]
    starts = [0, *(column.stop for column in encoding.columns)]
    widths = [len(c.levels) + c.other if c.kind is ColumnKind.CATEGORICAL else 1 for c in encoding.columns]
    return (
        encoding.missing_codes == modality.missing_codes
        and kinds == [(column.name, column.kind) for column in encoding.columns]
        and [column.start for column in encoding.columns] == starts[:-1]
        and [column.stop - column.start for column in encoding.columns] == widths
        and all(np.isfinite([c.mean, c.sd]).all() and c.sd > 0 for c in encoding.columns)
    )


def tables_stage(
    run: Run, lead: Lead, sites: tuple[str, ...], cohort: Stage
) -> tuple[TablePlan, Stage | None]:
    """Find the encodings from sums over `sites`, and have every site fix them; nothing without tables.

    Raises `FederationError` when fewer sites than the quorum take the plan, and what the sums raise.
    """
    study = run.study
    if not study.table_modalities and study.harmonisation is None:
        return TablePlan(encodings=({},) * folds_of(study)), None

    def body(folder: Path) -> Made:
        found = [
            {m.name: _encoding(study, lead, sites, m, fold) for m in study.table_modalities}
            for fold in range(folds_of(study))
        ]
        moved = harmonies_over(study, lead, sites)
        plan = TablePlan(encodings=tuple(found), harmonies=moved)
        write_json(folder / ENCODINGS, json.loads(plan.to_text()))
        evidence = [e for k, by_name in enumerate(found) for e in _evidence(run, by_name, k)]
        return Made(evidence=[*evidence, *harmonised_evidence(run, moved)])

    keys = {"modality", "federation", "split", "seed", *(["harmonisation"] if study.harmonisation else [])}
    settings = study.model_dump(mode="json", include=keys)
    inputs = [settings, cohort.digest, study.digest]
    stage = run.stage("tables", inputs, body, made_from={"cohort": cohort.digest})
    plan = TablePlan.from_text(json.dumps(stage.read(ENCODINGS)), study)
    _send(lead, plan)
    return plan, stage


def _send(lead: Lead, plan: TablePlan) -> None:
    """Have every site that takes part fix the plan. Raises `FederationError` below the quorum."""
    lead.plan = wire.Plan(study=lead.study.digest, sender=wire.LEAD, definition=plan.to_text())
    order(lead, lead.plan, lead.taking_part)


def _encoding(
    study: Study, lead: Lead, sites: Sequence[str], modality: TableModality, fold: int
) -> TableEncoding:
    """Return one table's encoding from sums over the training patients of a fold."""
    place = f"{fold}/{modality.name}"
    try:
        exchange = lead.exchange(f"{MOMENTS}/{place}", secure=True, sites=sites)
        moments = conduct(moments_of(modality), exchange, smallest_count=smallest_count_of(study)).result
    except NotEstimableError:  # no training patient has the table at any site: as of no row
        return TableEncoding.fit([], modality)
    columns: list[ColumnEncoding] = []
    for k, name in enumerate(moments.columns):
        start = columns[-1].stop if columns else 0
        if name in modality.numeric:
            columns.append(_numeric(moments, k, start))
            continue
        number = modality.categorical.index(name)
        levels, other = list(declared_levels(modality, name)), False
        if not levels:
            asked = lead.exchange(f"{LEVELS}/{place}/{number}", secure=True, sites=sites)
            found: FoundLevels = conduct(levels_of(study, modality, number), asked).result
            levels, other = sorted(found.counts), found.rest > 0
        n = int(moments.present[k])
        columns.append(categorical_column(name, levels, start=start, n=n, other=other))
    return TableEncoding(modality=modality.name, columns=tuple(columns), missing_codes=modality.missing_codes)


def _numeric(moments: Summary, k: int, start: int) -> ColumnEncoding:
    """Return a numeric column's encoding: mean and standard deviation of the population of values."""
    n = int(moments.present[k])
    variance = float(moments.variance[k]) * (n - 1) / n if n > 1 else 0.0
    mean = float(moments.mean[k]) if n else 0.0
    return numeric_column(moments.columns[k], start=start, n=n, mean=mean, sd=float(np.sqrt(variance)))


def _evidence(run: Run, encodings: Encodings, fold: int) -> list[Evidence]:
    """Return how each table is encoded in one fold, and in which columns levels were pooled."""
    return [
        Evidence(
            key=f"encoding/{name}/fold{fold}",
            metric="encoding",
            stage="tables",
            n=max((c.n for c in encoding.columns), default=0),
            descriptive=True,
            phantom=run.study.phantom,
            detail={
                "columns": [_described(column) for column in encoding.columns],
                "smallest_count": smallest_count_of(run.study),
                "pooled_levels": [column.name for column in encoding.columns if column.other],
            },
        )
        for name, encoding in encodings.items()
    ]


def _described(column: ColumnEncoding) -> dict[str, object]:
    """Return a column as plain values for evidence."""
    plain: dict[str, object] = {"name": column.name, "kind": column.kind.value, "n": column.n}
    if column.kind is ColumnKind.NUMERIC:
        return {**plain, "mean": column.mean, "sd": column.sd}
    return {**plain, "levels": list(column.levels), "other": column.other}
