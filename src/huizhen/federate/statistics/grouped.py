"""The distribution of a model's scores in groups of patients, with groups that are too small held back.

Patients are divided in several ways (`Division`): by sex, by age, by both. First the sites tell how many
patients each group has, and how many sites have any of it. The lead then asks for the scores of those groups
that may be shown: with enough patients, at enough sites, and such that no other group's follow by
subtraction. A site that answers alone, in the clear, holds back its own small groups by the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, MessageError, PolicyError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, table
from huizhen.federate.statistics.data import Scored
from huizhen.federate.statistics.delong import BINS, bins_of
from huizhen.federate.statistics.divisions import NOBODY, Division, flat, held_back
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.release import check_smallest

__all__ = ["GroupedDistribution", "GroupedScores", "ScoresByGroup"]

Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedScores:
    """One site's patients with the scores of one model, and in which group of each division (d, n) they are.

    Groups are numbered along a division's shape, -1 is none. `smallest`: of how many patients a group must be
    to leave this site; 1 for what only a secure sum shows.
    """

    scored: Scored
    group: NDArray[np.int64]
    smallest: int

    def __post_init__(self) -> None:
        check_smallest(self.smallest)
        if self.group.ndim != 2 or self.group.shape[1] != self.scored.n:
            raise InvalidInputError(
                f"has shape {self.group.shape}", remedy="give (divisions, n)", field="group"
            )

    @property
    def n(self) -> int:
        """The number of patients."""
        return self.scored.n

    def sizes(self, divisions: Sequence[Division]) -> list[Counts]:
        """Return how many patients each group has, by division in its shape. Raises `InvalidInputError`."""
        if len(divisions) != len(self.group) or any(
            own.size and not NOBODY <= own.min() <= own.max() < division.groups
            for own, division in zip(self.group, divisions, strict=False)
        ):
            raise InvalidInputError("groups of other divisions", remedy="use one study", field="group")
        return [
            np.bincount(own[own != NOBODY], minlength=division.groups).reshape(division.shape)
            for own, division in zip(self.group, divisions, strict=True)
        ]

    def held(self, divisions: Sequence[Division]) -> NDArray[np.bool_]:
        """Return which groups (g,) of all divisions this site holds back."""
        sizes = self.sizes(divisions)
        barred = [np.zeros(division.shape, bool) for division in divisions]
        return flat(held_back(divisions, sizes, barred, smallest=self.smallest)).astype(bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedDistribution:
    """Groups (g,) of all divisions, one after another: how many patients each has, which are held back, and
    how many events and others (g, bins) have a score in each of 65,536 bins; 0 for those held back.

    `n`: all patients, also those in no group.
    """

    n: int
    sizes: Counts
    hidden: Bools
    events: NDArray[np.int32]
    others: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresByGroup:
    """The distribution of one model's scores in the groups of `divisions`.

    Shown are groups of `smallest_count` patients or more whom `least_sites` sites or more have some of.

    >>> from huizhen.federate.statistics.data import scored
    >>> from huizhen.federate.statistics.runner import run
    >>> def site(scores, group):
    ...     outcome = np.array([True, False, True])
    ...     return GroupedScores(scored=scored(outcome, scores), group=np.array([group]), smallest=1)
    >>> sites = [site([0.75, 0.25, 0.5], [0, 0, 1]), site([0.5, 0.25, 0.5], [0, 1, -1])]
    >>> by_sex = ScoresByGroup(divisions=(Division(shape=(2,)),), smallest_count=2, least_sites=2)
    >>> found = run(by_sex, sites).result
    >>> found.sizes.tolist(), found.events.sum(axis=1).tolist(), found.hidden.tolist()
    ([3, 2], [2, 1], [False, False])
    """

    divisions: tuple[Division, ...]
    smallest_count: int = 1
    least_sites: int = 1
    name: str = "scores_by_group"

    def __post_init__(self) -> None:
        check_smallest(self.smallest_count)
        for place, division in enumerate(self.divisions):
            before = [one.shape for one in self.divisions[:place]]
            if any(
                i >= place or before[i] != (k,) for i, k in zip(division.of, division.shape, strict=False)
            ):
                raise InvalidInputError(
                    "is made of divisions that don't come before it", remedy="order them", field="divisions"
                )

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return sum(division.groups for division in self.divisions)

    def start(self) -> Ask:
        """Ask how many patients and sites the groups have."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """First sizes of groups, at how many sites they are, and how many hold them back; then histograms of
        the groups of one division that are shown."""
        if query.step == 0:
            return {
                "n": count(),
                "sizes": table(self.groups),
                "sites": count(self.groups),
                "held": count(self.groups),
            }
        shown = int(self._shown(query).sum())
        return {"n": count(), "events": table(shown, BINS), "others": table(shown, BINS)}

    def _shown(self, query: Query) -> Bools:
        """Return which groups (g,) of the division of a step are shown. Raises `MessageError`."""
        if not 1 <= query.step <= len(self.divisions):
            raise MessageError(
                f"{self.name} has no step {query.step}", remedy="start all with one study", field="step"
            )
        shown = query.array("shown", self.divisions[query.step - 1].groups)
        if not np.isin(shown, (0, 1)).all() or not shown.any():
            raise MessageError("groups are shown or not", remedy="start the query again", field="shown")
        return np.asarray(shown == 1)

    def answer(self, query: Query, data: GroupedScores) -> Mapping[str, ArrayLike]:
        """Return a site's counts. Raises `PolicyError` when it holds a group back that is asked for."""
        held, sizes = data.held(self.divisions), flat(data.sizes(self.divisions))
        if query.step == 0:
            told = np.where(held, 0, sizes)
            return {"n": data.n, "sizes": told, "sites": (told > 0).astype(int), "held": held.astype(int)}
        shown, place = self._shown(query), query.step - 1
        if (held[self._part(place)] & shown).any():
            raise PolicyError(
                f"a group of fewer than {data.smallest} patients would be shown",
                remedy="use secure aggregation, or coarser groups",
                field="shown",
            )
        row = np.append(np.where(shown, np.cumsum(shown) - 1, NOBODY), NOBODY)[data.group[place]]
        bins = bins_of(data.scored.scores[0])
        sides = {"events": data.scored.outcome, "others": ~data.scored.outcome}
        return {"n": data.n} | {
            side: np.bincount(
                row[who & (row != NOBODY)] * BINS + bins[who & (row != NOBODY)],
                minlength=int(shown.sum()) * BINS,
            ).reshape(-1, BINS)
            for side, who in sides.items()
        }

    def _part(self, place: int) -> slice:
        """Return where the groups of a division stand among all."""
        start = sum(division.groups for division in self.divisions[:place])
        return slice(start, start + self.divisions[place].groups)

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless every patient is in one group of a division at most."""
        if query.step:
            found = total["events"].sum() + total["others"].sum()
            if found > total.n:
                raise MessageError(
                    "groups hold more patients than there are", remedy="leave out the site that lies"
                )
            return
        for place in range(len(self.divisions)):
            if total["sizes"][self._part(place)].sum() > total.n:
                raise MessageError(
                    "groups hold more patients than there are", remedy="leave out the site that lies"
                )

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[GroupedDistribution]:
        """Decide which groups are shown, ask for them division by division, and return the distribution."""
        if ask.query.step == 0:
            empty = np.zeros((self.groups, BINS), np.int32)
            found = GroupedDistribution(
                n=total.n,
                sizes=total["sizes"].astype(np.int64),
                hidden=self._hidden(total),
                events=empty,
                others=empty.copy(),
            )
            return self._next(0, found)
        found, part = ask.state, self._part(ask.query.step - 1)
        shown = np.arange(part.start, part.stop)[self._shown(ask.query)]
        if (total["events"].sum(axis=1) + total["others"].sum(axis=1) != found.sizes[shown]).any():
            raise MessageError(
                "histograms don't add up to their groups", remedy="leave out the site that lies"
            )
        for side in ("events", "others"):
            getattr(found, side)[shown] = total[side].astype(np.int32)
        return self._next(ask.query.step, found)

    def _hidden(self, total: Aggregate) -> Bools:
        """Return which groups (g,) are held back."""
        barred = (total["held"] > 0) | (total["sites"] < self.least_sites)
        parts = [(self._part(place), division.shape) for place, division in enumerate(self.divisions)]
        sizes = [total["sizes"][part].astype(np.int64).reshape(shape) for part, shape in parts]
        bars = [barred[part].reshape(shape) for part, shape in parts]
        hidden = flat(held_back(self.divisions, sizes, bars, smallest=self.smallest_count)).astype(bool)
        return np.asarray(hidden | (total["held"] > 0))

    def _next(self, step: int, found: GroupedDistribution) -> Ask | Done[GroupedDistribution]:
        """Ask for the next division that has a group to show; return what was found when there is none."""
        for place in range(step, len(self.divisions)):
            part = self._part(place)
            shown = (~found.hidden[part] & (found.sizes[part] > 0)).astype(np.float64)
            if shown.any():
                return Ask(query=Query(name=self.name, step=place + 1, values={"shown": shown}), state=found)
        return Done(found)
