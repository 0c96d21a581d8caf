"""What consents did in a federation, over all its sites together: who was in, and who was left out since."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from huizhen.core.evidence import Evidence
from huizhen.data.consent.decide import Reason
from huizhen.data.consent.screening import today
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.counts import Categories
from huizhen.federate.statistics.data import Table, table_of
from huizhen.federate.statistics.runner import conduct
from huizhen.pipeline.federated_scores import TOGETHER
from huizhen.pipeline.stage import Made, Run, Stage

__all__ = ["CONSENT", "STANDING", "STATISTIC", "consent_table", "consents_stage", "standing_counts"]

CONSENT: Final = "consent"
COLUMN: Final = "standing"
UNCHECKED: Final = "unchecked"
LEFT: Final = "left_out_"
REASONS: Final = tuple(reason.value for reason in Reason if reason is not Reason.PERMITTED)
STANDING: Final = (
    Reason.PERMITTED.value,
    UNCHECKED,
    *REASONS,
    *(f"{LEFT}{reason}" for reason in REASONS),
)
"""How a patient may stand: permitted, at a site without a register, refused at once, or left out since."""

STATISTIC: Final = Categories(column=COLUMN, codes=tuple(float(place) for place in range(len(STANDING))))


def consent_table(counts: Mapping[str, int]) -> Table:
    """Return a site's patients as numbers, each how it stands (its place in `STANDING`)."""
    places = [place for place, name in enumerate(STANDING) for _ in range(counts.get(name, 0))]
    return table_of((COLUMN,), np.array(places, np.float64).reshape(-1, 1))


def standing_counts(begun: Mapping[str, int] | None, cohort: int, since: Mapping[str, int]) -> dict[str, int]:
    """Return how a site's patients stand.

    `begun`: by reason, when its `cohort` was built; None where nothing was held against them. `since`: who
    was left out later, by reason.

    >>> standing_counts({"permitted": 9, "denied": 1}, 9, {"withdrawn": 2})
    {'denied': 1, 'permitted': 7, 'left_out_withdrawn': 2}
    """
    first = {UNCHECKED: cohort} if begun is None else dict(begun)
    held = UNCHECKED if begun is None else Reason.PERMITTED.value
    refused = {name: count for name, count in first.items() if name != held}
    left = {f"{LEFT}{reason}": count for reason, count in since.items()}
    return {**refused, held: first.get(held, 0) - sum(since.values()), **left}


def consents_stage(run: Run, lead: Lead, sites: tuple[str, ...], locked: Stage) -> Stage | None:
    """Return the stage that asks, securely, how patients of all `sites` stand; None where none is asked.

    Of one site alone nothing is asked.
    """
    if len(sites) < 2 or not any(site.consent for site in run.study.site):
        return None

    def body(folder: Path) -> Made:
        exchange = lead.exchange(f"{CONSENT}/standing", secure=True, sites=sites)
        cells = conduct(STATISTIC, exchange).result.counts
        named = zip(STANDING, cells, strict=False)
        return Made(evidence=_evidence(run, {name: int(n) for name, n in named if n}))

    return run.stage("consents", [locked.digest, list(sites)], body, made_from={"lock": locked.digest})


def _evidence(run: Run, counts: Mapping[str, int]) -> list[Evidence]:
    """Return how many permitted the use when cohorts were built, and how many were left out since."""
    left = {name.removeprefix(LEFT): n for name, n in counts.items() if name.startswith(LEFT)}
    begun = {name: n for name, n in counts.items() if not name.startswith(LEFT)}
    begun[Reason.PERMITTED.value] = begun.get(Reason.PERMITTED.value, 0) + sum(left.values())
    permitted = begun[Reason.PERMITTED.value] + begun.get(UNCHECKED, 0)
    since = {"left_out": sum(left.values()), **left}
    return [
        _counted(run, "consent", sum(begun.values()), begun),
        _counted(run, "consent_rounds", permitted, since),
    ]


def _counted(run: Run, metric: str, n: int, counts: Mapping[str, int]) -> Evidence:
    """Return counts of all sites' patients together, as of today."""
    return Evidence(
        key=f"{metric}/{TOGETHER}",
        metric=metric,
        stage="data",
        n=n,
        descriptive=True,
        phantom=run.study.phantom,
        detail={**counts, "day": today().isoformat()},
    )
