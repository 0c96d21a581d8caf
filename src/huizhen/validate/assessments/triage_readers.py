"""The readers of a triage simulation: what a table holds of their reads, and who is simulated else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study_triage import ReadColumns, ReaderAccuracy, TriagePlan, TriageReaders
from huizhen.errors import NotEstimableError
from huizhen.validate.triage.observed import correlation_between, correlation_with_ai, reader_from
from huizhen.validate.triage.panel import Panel, Reader, complete_reads, normal_scores
from huizhen.validate.triage.reads import Reads

__all__ = ["BETWEEN", "WITH_AI", "panel_of", "reads_of", "seen_reads"]

BETWEEN = 0.5
WITH_AI = 0.4
"""The correlations that are assumed where neither the study nor the reads say any."""
MOST_READS = 2_000_000
"""So many exams times draws at most."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Seen = tuple[Floats, Floats, Floats]


def reads_of(
    draw: np.random.Generator,
    plan: TriagePlan,
    outcome: Flags,
    risk: Floats,
    columns: Mapping[str, NDArray[np.str_]],
) -> tuple[Reads, dict[str, Any]]:
    """Return the reads of exams (n,) and, as plain values, what is known or assumed of the readers.

    `columns`: the texts (n,) of the table's columns. Reads that weren't seen are drawn `plan.draws` times,
    less often for very many exams. Raises `NotEstimableError` where readers can't be known.
    """
    seen = seen_reads(plan.readers.columns, columns, outcome.size)
    ai = normal_scores(risk, outcome)
    panel, told = panel_of(plan.readers, seen, ai, outcome)
    drawn = panel.follow > 0 or any(np.isnan(column).any() for column in seen)
    draws = max(1, min(plan.draws, MOST_READS // outcome.size)) if drawn else 1
    reads = complete_reads(draw, panel, outcome, ai, seen, draws=draws)
    return reads, {**told, "draws": draws}


def seen_reads(columns: ReadColumns | None, held: Mapping[str, NDArray[np.str_]], n: int) -> Seen:
    """Return what the first reader, the second and the consensus said of each exam, NaN where nothing.

    Raises `NotEstimableError` where a column is absent, or holds no read.

    >>> held = {"r": np.array(["1", "0", "x"])}
    >>> seen_reads(ReadColumns(first="r"), held, 3)[0].tolist()
    [1.0, 0.0, nan]
    """
    nothing = np.full(n, np.nan)
    if columns is None:
        return nothing, nothing, nothing
    first, second, consensus = (
        nothing if name is None else _reads_in(columns, name, held)
        for name in (columns.first, columns.second, columns.consensus)
    )
    return first, second, consensus


def _reads_in(columns: ReadColumns, name: str, held: Mapping[str, NDArray[np.str_]]) -> Floats:
    """Return the reads of one column."""
    if name not in held:
        raise NotEstimableError(f"the predictions have no column {name}", remedy="name another")
    said = {cell: _said(columns, cell) for cell in np.unique(held[name]).tolist()}
    found = np.array([said[cell] for cell in held[name].tolist()], dtype=np.float64)
    if np.isnan(found).all():
        raise NotEstimableError(
            f"the column {name} holds no read", remedy="name its values in recall and no_recall"
        )
    return found


def _said(columns: ReadColumns, cell: str) -> float:
    """Return 1 for a value that says recall, 0 for one that doesn't, NaN for another."""
    meaning = {columns.recall[0]: 1.0, columns.no_recall[0]: 0.0}
    return meaning.get(columns.said(cell), float("nan"))


def panel_of(readers: TriageReaders, seen: Seen, ai: Floats, outcome: Flags) -> tuple[Panel, dict[str, Any]]:
    """Return the panel, and as plain values each of its numbers with where it is from.

    "study": stated there; "reads": from the observed reads; "first reader": taken as alike; "assumed".
    """
    first, first_from = _accuracy(readers.first, seen[0], outcome, None)
    second, second_from = _accuracy(readers.second, seen[1], outcome, first)
    consensus, consensus_from = _accuracy(readers.consensus, np.full(outcome.size, np.nan), outcome, first)
    with_ai, with_from = _with_ai(readers, seen[0], ai, outcome)
    between, between_from = _between(readers, seen, outcome)
    panel = Panel(
        first=first,
        second=second,
        consensus=consensus,
        between_readers=max(between, with_ai**2),
        with_ai=with_ai,
        follow=readers.follow,
    )
    each = {
        "first": (first, first_from),
        "second": (second, second_from),
        "consensus": (consensus, consensus_from),
    }
    told: dict[str, Any] = {
        name: {"sensitivity": one.sensitivity, "specificity": one.specificity, "from": source}
        for name, (one, source) in each.items()
    }
    told["between_readers"] = {"value": panel.between_readers, "from": between_from}
    told["with_ai"] = {"value": panel.with_ai, "from": with_from}
    return panel, {**told, "follow": readers.follow}


def _accuracy(
    stated: ReaderAccuracy | None, seen: Floats, outcome: Flags, otherwise: Reader | None
) -> tuple[Reader, str]:
    """Return a reader's accuracy and where it is from."""
    if stated is not None:
        return Reader(sensitivity=stated.sensitivity, specificity=stated.specificity), "study"
    known = ~np.isnan(seen)
    if known.any():
        return reader_from(seen[known] == 1, outcome[known]), "reads"
    if otherwise is None:
        raise NotEstimableError("no accuracy of the first reader", remedy="state it, or name a column")
    return otherwise, "first reader"


def _with_ai(readers: TriageReaders, seen: Floats, ai: Floats, outcome: Flags) -> tuple[float, str]:
    """Return the first reader's correlation with the AI."""
    if readers.with_ai is not None:
        return readers.with_ai, "study"
    known = ~np.isnan(seen)
    if known.any():
        return correlation_with_ai(seen[known] == 1, ai[known], outcome[known]), "reads"
    return WITH_AI, "assumed"


def _between(readers: TriageReaders, seen: Seen, outcome: Flags) -> tuple[float, str]:
    """Return the correlation between readers."""
    if readers.between_readers is not None:
        return readers.between_readers, "study"
    known = ~np.isnan(seen[0]) & ~np.isnan(seen[1])
    if known.any():
        return correlation_between(seen[0][known] == 1, seen[1][known] == 1, outcome[known]), "reads"
    return BETWEEN, "assumed"
