"""What lies beyond the table: the population behind it, who stands out, rare diseases, genotypes, a model.

Each part is there if the policy asks for it, as plain JSON; what can't be estimated says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.table_text import columns_of, rows_of
from huizhen.data.disclosure.assess import Assessment
from huizhen.data.disclosure.classes import combined
from huizhen.data.disclosure.genotypes import panel_uniqueness
from huizhen.data.disclosure.log_linear import log_linear
from huizhen.data.disclosure.microdata import Codes, Microdata, column_of, number_of, read_microdata
from huizhen.data.disclosure.policy import DisclosurePolicy, RareDisease
from huizhen.data.disclosure.population import Estimate, negative_binomial, pitman_uniques
from huizhen.data.disclosure.report import shown_count
from huizhen.data.disclosure.risk import journalist, marketer
from huizhen.data.disclosure.uniques import rare_diseases, rare_values, special_uniques
from huizhen.data.disclosure.utility import model_effect
from huizhen.errors import DataError, NotEstimableError

__all__ = ["beyond"]


def beyond(found: Assessment, table: Path, folder: Path, *, seed: int = 0) -> dict[str, Any]:
    """Return the parts of the report that the policy asks for; `folder` is where its other tables lie.

    Raises `DataError` and `UnreadableFileError` for tables that the policy names.
    """
    policy, data = found.policy, found.data
    names = list(policy.quasi)
    parts: dict[str, Any] = {
        "special": [
            {
                "columns": one.columns,
                "patients": shown_count(one.patients, policy.smallest),
                "worst": list(one.worst),
            }
            for one in special_uniques(data, names)
        ],
        "rare_values": [
            {
                "column": one.column,
                "values": one.values,
                "patients": shown_count(one.patients, policy.smallest),
                "far_off": shown_count(one.far_off, policy.smallest),
            }
            for one in rare_values(data, names, fewest=policy.bounds.least_class)
        ],
    }
    if policy.population is not None:
        parts["population"] = _population(found, policy, folder, seed)
    if policy.rare_disease is not None:
        parts["rare_disease"] = _rare(data, policy.rare_disease, folder, policy.smallest)
    if policy.genotypes is not None:
        parts["genotypes"] = _genotypes(table, policy.genotypes.prefix, seed)
    if policy.outcome is not None and found.released is not None:
        parts["model"] = _model(found, seed)
    return parts


def _estimate(one: Estimate) -> dict[str, Any]:
    return {"value": one.value, "low": one.low, "high": one.high, "n": one.n, "method": one.method}


def _population(found: Assessment, policy: DisclosurePolicy, folder: Path, seed: int) -> dict[str, Any]:
    """Return the journalist's risk, from a table of the population or from models of its size."""
    assert policy.population is not None
    if policy.population.table is not None:
        return _counted(found, policy, folder / policy.population.table)
    size = int(policy.population.size or 0)
    before = found.ground.sizes(found.ground.ids(tuple(0 for _ in found.ground.shape)))
    made: dict[str, Any] = {"size": size, "before": _modelled(before, size, seed)}
    columns = found.data.of(list(policy.quasi))
    if found.data.patients is None:
        try:
            fitted = log_linear([one.codes for one in columns], [len(one.values) for one in columns], size)
            made["log_linear"] = {
                "uniques": fitted.uniques,
                "matches": fitted.matches,
                "alone": fitted.alone,
                "terms": fitted.terms,
            }
        except NotEstimableError as error:
            made["log_linear"] = {"reason": error.message}
    if found.released is not None:
        made["after"] = _modelled(found.released.sizes[~found.released.failing], size, seed)
    return made


def _modelled(sizes: Codes, size: int, seed: int) -> dict[str, Any]:
    """Return what both models say of classes, or why they can't."""
    made: dict[str, Any] = {}
    try:
        made["population_uniques"] = _estimate(pitman_uniques(sizes, size, seed=seed))
    except NotEstimableError as error:
        made["reason"] = error.message
    try:
        risk = negative_binomial(sizes, size, seed=seed)
    except NotEstimableError as error:
        return {**made, "reason": error.message}
    beside = {"sample_uniques": risk.uniques, "average_risk": risk.average, "max_risk": risk.most}
    return made | {name: _estimate(one) for name, one in beside.items()}


def _counted(found: Assessment, policy: DisclosurePolicy, path: Path) -> dict[str, Any]:
    """Return the journalist's risk of the table as it is, against a table of the population."""
    names = list(policy.quasi)
    people = read_microdata(path, names)
    cells = {name: [*_cells(found.data, name), *_cells(people, name)] for name in names}
    columns = [column_of(name, values) for name, values in cells.items()]
    ids = combined([one.codes for one in columns], [len(one.values) for one in columns])
    rows = found.data.rows
    own, everybody = ids[:rows], np.bincount(ids[rows:], minlength=int(ids.max()) + 1)
    sizes = found.ground.sizes(found.ground.ids(tuple(0 for _ in found.ground.shape)))
    first = np.zeros(len(sizes), np.int64)
    first[found.ground.ids(tuple(0 for _ in found.ground.shape))[found.ground.group]] = own
    behind = everybody[first]
    outside = behind < sizes
    risk = journalist(sizes, np.maximum(behind, sizes), above=policy.bounds.threshold)
    return {
        "people": people.rows,
        "max_risk": risk.most,
        "average_risk": risk.average,
        "share_above": risk.share_above,
        "marketer_risk": marketer(sizes, np.maximum(behind, sizes)),
        "uniques": shown_count(int(((sizes == 1) & (behind == 1)).sum()), policy.smallest),
        "not_in_it": shown_count(int(sizes[outside].sum()), policy.smallest),
    }


def _cells(data: Microdata, name: str) -> list[str]:
    column = data.columns[name]
    return [column.values[code] for code in column.codes]


def _rare(data: Microdata, asked: RareDisease, folder: Path, smallest: int) -> dict[str, Any]:
    """Return how many patients have a disease that few people of the area have."""
    path = folder / asked.prevalence
    per_million: dict[str, float] = {}
    for row in rows_of(path, ["code", "per_million"]):
        number = number_of(row["per_million"])
        if number is None or number < 0:
            raise DataError(
                "a prevalence is no number",
                remedy="write people of a million",
                field="per_million",
                file=path.name,
            )
        per_million[row["code"]] = number
    found = rare_diseases(data, asked.column, per_million, catchment=asked.catchment, fewest=asked.fewest)
    return {
        "column": asked.column,
        "diseases": found.diseases,
        "patients": shown_count(found.patients, smallest),
        "unknown": shown_count(found.unknown, smallest),
        "max_risk": found.most,
        "fewest": found.fewest,
        "catchment": asked.catchment,
    }


def _genotypes(table: Path, prefix: str, seed: int) -> dict[str, Any]:
    """Return how few SNPs tell the rows apart. Raises `DataError` where no column begins so."""
    names = [name for name in columns_of(table) if name.startswith(prefix)]
    if not names:
        raise DataError(
            f"no column begins with {prefix}",
            remedy="correct genotypes.prefix",
            field="genotypes",
            file=table.name,
        )
    panel = panel_uniqueness(read_microdata(table, names).of(names), seed=seed)
    return {
        "people": panel.people,
        "snps": panel.snps,
        "alone": panel.alone,
        "chance": panel.chance,
        "half": panel.half,
        "nearly": panel.nearly,
        "curve": [list(point) for point in panel.curve],
    }


def _model(found: Assessment, seed: int) -> dict[str, Any]:
    """Return what the recoding does to a model of the outcome, on the patients who stay."""
    released, ground, outcome = found.released, found.ground, found.policy.outcome
    assert released is not None
    assert outcome is not None
    (column,) = found.data.of([outcome.column])
    positive = np.array([value in outcome.positive for value in column.values])[column.codes]
    stays = ~released.failing[released.ids][ground.group]
    people = found.data.patients if found.data.patients is not None else np.arange(found.data.rows)
    before: list[Codes] = [one.codes[stays] for one in found.data.of(list(found.policy.quasi))]
    after = [_recoded(found, k)[stays] for k in range(len(ground.hierarchies))]
    try:
        made = model_effect(before, after, positive[stays], people[stays], seed=seed)
    except NotEstimableError as error:
        return {"reason": error.message}
    return {
        "n": made.n,
        "events": made.events,
        "before": made.before,
        "after": made.after,
        "low": made.low,
        "high": made.high,
    }


def _recoded(found: Assessment, index: int) -> Codes:
    """Return the codes (rows,) of a quasi-identifier as it is released, hidden cells being one value."""
    released = found.released
    assert released is not None
    one, level = found.ground.hierarchies[index], released.standing.node[index]
    groups = one.levels[level].codes[found.ground.codes[index]] + 1
    hidden: Sequence[bool] | Any = released.hidden[:, index]
    return np.where(hidden, 0, groups)[found.ground.group]
