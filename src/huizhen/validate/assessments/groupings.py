"""Which patients stand in which group: the study's subgroups, their intersections, the sites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study_evaluation import Subgroup
from huizhen.errors import NotEstimableError
from huizhen.validate.assessments.interface import Evaluation
from huizhen.validate.grouping import NONE, crossed, group_names, groups_of, joined

SITE = "site"
CROSS = " × "
"""Stands between the columns of an intersection."""
MOST = 60
"""More groups than this are no subgroups: an identifier, or a number without edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """A column's groups (n,), empty where a patient is in none; `order`: how they are listed.

    `planned`: named in the study file.
    """

    column: str
    labels: NDArray[np.str_]
    order: tuple[str, ...]
    planned: bool = True


def groupings(evaluation: Evaluation) -> Iterator[Grouping | tuple[str, str]]:
    """Yield each grouping of the patients, or its column and why there is none.

    First the study's subgroups and their intersections, then the sites where there are two and no subgroup
    names them.
    """
    found: dict[str, Grouping] = {}
    for subgroup in evaluation.study.subgroup:
        try:
            labels = _labels(evaluation, subgroup)
            order = group_names(subgroup) or _names(labels)
            made = Grouping(column=subgroup.column, labels=labels, order=order)
        except NotEstimableError as error:
            yield subgroup.column, error.message
            continue
        found[subgroup.column] = made
        yield made
    yield from _intersections(evaluation, found)
    sites = evaluation.predictions.site
    if not any(one.column == SITE for one in evaluation.study.subgroup) and np.unique(sites).size > 1:
        yield Grouping(column=SITE, labels=sites, order=_names(sites), planned=False)


def _names(labels: NDArray[np.str_]) -> tuple[str, ...]:
    return tuple(str(name) for name in np.unique(labels).tolist() if name != NONE)


def _labels(evaluation: Evaluation, subgroup: Subgroup) -> NDArray[np.str_]:
    """Return a subgroup's groups. Raises `NotEstimableError` where they aren't known."""
    predictions, sums = evaluation.predictions, evaluation.sums
    if sums is not None and subgroup.column in sums.uncounted:
        raise NotEstimableError(sums.uncounted[subgroup.column], remedy="ask each site for its own dossier")
    if sums is not None and subgroup.source == "present" and subgroup.column in predictions.groups:
        return predictions.groups[subgroup.column]
    if subgroup.source == "site":
        return groups_of(predictions.site, subgroup)
    if subgroup.source == "present":
        there = predictions.present.get(subgroup.modality)
        if there is None:
            raise NotEstimableError(f"the predictions don't say who has {subgroup.modality}", remedy="add it")
        return np.where(there, "present", "absent")
    if subgroup.column not in predictions.groups:
        raise NotEstimableError(f"the predictions have no column {subgroup.column}", remedy="add it")
    labels = groups_of(predictions.groups[subgroup.column], subgroup)
    count = np.unique(labels[labels != NONE]).size
    if count > MOST:
        raise NotEstimableError(
            f"the column has {count} values, more than {MOST}", remedy="give edges or groups"
        )
    return labels


def _intersections(
    evaluation: Evaluation, found: dict[str, Grouping]
) -> Iterator[Grouping | tuple[str, str]]:
    """Yield each pair of subgroups that the study crosses, once."""
    done: set[frozenset[str]] = set()
    for subgroup in evaluation.study.subgroup:
        for other in subgroup.cross:
            pair = frozenset((subgroup.column, other))
            if pair in done or not pair <= set(found):
                continue
            done.add(pair)
            one, two = found[subgroup.column], found[other]
            column = f"{one.column}{CROSS}{two.column}"
            if evaluation.sums is not None and column in evaluation.sums.uncounted:
                yield column, evaluation.sums.uncounted[column]
                continue
            order = tuple(joined(a, b) for a in one.order for b in two.order)
            labels = evaluation.predictions.groups.get(column) if evaluation.sums is not None else None
            labels = crossed(one.labels, two.labels) if labels is None else labels
            yield Grouping(column=column, labels=labels, order=order)
