"""What a search stands on: rows joined by their finest quasi-identifiers, and any node's classes of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.data.disclosure.classes import class_sizes, combined, counted_pairs
from huizhen.data.disclosure.closeness import equal_distance, hierarchical_distance, ordered_distance
from huizhen.data.disclosure.diversity import Pairs, distinct_values, entropy_values, recursive_ratio
from huizhen.data.disclosure.hierarchies import Hierarchy, hierarchy_of
from huizhen.data.disclosure.loss import bits_lost, discernibility
from huizhen.data.disclosure.microdata import Codes, Column, Microdata, column_of
from huizhen.data.disclosure.ordering import in_order
from huizhen.data.disclosure.policy import Bounds, DisclosurePolicy, Sensitive
from huizhen.data.disclosure.risk import prosecutor
from huizhen.errors import PolicyError

__all__ = [
    "Ground",
    "Guarded",
    "Node",
    "Standing",
    "bounds_hold",
    "distances",
    "entropy_loss",
    "failing_classes",
    "ground_of",
    "level_losses",
    "standing",
    "unmixed",
]

Node = tuple[int, ...]
"""A level for each quasi-identifier."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guarded:
    """A sensitive column: its rule, the pairs of (group, value, rows) and the tree above its values.

    Where patients have several rows, a pair is there once for each of its `holders` (pairs,): a patient who
    has one value ten times has it once.
    """

    name: str
    rule: Sensitive
    pairs: Pairs
    values: int
    tree: tuple[Codes, ...] = ()
    holders: Codes | None = None

    def of_classes(self, ids: Codes) -> Pairs:
        """Return (class, value, patients) for the classes `ids` (groups,); those of class -1 are left out."""
        of, value, rows = self.pairs
        inside = ids[of] >= 0
        classes, value, rows = ids[of[inside]], value[inside], rows[inside]
        if self.holders is not None:
            people = int(self.holders.max(initial=0)) + 1
            once = np.unique((classes * self.values + value) * people + self.holders[inside]) // people
            classes, value, rows = once // self.values, once % self.values, np.ones(len(once), np.int64)
        return counted_pairs(classes, value, self.values, rows)

    def of_everybody(self, ids: Codes, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return (values,): the share of each value among patients in a class that is `kept` (classes,)."""
        of, value, rows = self.pairs
        inside = (ids[of] >= 0) & kept[ids[of]]
        value, rows = value[inside], rows[inside]
        if self.holders is not None:
            people = int(self.holders.max(initial=0)) + 1
            value = np.unique(value * people + self.holders[inside]) // people
            rows = np.ones(len(value), np.int64)
        counts = np.bincount(value, weights=rows, minlength=self.values)
        return counts / max(1.0, float(counts.sum()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """A table's rows as groups that agree in every quasi-identifier.

    `group` (rows,) is each row's group; `codes` the groups' value (groups,) of each quasi-identifier;
    `counts` (groups,) their rows. `members` are the (group, patient) pairs where patients have several rows.
    `bits` are those lost by column, level and value, `whole` by column what everything hidden loses.
    """

    hierarchies: tuple[Hierarchy, ...]
    group: Codes
    codes: tuple[Codes, ...]
    counts: Codes
    members: tuple[Codes, Codes] | None
    people: int
    guarded: tuple[Guarded, ...]
    bits: tuple[list[NDArray[np.float64]], ...]
    whole: tuple[float, ...]

    @property
    def shape(self) -> Node:
        """How many levels each quasi-identifier has."""
        return tuple(len(one.levels) for one in self.hierarchies)

    @property
    def finest(self) -> Node:
        """The finest node that the policy allows."""
        return tuple(one.least for one in self.hierarchies)

    def ids(self, node: Node) -> Codes:
        """Return the class (groups,) of each group at a node."""
        levels = [one.levels[level] for one, level in zip(self.hierarchies, node, strict=True)]
        codes = [level.codes[code] for level, code in zip(levels, self.codes, strict=True)]
        return combined(codes, [len(level.labels) for level in levels])

    def sizes(self, ids: Codes) -> Codes:
        """Return the patients (classes,) of each class."""
        if self.members is None:
            return class_sizes(ids, None, self.counts)
        return class_sizes(ids[self.members[0]], self.members[1])

    def people_in(self, ids: Codes, classes: NDArray[np.bool_], sizes: Codes) -> int:
        """Return how many patients have a row in one of `classes` (classes,)."""
        if self.members is None:
            return int(sizes[classes].sum())
        return len(np.unique(self.members[1][classes[ids[self.members[0]]]]))

    def exposed(self, ids: Codes, classes: NDArray[np.bool_], sizes: Codes) -> tuple[Codes, Codes]:
        """Return sizes of classes, and of how many patients each is the smallest class that they are in.

        Only `classes` (classes,) count. A patient with rows in several classes is found by the smallest.
        """
        if self.members is None:
            return sizes[classes], sizes[classes]
        of, who = ids[self.members[0]], self.members[1]
        inside = classes[of]
        smallest = np.full(self.people, np.iinfo(np.int64).max)
        np.minimum.at(smallest, who[inside], sizes[of[inside]])
        found, patients = np.unique(smallest[np.unique(who[inside])], return_counts=True)
        return found, patients.astype(np.int64)


def ground_of(data: Microdata, policy: DisclosurePolicy) -> Ground:
    """Return the ground of a table under a policy. Raises `PolicyError` where its levels don't nest."""
    columns = data.of(list(policy.quasi))
    hierarchies = tuple(
        hierarchy_of(column, rule) for column, rule in zip(columns, policy.quasi.values(), strict=True)
    )
    group = combined([one.codes for one in columns], [len(one.values) for one in columns])
    first = np.unique(group, return_index=True)[1]
    members = None
    if data.patients is not None:
        pairs = np.unique(group * data.people + data.patients)
        members = (pairs // data.people, pairs % data.people)
    bits = tuple(bits_lost(one, column.counts) for one, column in zip(hierarchies, columns, strict=True))
    return Ground(
        hierarchies=hierarchies,
        group=group,
        codes=tuple(one.codes[first] for one in columns),
        counts=np.bincount(group),
        members=members,
        people=data.people,
        guarded=tuple(
            _guarded(column, rule, group, data.patients)
            for column, rule in zip(data.of(list(policy.sensitive)), policy.sensitive.values(), strict=True)
        ),
        bits=bits,
        whole=tuple(float(one[-1] @ column.counts) for one, column in zip(bits, columns, strict=True)),
    )


def _guarded(column: Column, rule: Sensitive, group: Codes, patients: Codes | None) -> Guarded:
    column = in_order(column, rule)
    tree = tuple(_joined(column, level, k) for k, level in enumerate(rule.groups))
    for below, above in itertools.pairwise(tree):
        both = set(zip(below.tolist(), above.tolist(), strict=True))
        if len(both) > len(set(below.tolist())):
            raise PolicyError(
                "a group is divided between two groups of the next level",
                remedy="put each group into one group of the next level",
                field=f"sensitive.{column.name}.groups",
            )
    values = len(column.values)
    if patients is None:
        pairs = counted_pairs(group, column.codes, values)
        return Guarded(name=column.name, rule=rule, pairs=pairs, values=values, tree=tree)
    people = int(patients.max(initial=0)) + 1
    once = np.unique((group * values + column.codes) * people + patients)
    of, value = once // people // values, once // people % values
    pairs = (of, value, np.ones(len(once), np.int64))
    return Guarded(name=column.name, rule=rule, pairs=pairs, values=values, tree=tree, holders=once % people)


def _joined(column: Column, groups: dict[str, str], level: int) -> Codes:
    """Return each value's group. Raises `PolicyError` where one has none."""
    if any(value not in groups for value in column.values):
        raise PolicyError(
            f"level {level + 1} names no group for some values of the table",
            remedy='name the group of every value, "" included where cells are empty',
            field=f"sensitive.{column.name}.groups",
        )
    return column_of("", [groups[value] for value in column.values]).codes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """How a node stands: who has to be left out, whether the bounds then hold, and what it loses (0 to 1).

    `ids` (groups,) and `sizes` (classes,) are of all classes; `failing` (classes,) those left out.
    """

    node: Node
    ids: Codes
    sizes: Codes
    failing: NDArray[np.bool_]
    suppressed: int
    holds: bool
    entropy: float
    discernibility: float

    @property
    def kept(self) -> Codes:
        """The sizes of the classes that stay."""
        return self.sizes[~self.failing]


def standing(ground: Ground, node: Node, bounds: Bounds) -> Standing:
    """Return how a node of the lattice stands against the bounds."""
    ids = ground.ids(node)
    sizes = ground.sizes(ids)
    failing = failing_classes(ground, ids, sizes, bounds)
    out = ground.people_in(ids, failing, sizes)
    kept = sizes[~failing]
    return Standing(
        node=node,
        ids=ids,
        sizes=sizes,
        failing=failing,
        suppressed=out,
        holds=bounds_hold(ground, ground.exposed(ids, ~failing, sizes), out, bounds),
        entropy=entropy_loss(ground, node, failing[ids]),
        discernibility=discernibility(kept, suppressed=out),
    )


def bounds_hold(ground: Ground, exposed: tuple[Codes, Codes], suppressed: int, bounds: Bounds) -> bool:
    """Tell whether the bounds over all patients hold of those who stay, and somebody does.

    `exposed`: what `Ground.exposed` says of the classes that stay.
    """
    sizes, patients = exposed
    if not len(sizes) or suppressed > math.floor(bounds.suppress * ground.people + 1e-9):
        return False
    risk = prosecutor(sizes, patients, above=bounds.threshold)
    if bounds.average_risk is not None and risk.average > bounds.average_risk + 1e-12:
        return False
    return bounds.share_above is None or risk.share_above <= bounds.share_above + 1e-12


def entropy_loss(ground: Ground, node: Node, out: NDArray[np.bool_] | None = None) -> float:
    """Return the share of its bits that a quasi-identifier loses at a node, averaged by weight.

    Who is `out` (groups,) loses all of them.
    """
    total = weights = 0.0
    for k, (one, level) in enumerate(zip(ground.hierarchies, node, strict=True)):
        lost = ground.bits[k][level][ground.codes[k]]
        if out is not None:
            lost = np.where(out, ground.bits[k][-1][ground.codes[k]], lost)
        weights += one.weight
        total += one.weight * (float(lost @ ground.counts) / ground.whole[k] if ground.whole[k] > 0 else 0.0)
    return total / weights


def level_losses(ground: Ground) -> list[list[float]]:
    """Return for each quasi-identifier what each of its levels adds to `entropy_loss`."""
    weights = sum(one.weight for one in ground.hierarchies)
    return [
        [
            one.weight / weights * float(bits[code] @ ground.counts) / whole if whole > 0 else 0.0
            for bits in lost
        ]
        for one, lost, code, whole in zip(
            ground.hierarchies, ground.bits, ground.codes, ground.whole, strict=True
        )
    ]


def failing_classes(ground: Ground, ids: Codes, sizes: Codes, bounds: Bounds) -> NDArray[np.bool_]:
    """Return the classes (classes,) that must be left out; t is asked again of whoever is left."""
    failing = sizes < bounds.least_class
    found = []
    for one in ground.guarded:
        pairs = one.of_classes(ids)
        failing |= unmixed(pairs, len(sizes), one.rule)
        if one.rule.t is not None:
            found.append((one, pairs))
    grown = bool(found)
    while grown:
        before = failing.sum()
        for one, pairs in found:
            failing |= distances(one, pairs, ids, ~failing) > (one.rule.t or 0.0) + 1e-9
        grown = before < failing.sum() < len(failing)
    return failing


def unmixed(pairs: Pairs, classes: int, rule: Sensitive) -> NDArray[np.bool_]:
    """Return the classes (classes,) whose sensitive values are not mixed enough."""
    failing = np.zeros(classes, np.bool_)
    if rule.distinct is not None:
        failing |= distinct_values(pairs, classes) < rule.distinct
    if rule.entropy is not None:
        failing |= entropy_values(pairs, classes) < rule.entropy - 1e-9
    if rule.recursive is not None:
        failing |= recursive_ratio(pairs, classes, l=rule.recursive[1]) >= rule.recursive[0]
    return failing


def distances(one: Guarded, pairs: Pairs, ids: Codes, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how far each class (classes,) lies from everybody in those `kept`; 0 of those that aren't."""
    if not kept.any():
        return np.zeros(len(kept))
    whole = one.of_everybody(ids, kept)
    match one.rule.distance:
        case "equal":
            found = equal_distance(pairs, len(kept), whole)
        case "ordered":
            found = ordered_distance(pairs, len(kept), whole)
        case "hierarchical":
            found = hierarchical_distance(pairs, len(kept), whole, one.tree)
    return np.where(kept, found, 0.0)
