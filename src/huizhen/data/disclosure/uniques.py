"""Who stands out: alone by few columns, by a value that hardly anybody has, or by a rare disease.

Special uniques: Elliot, Manning & Ford, A computational algorithm for handling the special uniques problem,
IJUFKS 10(5):493-509 (2002). A patient alone by two columns is easier to find than one alone by six.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.classes import class_sizes, combined
from huizhen.data.disclosure.microdata import Column, Microdata, number_of

__all__ = ["RareDiseases", "RareValues", "Special", "rare_diseases", "rare_values", "special_uniques"]

MOST_SETS = 400
"""Sets of columns of one size beyond which no larger ones are tried."""
MOST_WORK = 100_000_000
"""The same for rows times sets of columns, all sizes together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Special:
    """How many patients are alone by `columns` of the quasi-identifiers and by no fewer; `worst` is the set
    that singles out most of them."""

    columns: int
    patients: int
    worst: tuple[str, ...]


def special_uniques(data: Microdata, names: Sequence[str]) -> tuple[Special, ...]:
    """Return, by the fewest columns that single them out, how many patients are alone.

    Sizes whose sets of columns are more than `MOST_SETS`, or reach `MOST_WORK`, end the search.
    """
    columns = data.of(names)
    fewest = np.zeros(data.rows, np.int64)
    worst: dict[int, tuple[int, tuple[str, ...]]] = {}
    work = 0
    for size in range(1, len(columns) + 1):
        sets = list(itertools.combinations(columns, size))
        work += len(sets) * data.rows
        if len(sets) > MOST_SETS or (work > MOST_WORK and size > 1):
            break
        for chosen in sets:
            alone = _alone(data, chosen)
            found = int((alone & ((fewest == 0) | (fewest == size))).sum())
            if found > worst.get(size, (0, ()))[0]:
                worst[size] = (found, tuple(one.name for one in chosen))
            fewest[alone & (fewest == 0)] = size
    return tuple(
        Special(columns=size, patients=_people(data, fewest == size), worst=worst[size][1])
        for size in sorted(worst)
        if (fewest == size).any()
    )


def _alone(data: Microdata, chosen: Sequence[Column]) -> NDArray[np.bool_]:
    """Return which rows (rows,) belong to the only patient of their combination."""
    ids = combined([one.codes for one in chosen], [len(one.values) for one in chosen])
    return np.equal(class_sizes(ids, data.patients)[ids], 1)


def _people(data: Microdata, rows: NDArray[np.bool_]) -> int:
    """Return how many patients have one of the rows."""
    return int(rows.sum()) if data.patients is None else len(np.unique(data.patients[rows]))


@dataclass(frozen=True, slots=True, kw_only=True)
class RareValues:
    """Of a column: how many values fewer than `fewest` patients have, those patients, and far-off numbers.

    A number is far off beyond three spreads of the middle half from it (Tukey's outer fences).
    """

    column: str
    values: int
    patients: int
    far_off: int


def rare_values(data: Microdata, names: Sequence[str], *, fewest: int) -> tuple[RareValues, ...]:
    """Return, of each column in which some values stand out, how many do."""
    found = []
    for column in data.of(names):
        people = class_sizes(column.codes, data.patients)
        rare = (people > 0) & (people < fewest) & np.array([value != "" for value in column.values])
        far = _far_off(column)
        if rare.any() or far.any():
            found.append(
                RareValues(
                    column=column.name,
                    values=int(rare.sum()),
                    patients=_people(data, rare[column.codes]),
                    far_off=_people(data, far[column.codes]),
                )
            )
    return tuple(found)


def _far_off(column: Column) -> NDArray[np.bool_]:
    """Return which values (values,) of a numeric column lie beyond Tukey's outer fences."""
    numbers = np.array([np.nan if (n := number_of(v)) is None else n for v in column.values])
    if np.isnan(numbers).mean() > 0.5 or len(numbers) < 10:
        return np.zeros(len(numbers), np.bool_)
    rows = numbers[column.codes]
    low, high = np.nanquantile(rows, [0.25, 0.75])
    spread = 3.0 * (high - low)
    return np.asarray((numbers < low - spread) | (numbers > high + spread), np.bool_)  # not of a NaN


@dataclass(frozen=True, slots=True, kw_only=True)
class RareDiseases:
    """How many diseases fewer than `fewest` people of the area are expected to have, and their patients.

    `most` is the highest chance that a patient of one is the person in the area who has it; `unknown` counts
    patients whose code the table of prevalences lacks: they are taken for rare, with a chance of 1.
    """

    diseases: int
    patients: int
    most: float
    unknown: int
    fewest: int


def rare_diseases(
    data: Microdata, column: str, per_million: Mapping[str, float], *, catchment: int, fewest: int
) -> RareDiseases:
    """Return what the diseases in a column tell of their patients.

    `per_million`: how many people of a million have each disease; `catchment`: the people of the hospital's
    area. A patient's chance of being found is one over the people expected to have the disease, but at least
    the patients of the table that do.
    """
    (held,) = data.of([column])
    people = class_sizes(held.codes, data.patients)
    known = np.array([per_million.get(value, np.nan) for value in held.values])
    named = np.array([value != "" for value in held.values])
    expected = np.maximum(known * catchment / 1e6, people)
    missing = np.isnan(known) & named
    rare = named & (missing | (np.nan_to_num(expected, nan=0.0) < fewest))
    chance = np.where(missing, 1.0, 1.0 / np.maximum(np.nan_to_num(expected, nan=1.0), 1.0))
    return RareDiseases(
        diseases=int(rare.sum()),
        patients=_people(data, rare[held.codes]),
        most=float(chance[rare].max()) if rare.any() else 0.0,
        unknown=_people(data, missing[held.codes]),
        fewest=fewest,
    )
