"""The groups that sites count together: which they are, by the study alone, and who of a site is in which.

A group must be known at every site before anybody is counted, so that a column whose values make its groups
(neither edges nor groups in the study) has none here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case
from huizhen.core.study import Study
from huizhen.core.study_evaluation import Subgroup
from huizhen.federate.statistics.divisions import NOBODY, Division
from huizhen.validate.assessments.groupings import CROSS, MOST
from huizhen.validate.grouping import group_names, groups_of, joined

__all__ = ["GROUPS", "Counted", "codes_of", "counted_groups"]

GROUPS = 240
"""Groups of all columns together: a site sends half a megabyte for each."""
UNNAMED = "the study names none of its groups, and sites can only count groups that all of them know"
MANY = "there would be more groups than sites count together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A column whose groups sites count, or two columns' intersections: the groups' names in order."""

    column: str
    names: tuple[str, ...]
    division: Division


def counted_groups(study: Study) -> tuple[tuple[Counted, ...], dict[str, str]]:
    """Return what of the study's subgroups sites count, in order, and column -> why the others aren't.

    Groups of sites are in neither: what a site says alone is known of that site as a whole.
    """
    found: list[Counted] = []
    left: dict[str, str] = {}
    for subgroup in study.subgroup:
        names = _names(subgroup)
        if subgroup.source == "site":
            continue
        if not names:
            left[subgroup.column] = UNNAMED
        elif not _fits(found, len(names)):
            left[subgroup.column] = MANY
        else:
            division = Division(shape=(len(names),))
            found.append(Counted(column=subgroup.column, names=names, division=division))
    for one, other in _pairs(study, found):
        column, shape = f"{one.column}{CROSS}{other.column}", (len(one.names), len(other.names))
        if not _fits(found, shape[0] * shape[1]):
            left[column] = MANY
            continue
        division = Division(shape=shape, of=(found.index(one), found.index(other)))
        both = tuple(joined(a, b) for a in one.names for b in other.names)
        found.append(Counted(column=column, names=both, division=division))
    return tuple(found), left


def _names(subgroup: Subgroup) -> tuple[str, ...]:
    return ("present", "absent") if subgroup.source == "present" else group_names(subgroup)


def _fits(found: Sequence[Counted], more: int) -> bool:
    return more <= MOST and sum(len(one.names) for one in found) + more <= GROUPS


def _pairs(study: Study, found: Sequence[Counted]) -> list[tuple[Counted, Counted]]:
    """Return the pairs of counted columns that the study crosses, once each, as the study orders them."""
    by_column = {one.column: one for one in found}
    asked = [(one.column, other) for one in study.subgroup for other in one.cross]
    pairs = {frozenset(pair): pair for pair in reversed(asked)}
    return [
        (by_column[one], by_column[other])
        for one, other in sorted(pairs.values(), key=asked.index)
        if one in by_column and other in by_column
    ]


def codes_of(study: Study, cases: Sequence[Case]) -> NDArray[np.int64]:
    """Return (columns, n) in which group of each column of `counted_groups` the cases are; -1 in none."""
    counted, _ = counted_groups(study)
    by_column = {one.column: one for one in study.subgroup}
    found: list[NDArray[np.int64]] = []
    for each in counted:
        if each.division.of:
            one, other = (found[place] for place in each.division.of)
            both = (one != NOBODY) & (other != NOBODY)
            found.append(np.where(both, one * each.division.shape[1] + other, NOBODY))
        else:
            found.append(_codes(by_column[each.column], each.names, cases))
    return np.array(found, np.int64).reshape(len(counted), len(cases))


def _codes(subgroup: Subgroup, names: tuple[str, ...], cases: Sequence[Case]) -> NDArray[np.int64]:
    """Return (n,) the places of the cases' groups in `names`."""
    if subgroup.source == "present":
        there = [subgroup.modality in case.modalities for case in cases]
        return np.where(there, 0, 1).astype(np.int64)
    told = groups_of(np.array([case.groups.get(subgroup.column, "") for case in cases], np.str_), subgroup)
    places = {name: place for place, name in enumerate(names)}
    return np.array([places.get(label, NOBODY) for label in told.tolist()], np.int64)
