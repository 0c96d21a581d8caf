"""Rows of covariates as numbers: standardised, one-hot, with absence kept apart from zero.

The encoding is learned from the training patients only, is frozen, and goes into the model's card as JSON.
Every column of the table keeps its own slice of the features and its own mark of presence, so that a
network can make one token of each column and leave absent ones out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study import TableModality
from huizhen.errors import DataError, InvalidInputError

Row = Mapping[str, float | str | None]


class ColumnKind(StrEnum):
    """How a column becomes numbers."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnEncoding:
    """One column: its features are values[start:stop].

    Numeric: one feature, (value - mean) / sd. Categorical: one feature for each of `levels`, and with `other`
    a last one for any other level; without it, a level unseen in training is present with all of them 0.
    `n` is the number of training values.
    """

    name: str
    kind: ColumnKind
    start: int
    stop: int
    n: int
    mean: float = 0.0
    sd: float = 1.0
    levels: tuple[str, ...] = ()
    other: bool = False

    def write(self, value: float | str, features: NDArray[np.float32]) -> None:
        """Put `value` into `features` (stop - start,), all 0. Raises `DataError` on text for a number."""
        if self.kind is ColumnKind.CATEGORICAL:
            level = level_name(value)
            if level in self.levels:
                features[self.levels.index(level)] = 1
            elif self.other:
                features[-1] = 1
        else:
            features[0] = (number_of(value, self.name) - self.mean) / self.sd


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEncoding:
    """How the rows of one table modality become numbers.

    >>> modality = TableModality(name="clinic", kind="table", numeric=("age",), categorical=("er",))
    >>> rows = [{"age": 40.0, "er": "pos"}, {"age": 60.0, "er": "neg"}, {"age": None, "er": "pos"}]
    >>> encoding = TableEncoding.fit(rows, modality)
    >>> values, present = encoding.apply({"age": 70.0, "er": None})
    >>> values.tolist(), present.tolist()
    ([2.0, 0.0, 0.0], [True, False])
    >>> TableEncoding.from_json(encoding.to_json()) == encoding
    True
    """

    modality: str
    columns: tuple[ColumnEncoding, ...]
    missing_codes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, rows: Sequence[Row], modality: TableModality) -> TableEncoding:
        """Return the encoding learned from the training patients' `rows`.

        Means and standard deviations (of the population) are over values that are there; a column
        without spread, or without any value, keeps a standard deviation of 1. Levels are those that the
        modality states, or else those found. Raises `DataError` on text in a numeric column.
        """
        columns: list[ColumnEncoding] = []
        start = 0
        for name in (*modality.numeric, *modality.categorical):
            found = values_of(rows, name, modality.missing_codes)
            if name in modality.numeric:
                columns.append(_fit_numeric(name, found, start))
            else:
                levels = declared_levels(modality, name) or sorted({level_name(value) for value in found})
                columns.append(categorical_column(name, levels, start=start, n=len(found)))
            start = columns[-1].stop
        return cls(modality=modality.name, columns=tuple(columns), missing_codes=modality.missing_codes)

    @property
    def n_features(self) -> int:
        """How many numbers a row becomes."""
        return self.columns[-1].stop if self.columns else 0

    def apply(self, row: Row) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return a row's values (n_features,), 0 where missing, and which columns are present (n_columns,).

        A column that `row` lacks is missing, and so is NaN. Raises `DataError` on text in a numeric column
        and on an infinite number.
        """
        values = np.zeros(self.n_features, dtype=np.float32)
        present = np.zeros(len(self.columns), dtype=np.bool_)
        for i, column in enumerate(self.columns):
            value = _value(row, column.name, self.missing_codes)
            if value is not None:
                present[i] = True
                column.write(value, values[column.start : column.stop])
        return values, present

    def apply_all(self, rows: Iterable[Row]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the values (n, n_features) and presence (n, n_columns) of n rows."""
        pairs = [self.apply(row) for row in rows]
        return (
            np.array([values for values, _ in pairs], dtype=np.float32).reshape(-1, self.n_features),
            np.array([present for _, present in pairs], dtype=np.bool_).reshape(-1, len(self.columns)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for the model's card."""
        return {
            "modality": self.modality,
            "missing_codes": list(self.missing_codes),
            "columns": [
                {
                    "name": c.name,
                    "kind": c.kind.value,
                    "start": c.start,
                    "stop": c.stop,
                    "n": c.n,
                    "mean": c.mean,
                    "sd": c.sd,
                    "levels": list(c.levels),
                    "other": c.other,
                }
                for c in self.columns
            ],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TableEncoding:
        """Return the encoding that `to_json` wrote. Raises `InvalidInputError` on anything else."""
        try:
            columns = tuple(
                ColumnEncoding(**{**c, "kind": ColumnKind(c["kind"]), "levels": tuple(c["levels"])})
                for c in record["columns"]
            )
            codes = record["missing_codes"]
            found = cls(modality=str(record["modality"]), columns=columns, missing_codes=tuple(codes))
            if not _in_order(columns) or not all(isinstance(code, str) for code in codes):
                raise ValueError("columns that don't follow each other")
            return found
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError("not a table encoding", remedy="write it with to_json") from error


def _in_order(columns: Sequence[ColumnEncoding]) -> bool:
    """Tell whether columns take the features one after another, as many as each needs, by finite numbers."""
    at = 0
    for column in columns:
        width = 1 if column.kind is ColumnKind.NUMERIC else len(column.levels) + bool(column.other)
        typed = isinstance(column.name, str) and all(isinstance(level, str) for level in column.levels)
        if not typed or (column.start, column.stop) != (at, at + width):
            return False
        if not (math.isfinite(column.mean) and math.isfinite(column.sd) and column.sd > 0):
            return False
        at += width
    return True


def _fit_numeric(name: str, found: Sequence[float | str], start: int) -> ColumnEncoding:
    numbers = np.array([number_of(value, name) for value in found], dtype=np.float64)
    mean = float(numbers.mean()) if numbers.size else 0.0
    sd = float(numbers.std()) if numbers.size else 0.0
    return numeric_column(name, start=start, n=len(found), mean=mean, sd=sd)


def numeric_column(name: str, *, start: int, n: int, mean: float, sd: float) -> ColumnEncoding:
    """Return the encoding of a numeric column; one without spread keeps a standard deviation of 1.

    >>> numeric_column("age", start=2, n=3, mean=50.0, sd=0.0).sd
    1.0
    """
    flat = sd <= 1e-12 * max(1.0, abs(mean))
    return ColumnEncoding(
        name=name,
        kind=ColumnKind.NUMERIC,
        start=start,
        stop=start + 1,
        n=n,
        mean=mean,
        sd=1.0 if flat else sd,
    )


def categorical_column(
    name: str, levels: Sequence[str], *, start: int, n: int, other: bool = False
) -> ColumnEncoding:
    """Return the encoding of a categorical column with `levels`, and with `other` one for all the rest.

    >>> categorical_column("er", ["neg", "pos"], start=1, n=9, other=True).stop
    4
    """
    return ColumnEncoding(
        name=name,
        kind=ColumnKind.CATEGORICAL,
        start=start,
        stop=start + len(levels) + other,
        n=n,
        levels=tuple(levels),
        other=other,
    )


def declared_levels(modality: TableModality, name: str) -> tuple[str, ...]:
    """Return the levels that the study states for a column, in their one form; none if it states none."""
    return tuple(dict.fromkeys(level_name(level) for level in modality.levels.get(name, ())))


def values_of(rows: Iterable[Row], name: str, missing_codes: Sequence[str]) -> list[float | str]:
    """Return the values of a column that are there, in the order of `rows`."""
    return [v for row in rows if (v := _value(row, name, missing_codes)) is not None]


def _value(row: Row, name: str, missing_codes: Sequence[str]) -> float | str | None:
    value = row.get(name)
    if isinstance(value, str):
        value = value.strip()
        return None if value in missing_codes else value
    return None if value is None or math.isnan(value) else value


def number_of(value: float | str, name: str) -> float:
    """Return a value of the numeric column `name`. Raises `DataError` unless it is a finite number."""
    try:
        number = float(value)
    except ValueError as error:
        raise DataError(
            "a value of this numeric column is text",
            remedy="list it in the modality's missing_codes, or make the column categorical",
            field=name,
        ) from error
    if not math.isfinite(number):
        raise DataError(
            "a value of this numeric column is not finite", remedy="correct it in the table", field=name
        )
    return number


def level_name(value: float | str) -> str:
    """Return a category's text; 1.0 and "1.0" are "1"."""
    try:
        return f"{float(value):g}"
    except ValueError:
        return str(value)
