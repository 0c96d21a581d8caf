"""Each group of patients by itself: how many, how well told apart, how well called, how well calibrated.

Groups that are too small say nothing, and could show somebody: below `least_events` events or non-events no
measure is given, below `least_shown` patients not even their number, and then never for one group alone,
since it would follow from the total. References: TRIPOD+AI, BMJ 385:e078378 (2024), items on fairness;
STARD-AI, Nat Med 31:3283-3289 (2025), subgroups; Collins et al., BMJ 384:e074819 (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, NotEstimableError
from huizhen.validate.calibration import in_the_large, observed_expected, recalibrate
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.estimates import Estimate
from huizhen.validate.proportions import Proportion, confusion, npv, ppv, sensitivity, specificity
from huizhen.validate.samples import checked_outcome, checked_risk


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group. `n` and `events` are None where they are hidden; `measures` holds what could be measured,
    and `reasons` why the rest could not."""

    name: str
    n: int | None
    events: int | None
    measures: dict[str, Estimate | Proportion]
    reasons: dict[str, str]


def checked_groups(group: ArrayLike, n: int) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the sorted names of the groups, and each case's place in them (n,).

    Raises `InvalidInputError` on another length, or a case without a group (None or NaN): name it "unknown".

    >>> checked_groups(["b", "a", "b"], 3)[0]
    ('a', 'b')
    """
    names = np.asarray(group)
    names = names if names.dtype.kind == "U" else names.astype(object)
    if names.shape != (n,):
        raise InvalidInputError(f"has shape {names.shape} for {n} cases", remedy="give n", field="group")
    if names.dtype.kind != "U" and any(name is None or name != name for name in names):
        raise InvalidInputError("a case has no group", remedy='name it "unknown"', field="group")
    found, place = np.unique(names.astype(str), return_inverse=True)
    return tuple(str(name) for name in found), place


def intersections(groups: Mapping[str, ArrayLike]) -> NDArray[np.str_]:
    """Return the combined group (n,) of each case, such as "sex=F, site=A".

    >>> intersections({"sex": ["F", "M"], "site": ["A", "A"]}).tolist()
    ['sex=F, site=A', 'sex=M, site=A']
    """
    if not groups:
        raise InvalidInputError("no grouping", remedy="give at least one", field="groups")
    columns = {name: np.asarray(column, dtype=object) for name, column in groups.items()}
    if len({column.shape for column in columns.values()}) > 1:
        raise InvalidInputError("groupings differ in length", remedy="give one of each case", field="groups")
    for column in columns.values():
        checked_groups(column, column.size)
    rows = zip(*columns.values(), strict=True)
    labels = [", ".join(f"{name}={value}" for name, value in zip(columns, row, strict=True)) for row in rows]
    return np.array(labels, dtype=np.str_)


def subgroups(
    outcome: NDArray[Any],
    risk: ArrayLike,
    group: ArrayLike,
    *,
    threshold: float | None = None,
    decision: NDArray[Any] | None = None,
    calibrated: bool = True,
    least_events: int = 10,
    least_shown: int = 5,
    level: float = 0.95,
) -> tuple[Group, ...]:
    """Return every group with its AUC, sensitivity, specificity, PPV, NPV and calibration, with intervals.

    `outcome` (n,) boolean, `risk` (n,) in [0, 1], called at `threshold` or above, or where `decision` (n,) is
    true, fixed beforehand; without either nothing is said of decisions. `group` (n,) names. A risk that isn't
    `calibrated` only orders patients. PPV and NPV hold at the group's own prevalence. Raises
    `InvalidInputError` on wrong input.

    >>> outcome, risk = np.arange(80) % 2 == 0, (np.arange(80) % 7 + 1) / 8
    >>> found = subgroups(outcome, risk, ["a"] * 70 + ["b"] * 10, threshold=0.5)
    >>> [(each.name, each.n, "auc" in each.measures) for each in found]
    [('a', 70, True), ('b', 10, False)]
    """
    truth = checked_outcome(outcome)
    values = checked_risk(risk, truth.size)
    names, place = checked_groups(group, truth.size)
    if least_events < 2 or least_shown < 0:
        raise InvalidInputError("least counts out of range", remedy="check them", field="least_events")
    called = _called(values, threshold, decision)
    hidden = hidden_groups(np.bincount(place), least_shown)
    made = []
    for number, name in enumerate(names):
        own = place == number
        call = None if called is None else called[own]
        ways = partial(_ways, truth[own], values[own], call, calibrated, level)
        made.append(_group(name, truth[own], ways, least_events, bool(hidden[number])))
    return tuple(made)


def _called(
    risk: NDArray[np.float64], threshold: float | None, decision: NDArray[Any] | None
) -> NDArray[np.bool_] | None:
    """Return who is called (n,), or None where nothing says so."""
    if threshold is not None and (decision is not None or not 0 < threshold < 1):
        raise InvalidInputError(
            "out of range, or beside decisions", remedy="give one within (0, 1)", field="threshold"
        )
    if decision is None:
        return None if threshold is None else risk >= threshold
    called = checked_outcome(decision, name="decision")
    if called.size != risk.size:
        raise InvalidInputError(
            f"{called.size} decisions for {risk.size} cases", remedy="give one each", field="decision"
        )
    return called


def hidden_groups(sizes: NDArray[np.intp], least: int) -> NDArray[np.bool_]:
    """Return which groups' sizes (g,) stay hidden: those under `least`, and if that is one, the next smallest
    too.

    >>> hidden_groups(np.array([100, 3, 40]), 5).tolist()
    [False, True, True]
    """
    hidden = sizes < least
    if np.count_nonzero(hidden) == 1 and sizes.size > 1:
        hidden[np.argsort(sizes, kind="stable")[1]] = True
    return hidden


Ways = Mapping[str, Callable[[], Estimate | Proportion]]


def _ways(
    truth: NDArray[np.bool_],
    risk: NDArray[np.float64],
    called: NDArray[np.bool_] | None,
    calibrated: bool,
    level: float,
) -> Ways:
    """Return how each measure of a group is reckoned."""
    ways: dict[str, Callable[[], Estimate | Proportion]] = {
        "auc": lambda: auc_interval(truth, risk, level=level, method="logit")
    }
    if called is not None:
        table = confusion(truth, called)
        shares = {"sensitivity": sensitivity, "specificity": specificity, "ppv": ppv, "npv": npv}
        ways |= {name: partial(share, table, level=level) for name, share in shares.items()}
    if calibrated:
        ways |= {
            "calibration_in_the_large": lambda: in_the_large(truth, risk, level=level),
            "calibration_slope": lambda: recalibrate(truth, risk, level=level).slope,
            "observed_expected": lambda: observed_expected(truth, risk, level=level),
        }
    return ways


def _group(
    name: str, truth: NDArray[np.bool_], ways: Callable[[], Ways], least_events: int, hidden: bool
) -> Group:
    """Return one group with what can be measured."""
    n, events = truth.size, int(np.count_nonzero(truth))
    if hidden or min(events, n - events) < least_events:
        why = "the group is too small to be shown" if hidden else f"fewer than {least_events} of a class"
        shown = (None, None) if hidden else (n, events)
        return Group(name=name, n=shown[0], events=shown[1], measures={}, reasons={"all": why})
    measures: dict[str, Estimate | Proportion] = {}
    reasons: dict[str, str] = {}
    for measure, way in ways().items():
        try:
            measures[measure] = way()
        except NotEstimableError as error:
            reasons[measure] = error.message
    return Group(name=name, n=n, events=events, measures=measures, reasons=reasons)
