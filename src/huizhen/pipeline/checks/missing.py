"""What is missing: by variable and site, in which patterns, and whether it hangs on the site or the outcome.

Missingness by outcome is counted over training patients alone: no tested patient's outcome is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case
from huizhen.core.study import Study
from huizhen.data.tables import values_of
from huizhen.errors import NotEstimableError
from huizhen.validate.multiplicity import holm
from huizhen.validate.share_differences import equal_shares, unpaired_shares

__all__ = ["COUNTS", "Missing", "missing_by_outcome", "missing_by_site", "missing_of", "patterns_of"]

Bools = NDArray[np.bool_]
COUNTS = "counts"
"""Patients without the value on each side of a difference; they stay at the site."""
FEWEST = 5
"""Patients with and without a value that a test needs."""
MOST_PATTERNS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """`absent` (n, v): which of v variables n patients lack; without a table all its columns are missing."""

    cases: tuple[Case, ...]
    variables: tuple[str, ...]
    absent: Bools

    def at(self, site: str) -> Bools:
        """Return the rows of one site."""
        return self.absent[np.array([case.site == site for case in self.cases], dtype=np.bool_)]

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites in the order of the cases."""
        return tuple(dict.fromkeys(case.site for case in self.cases))


def missing_of(cases: Sequence[Case], study: Study) -> Missing:
    """Return which modalities and columns each case lacks, in the study's order."""
    names: list[str] = []
    columns: list[list[bool]] = []
    for modality in study.modality:
        names.append(modality.name)
        columns.append([modality.name not in case.modalities for case in cases])
    for table in study.table_modalities:
        for name in (*table.numeric, *table.categorical):
            names.append(f"{table.name}: {name}")
            rows = [case.covariates.get(table.name, {}) for case in cases]
            columns.append([not values_of([row], name, table.missing_codes) for row in rows])
    absent = np.array(columns, dtype=np.bool_).T if columns else np.zeros((len(cases), 0), dtype=np.bool_)
    return Missing(cases=tuple(cases), variables=tuple(names), absent=absent)


def patterns_of(found: Missing) -> list[tuple[tuple[str, ...], int]]:
    """Return the commonest sets of variables that are missing together, with how many patients have each."""
    held = Counter(tuple(np.flatnonzero(row).tolist()) for row in found.absent)
    return [(tuple(found.variables[k] for k in places), n) for places, n in held.most_common(MOST_PATTERNS)]


def missing_by_outcome(found: Missing, outcome: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the difference in missingness of each variable, events less others, over `outcome`.

    `outcome`: pseudonym -> 0 or 1, of training patients. Interval: Newcombe's; p: score test, and by Holm
    over the variables. Variables that fewer than five have, or lack, are left out.
    """
    rows = [k for k, case in enumerate(found.cases) if case.pseudonym in outcome]
    events = np.array([outcome[found.cases[k].pseudonym] == 1 for k in rows], dtype=np.bool_)
    absent = found.absent[rows]
    tested: list[dict[str, Any]] = []
    if min(events.sum(), (~events).sum()) < FEWEST:
        return []
    for k in _testable(absent):
        sides = [(int(absent[side, k].sum()), int(side.sum())) for side in (events, ~events)]
        gap, p = unpaired_shares(sides[0], sides[1])
        row = {"variable": found.variables[k], "difference": gap.value, "p": p, "n": len(rows)}
        row |= {"low": gap.interval.low, "high": gap.interval.high, COUNTS: [side[0] for side in sides]}
        tested.append(row)
    return _adjusted(tested)


def missing_by_site(found: Missing) -> list[dict[str, Any]]:
    """Return for each variable how missingness differs over sites: the largest difference of two, and a test.

    The interval (Newcombe's) is of the two sites that differ most and were chosen for it: it shows a size,
    and the test (chi-square over all sites, by Holm over the variables) whether there is one.
    """
    groups = [found.at(site) for site in found.sites]
    tested: list[dict[str, Any]] = []
    for k in _testable(found.absent) if len(groups) > 1 else ():
        counts = np.array([group[:, k].sum() for group in groups], dtype=np.int64)
        sizes = np.array([len(group) for group in groups], dtype=np.int64)
        try:
            chi2, freedom, p = equal_shares(counts, sizes)
        except NotEstimableError:
            continue
        most, least = int((counts / sizes).argmax()), int((counts / sizes).argmin())
        gap, _ = unpaired_shares(
            (int(counts[most]), int(sizes[most])), (int(counts[least]), int(sizes[least]))
        )
        row: dict[str, Any] = {"variable": found.variables[k], "most": found.sites[most]}
        row |= {"least": found.sites[least], "difference": gap.value, "n": int(sizes.sum())}
        row |= {"low": gap.interval.low, "high": gap.interval.high, "chi2": chi2, "df": freedom, "p": p}
        row[COUNTS] = [int(counts[most]), int(counts[least])]
        tested.append(row)
    return _adjusted(tested)


def _testable(absent: Bools) -> list[int]:
    """Return the variables that enough patients have and lack."""
    counts = absent.sum(axis=0)
    return np.flatnonzero((counts >= FEWEST) & (len(absent) - counts >= FEWEST)).tolist()


def _adjusted(tested: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with Holm's p-value beside their own."""
    if not tested:
        return []
    adjusted = holm([row["p"] for row in tested])
    return [{**row, "holm": float(p)} for row, p in zip(tested, adjusted, strict=True)]
