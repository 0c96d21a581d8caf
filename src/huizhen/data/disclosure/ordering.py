"""The order of a sensitive column's values, which the ordered distance of t-closeness rests on.

Numbers and days have an order of their own. Words don't: sorted as text, "moderate" would lie between "mild"
and "none". Reference: Li, Li & Venkatasubramanian, t-closeness, ICDE 2007, section 4.1.
"""

from __future__ import annotations

import itertools

import numpy as np

from huizhen.data.disclosure.hierarchies import day_of
from huizhen.data.disclosure.microdata import Column, number_of
from huizhen.data.disclosure.policy import Sensitive
from huizhen.errors import PolicyError

__all__ = ["in_order"]


def in_order(column: Column, rule: Sensitive) -> Column:
    """Return a column whose values stand in the order that the rule means.

    Raises `PolicyError` where the ordered distance is asked of words without an order, or the order lacks a
    value of the table. An empty cell stands before all others unless the order says where.

    >>> from huizhen.data.disclosure.microdata import column_of
    >>> rule = Sensitive(t=0.2, distance="ordered", order=("none", "mild", "severe"))
    >>> in_order(column_of("grade", ["mild", "none", "severe"]), rule).values
    ('none', 'mild', 'severe')
    """
    if rule.distance != "ordered":
        return column
    if not rule.order:
        if not _has_order(column):
            raise PolicyError(
                "the values have no order of their own: they are neither numbers nor days",
                remedy='name them from least to most: order = ["none", "mild", "severe"]',
                field=f"sensitive.{column.name}.order",
            )
        return column
    places = {value: place for place, value in enumerate(rule.order)}
    unnamed = [value for value in column.values if value and value not in places]
    if unnamed:
        raise PolicyError(
            f"leaves out {len(unnamed)} of the table's values",
            remedy="name every value that the column holds, from least to most",
            field=f"sensitive.{column.name}.order",
        )
    held = sorted(column.values, key=lambda value: places.get(value, -1))
    place = {value: k for k, value in enumerate(held)}
    moved = np.array([place[value] for value in column.values], np.int64)
    return Column(name=column.name, values=tuple(held), codes=moved[column.codes])


def _has_order(column: Column) -> bool:
    """Tell whether the values, as they stand, rise: as numbers, or as days written in one way."""
    held = [value for value in column.values if value]
    if all(number_of(value) is not None for value in held):
        return True
    days = [day_of(value) for value in held]
    return all(a is not None and b is not None and a <= b for a, b in itertools.pairwise([*days, *days[-1:]]))
