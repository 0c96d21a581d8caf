"""The levels of a categorical column over sites: names that enough patients have, and how many have others.

Each site counts its patients in cells by a hash of the level. Of the cells that enough patients stand in, it
is first checked by a second hash that they hold one level alone: in a mixture, a rare level's name could be
found by subtraction. Only then are names asked for, as sums of their bytes over patients. Levels that share a
cell are parted by another hash in the next pass.

What the lead learns: names and counts of levels with at least the smallest count; of rarer ones the count
in each cell, by which it could test a guess of a name. A lead that lies about totals could have a rare name
told; levels that the study states are never asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huizhen.errors import InvalidInputError, MessageError, NotEstimableError, PolicyError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real, table
from huizhen.federate.statistics.interface import Ask, Done, Query
from huizhen.federate.statistics.release import check_smallest

__all__ = ["LONGEST", "FoundLevels", "LevelCounts", "Levels"]

CELLS = 2**14
LONGEST = 64
"""Bytes of the longest name, in UTF-8."""
PASSES = 12
COUNTS, CHECKS, NAMES = 0, 1, 2
"""What a query of one pass asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCounts:
    """One site's patients by level of a column; `n` of them, also those without a value."""

    counts: Mapping[str, int]
    n: int

    def __post_init__(self) -> None:
        if any(c < 1 for c in self.counts.values()) or sum(self.counts.values()) > self.n:
            raise InvalidInputError("counts don't fit n", remedy="count each patient once", field="counts")
        if any(not 0 < len(name.encode()) <= LONGEST for name in self.counts):
            raise InvalidInputError(
                f"a level's name is empty or longer than {LONGEST} bytes",
                remedy="shorten it in the table, or state the column's levels in the study",
                field="counts",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLevels:
    """Levels with their patients, sorted by name; `rest` patients have other levels, of few patients each."""

    counts: Mapping[str, int]
    rest: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """What the lead knows so far, and in which pass it is."""

    known: Mapping[str, int]
    salt: int = 0
    candidates: tuple[int, ...] = ()
    values: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The levels of `column` that at least `smallest_count` patients of all sites have.

    >>> from huizhen.federate.statistics.runner import run
    >>> north = LevelCounts(counts={"pos": 4, "neg": 9}, n=14)
    >>> south = LevelCounts(counts={"pos": 3, "odd": 1}, n=4)
    >>> found = run(Levels(column="er", smallest_count=5), [north, south]).result
    >>> dict(found.counts), found.rest
    ({'neg': 9, 'pos': 7}, 1)
    """

    column: str
    smallest_count: int
    name: str = "levels"

    def __post_init__(self) -> None:
        check_smallest(self.smallest_count)

    def start(self) -> Ask:
        """Ask for the counts in cells."""
        return self._ask(0, COUNTS, _Search(known={}))

    def _ask(self, step: int, what: int, search: _Search, totals: ArrayLike = ()) -> Ask:
        """Ask for one part of a pass; names and checks are asked of the search's candidates."""
        values = {
            "pass": np.array([search.salt, what], np.float64),
            "cells": np.array(search.candidates if what != COUNTS else (), np.float64),
            "totals": np.asarray(totals, np.float64),
        }
        return Ask(query=Query(name=self.name, step=step, values=values), state=search)

    def layout(self, query: Query) -> Layout:
        """n, and the cells; or two sums of a second hash, or the sums of the names' bytes, by cell."""
        _, what, cells, _ = _asked(query)
        if what == COUNTS:
            return {"n": count(), "cells": table(CELLS)}
        if what == CHECKS:
            return {"n": count(), "check": real(len(cells)), "square": real(len(cells))}
        return {"n": count(), "bytes": count(len(cells), LONGEST)}

    def answer(self, query: Query, data: LevelCounts) -> Mapping[str, ArrayLike]:
        """Return a site's sums. Raises `PolicyError` when it is asked about a group that is too small."""
        salt, what, cells, totals = _asked(query)
        places = {name: _cell(self.column, name, salt) for name in data.counts}
        own = np.zeros(CELLS)
        for name, patients in data.counts.items():
            own[places[name]] += patients
        if what == COUNTS:
            return {"n": data.n, "cells": own}
        if (totals < self.smallest_count).any() or (own[cells] > totals).any():
            raise PolicyError(
                "a level of few patients was asked for",
                remedy="ask for levels of at least the smallest count",
                field="smallest_count",
            )
        at = {int(cell): i for i, cell in enumerate(cells)}
        inside = [(at[p], n, data.counts[n]) for n, p in places.items() if p in at]
        return {"n": data.n, **_sums(self.column, salt, what, inside, len(cells))}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise if more values than patients are claimed."""
        if "cells" in total.values and total["cells"].sum() > total.n:
            raise MessageError("more levels than patients", remedy="leave out the site that lies")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[FoundLevels]:
        """Go on with the cells that are not understood, or return the levels."""
        search: _Search = ask.state
        step = ask.query.step + 1
        _, what, cells, totals = _asked(ask.query)
        if what == COUNTS:
            return self._counted(step, search, total)
        left = totals - _known(self.column, search, cells)
        if what == CHECKS:
            check, square = _less_known(self.column, search, cells, total)
            single = (check % left == 0) & (square * left == check**2)
            alone = tuple(int(c) for c in cells[single])
            if not alone:
                return self._again(step, search)
            asked = replace(search, candidates=alone)
            return self._ask(step, NAMES, asked, totals[single])
        names = _names(self.column, search, cells, left, total["bytes"])
        known = {**search.known, **names}
        return self._again(step, replace(search, known=dict(sorted(known.items()))))

    def _counted(self, step: int, search: _Search, total: Aggregate) -> Ask | Done[FoundLevels]:
        """Return what to check, or the levels if nothing is left to find."""
        everywhere = np.arange(CELLS)
        left = total["cells"] - _known(self.column, search, everywhere)
        cells = np.flatnonzero(left >= self.smallest_count)
        values = int(total["cells"].sum())
        if not len(cells):
            rest = values - sum(search.known.values())
            return Done(FoundLevels(counts=dict(sorted(search.known.items())), rest=rest, n=total.n))
        if search.salt >= PASSES - 1:
            raise NotEstimableError(
                "a column has too many levels to find them",
                remedy="state its levels in the study, or leave the column out",
                field=self.column,
            )
        asked = replace(search, candidates=tuple(int(c) for c in cells), values=values)
        return self._ask(step, CHECKS, asked, total["cells"][cells])

    def _again(self, step: int, search: _Search) -> Ask:
        """Ask for the counts of the next pass."""
        return self._ask(step, COUNTS, replace(search, salt=search.salt + 1, candidates=()))


Asked = tuple[int, int, NDArray[np.int64], NDArray[np.float64]]


def _asked(query: Query) -> Asked:
    """Return a query's salt, kind, cells and totals. Raises `MessageError` on another form."""
    salt, what = query.array("pass", 2).astype(np.int64).tolist()
    cells, totals = query.array("cells", -1).astype(np.int64), query.array("totals", -1)
    fits = len(cells) == len(totals) and len(set(cells.tolist())) == len(cells)
    if (
        not (fits and 0 <= salt < PASSES and COUNTS <= what <= NAMES)
        or ((cells < 0) | (cells >= CELLS)).any()
    ):
        raise MessageError("a query for levels of another form", remedy="use one version everywhere")
    return salt, what, cells, totals


def _hash(column: str, name: str, salt: int) -> bytes:
    return hashlib.sha256(f"{salt}\x1f{column}\x1f{name}".encode()).digest()


def _cell(column: str, name: str, salt: int) -> int:
    """Return the cell of a level in one pass."""
    return int.from_bytes(_hash(column, name, salt)[:2], "big") % CELLS


def _check(column: str, name: str, salt: int) -> int:
    """Return the second hash, of 16 bits."""
    return int.from_bytes(_hash(column, name, salt)[2:4], "big")


def _bytes(name: str) -> NDArray[np.float64]:
    """Return a name's bytes (LONGEST,), filled up with 0."""
    return np.frombuffer(name.encode().ljust(LONGEST, b"\0"), np.uint8).astype(np.float64)


def _sums(
    column: str, salt: int, what: int, inside: list[tuple[int, str, int]], cells: int
) -> dict[str, ArrayLike]:
    """Return the sums over patients by cell; `inside`: place of the cell, level, patients."""
    if what == NAMES:
        letters = np.zeros((cells, LONGEST))
        for place, name, patients in inside:
            letters[place] += patients * _bytes(name)
        return {"bytes": letters}
    check, square = np.zeros(cells), np.zeros(cells)
    for place, name, patients in inside:
        check[place] += patients * _check(column, name, salt)
        square[place] += patients * _check(column, name, salt) ** 2
    return {"check": check, "square": square}


def _inside(column: str, search: _Search, cells: NDArray[np.int64]) -> list[tuple[int, str, int]]:
    """Return the known levels that stand in `cells`: place, level, patients."""
    at = {int(cell): i for i, cell in enumerate(cells)}
    places = ((_cell(column, name, search.salt), name, n) for name, n in search.known.items())
    return [(at[cell], name, n) for cell, name, n in places if cell in at]


def _known(column: str, search: _Search, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many patients with known levels stand in each of `cells`."""
    found = np.zeros(len(cells))
    for place, _, n in _inside(column, search, cells):
        found[place] += n
    return found


def _less_known(
    column: str, search: _Search, cells: NDArray[np.int64], total: Aggregate
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both sums of the second hash without the known levels."""
    known = _sums(column, search.salt, CHECKS, _inside(column, search, cells), len(cells))
    return total["check"] - np.asarray(known["check"]), total["square"] - np.asarray(known["square"])


def _names(
    column: str,
    search: _Search,
    cells: NDArray[np.int64],
    left: NDArray[np.float64],
    letters: NDArray[np.float64],
) -> dict[str, int]:
    """Return the levels that the bytes in `cells` spell, with their patients; mixtures are left out."""
    known = _sums(column, search.salt, NAMES, _inside(column, search, cells), len(cells))
    found: dict[str, int] = {}
    for cell, n, row in zip(cells, left, letters - np.asarray(known["bytes"]), strict=True):
        spelt = row / n
        if (spelt != np.rint(spelt)).any() or (spelt < 0).any() or (spelt > 255).any():
            continue
        name = bytes(spelt.astype(np.uint8)).rstrip(b"\0").decode(errors="replace")
        if _cell(column, name, search.salt) == cell:
            found[name] = int(n)
    return found
