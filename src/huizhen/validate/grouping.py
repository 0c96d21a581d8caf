"""From what a column says of patients to the groups that the study compares.

What is in a group already stays there, so that a table of groups and one of values give the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study_evaluation import Subgroup

NONE = ""
"""Where a patient stands in no group."""


def groups_of(values: NDArray[np.str_], subgroup: Subgroup) -> NDArray[np.str_]:
    """Return the group (n,) of each patient by what the column says (n,), empty where there is none.

    >>> age = Subgroup(column="age", edges=(50, 70))
    >>> groups_of(np.array(["49.9", "50", "<50", "old", ""]), age).tolist()
    ['<50', '50–<70', '<50', '', '']
    """
    found, place = np.unique(np.asarray(values, dtype=np.str_), return_inverse=True)
    stripped = [text.strip() for text in found.tolist()]
    if subgroup.edges:
        made = [_band(text, subgroup.edges) for text in stripped]
    elif subgroup.groups:
        made = [_gathered(text, subgroup.groups) for text in stripped]
    else:
        made = stripped
    return np.array(made, dtype=np.str_)[place]


def group_names(subgroup: Subgroup) -> tuple[str, ...]:
    """Return the groups that a subgroup names itself, in order; nothing where each value is one.

    >>> group_names(Subgroup(column="age", edges=(50, 70)))
    ('<50', '50–<70', '≥70')
    """
    if not subgroup.edges:
        return tuple(subgroup.groups)
    edges = [f"{edge:g}" for edge in subgroup.edges]
    between = [f"{low}–<{high}" for low, high in pairwise(edges)]
    return (f"<{edges[0]}", *between, f"≥{edges[-1]}")


def _band(text: str, edges: Sequence[float]) -> str:
    """Return the band that a number falls in, from its lower edge up to but without its upper one."""
    names = group_names(Subgroup(column="-", edges=tuple(edges)))
    if text in names:
        return text
    try:
        value = float(text)
    except ValueError:
        return NONE
    return names[int(np.searchsorted(edges, value, side="right"))] if math.isfinite(value) else NONE


def _gathered(text: str, groups: Mapping[str, Sequence[str]]) -> str:
    """Return the group that names a value; a whole number may be written with or without ".0"."""
    if text in groups:
        return text
    plain = text.removesuffix(".0")
    return next((name for name, values in groups.items() if text in values or plain in values), NONE)


def crossed(first: NDArray[np.str_], second: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the intersection (n,) of two groups of each patient, empty where either is.

    >>> crossed(np.array(["F", "M", ""]), np.array(["<50", "≥50", "<50"])).tolist()
    ['F · <50', 'M · ≥50', '']
    """
    one, place = np.unique(first, return_inverse=True)
    two, other = np.unique(second, return_inverse=True)
    names = np.array(
        [[joined(a, b) for b in two.tolist()] for a in one.tolist()],
        dtype=np.str_,
    )
    return np.asarray(names[place, other])


def joined(first: str, second: str) -> str:
    """Return the name of the patients who are in both groups, empty if either is none.

    >>> joined("F", "<50")
    'F · <50'
    """
    return f"{first} · {second}" if first != NONE and second != NONE else NONE
