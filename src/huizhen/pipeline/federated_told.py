"""All that sites told a lead of one part's patients, as one file: from it every number can be made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Part
from huizhen.core.study import Study
from huizhen.federate.statistics.delong import BINS, Aucs
from huizhen.federate.statistics.grouped import GroupedDistribution
from huizhen.federate.statistics.scores import ScoreDistribution
from huizhen.pipeline.federated_groups import Counted, counted_groups
from huizhen.pipeline.federated_scores import Block
from huizhen.validate.assessments.interface import HeldBack

__all__ = ["Told", "file_of"]


def file_of(part: Part) -> str:
    """Return the name of the file of a part.

    >>> file_of(Part.TEST)
    'scores_test.json'
    """
    return f"scores_{part.value}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One part's patients at `sites`, block by block; each of one site when they were asked `apart`.

    `counted`: the columns whose groups they told, `uncounted`: column -> why not; `held_back`: groups that
    are too small. `refused`: model -> why they told nothing of it. `pairs`: "a~b" -> two models' AUCs on the
    patients of both, or why they have none. `absent`: why nothing was told at all, else empty.
    """

    part: Part
    sites: tuple[str, ...]
    apart: bool
    blocks: tuple[Block, ...] = ()
    counted: tuple[Counted, ...] = ()
    uncounted: Mapping[str, str] = field(default_factory=dict)
    held_back: Mapping[str, HeldBack] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    pairs: dict[str, Aucs | str] = field(default_factory=dict)
    absent: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, bins that hold anybody only."""
        held = self.held_back.items()
        return {
            "part": self.part.value,
            "absent": self.absent,
            "sites": list(self.sites),
            "apart": self.apart,
            "uncounted": dict(self.uncounted),
            "held_back": {c: {"groups": list(h.groups), "patients": h.patients} for c, h in held},
            "refused": dict(self.refused),
            "pairs": {name: _plain(found) for name, found in self.pairs.items()},
            "counted": [one.column for one in self.counted],
            "blocks": [self._block(block) for block in self.blocks],
        }

    def _block(self, block: Block) -> dict[str, Any]:
        """Return a block as plain values, without the groups that are held back."""
        hidden = {(column, name) for column, held in self.held_back.items() for name in held.groups}
        names = [(one.column, name) for one in self.counted for name in one.names]
        groups = [
            {"column": column, "group": name, **_bins(block.groups.events[i], block.groups.others[i])}
            for i, (column, name) in enumerate(names)
            if block.groups is not None and (column, name) not in hidden
        ]
        return {
            "site": block.site,
            "fold": block.fold,
            "thresholds": dict(block.thresholds),
            "models": {name: _bins(own.events, own.others) for name, own in block.scores.items()},
            "groups": groups,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any], study: Study) -> Told:
        """Return what `to_json` gave of a part of `study`."""
        held = {
            column: HeldBack(groups=tuple(one["groups"]), patients=int(one["patients"]))
            for column, one in record["held_back"].items()
        }
        counted = tuple(one for one in counted_groups(study)[0] if one.column in record["counted"])
        return cls(
            part=Part(record["part"]),
            sites=tuple(record["sites"]),
            apart=bool(record["apart"]),
            blocks=tuple(_block_from(one, counted, held) for one in record["blocks"]),
            counted=counted,
            uncounted=dict(record["uncounted"]),
            held_back=held,
            refused=dict(record["refused"]),
            pairs={name: _pair_from(found) for name, found in record["pairs"].items()},
            absent=str(record["absent"]),
        )


def _plain(found: Aucs | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"reason": found}
    values = {"aucs": found.aucs.tolist(), "covariance": found.covariance.tolist()}
    return {**values, "n_pos": found.n_pos, "n_neg": found.n_neg}


def _pair_from(record: Mapping[str, Any]) -> Aucs | str:
    if "reason" in record:
        return str(record["reason"])
    aucs, covariance = (np.array(record[name], np.float64) for name in ("aucs", "covariance"))
    return Aucs(aucs=aucs, covariance=covariance, n_pos=int(record["n_pos"]), n_neg=int(record["n_neg"]))


def _bins(events: NDArray[Any], others: NDArray[Any]) -> dict[str, dict[str, int]]:
    return {
        name: {str(i): int(counts[i]) for i in np.flatnonzero(counts)}
        for name, counts in (("events", events), ("others", others))
    }


def _counts(record: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the counts (bins,) of which a record holds those above 0."""
    found = np.zeros(BINS, np.int64)
    for place, count in record.items():
        found[int(place)] = count
    return found


def _block_from(record: Mapping[str, Any], counted: Sequence[Counted], held: Mapping[str, HeldBack]) -> Block:
    scores = {
        name: ScoreDistribution(events=_counts(own["events"]), others=_counts(own["others"]))
        for name, own in record["models"].items()
    }
    return Block(
        site=str(record["site"]),
        fold=None if record["fold"] is None else int(record["fold"]),
        scores=scores,
        thresholds=dict(record["thresholds"]),
        groups=_groups_from(record["groups"], counted, held) if counted else None,
    )


def _groups_from(
    records: Sequence[Mapping[str, Any]], counted: Sequence[Counted], held: Mapping[str, HeldBack]
) -> GroupedDistribution:
    names = [(one.column, name) for one in counted for name in one.names]
    events, others = np.zeros((2, len(names), BINS), np.int32)
    for record in records:
        place = names.index((record["column"], record["group"]))
        events[place], others[place] = _counts(record["events"]), _counts(record["others"])
    sizes = np.asarray(events.sum(axis=1) + others.sum(axis=1), np.int64)
    hidden = np.array([column in held and name in held[column].groups for column, name in names], bool)
    return GroupedDistribution(n=0, sizes=sizes, hidden=hidden, events=events, others=others)
