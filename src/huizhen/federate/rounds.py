"""Rounds of training: the weights go out, changes come back, and every finished round is kept on disk.

Killed anywhere and started again, the rounds go on after the last one that is whole, to the same weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from huizhen.core.files import write_bytes
from huizhen.core.progress import Progress, Silent
from huizhen.core.streams import stream
from huizhen.core.study_federation import Aggregation, Federation
from huizhen.errors import FederationError
from huizhen.federate import messages as wire
from huizhen.federate import robust
from huizhen.federate.lead import Lead
from huizhen.federate.secure_sum import divided
from huizhen.federate.strategies.choose import strategy_of
from huizhen.federate.strategies.interface import State, Step, Weights
from huizhen.privacy.secure_aggregation.coding import FixedPoint

LARGEST_CHANGE = 64.0
"""A weight's change in one round is cut to this under secure aggregation: fixed point needs a bound."""
DIGEST_BYTES = 32
Shapes = Sequence[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A finished round: its number from 0, the weights and the strategy's state after it, and its sites."""

    number: int
    weights: Weights
    state: State
    sites: tuple[tuple[str, ...], ...]
    """The sites whose changes are in each round so far."""
    patients: tuple[int, ...] = ()
    """How many patients they were of, by what the updates count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The rounds of one model over the sites `sites`, kept in `folder`.

    `patients`: how many train it at all sites together, from a secure count.
    """

    lead: Lead
    federation: Federation
    model: str
    folder: Path
    sites: tuple[str, ...]
    patients: int
    before: Callable[[int, Weights], None] | None = None
    """What is done before a round of this number, with the weights that it begins from; again on resuming."""

    def run(self, initial: Weights, *, progress: Progress | None = None) -> Round:
        """Train from `initial` and return the last round. Raises `FederationError` below the quorum."""
        strategy = strategy_of(self.federation)
        last = load_round(self.folder, initial) or Round(number=-1, weights=initial, state={}, sites=())
        total = self.federation.rounds
        with (progress or Silent()).track("rounds", total, about=self.model) as advance:
            advance(last.number + 1)
            for number in range(last.number + 1, total):
                if self.before is not None:
                    self.before(number, last.weights)
                shared = {n: w for n, w in last.weights.items() if not self.federation.stays(n)}
                sent = {**shared, **strategy.broadcast(last.state, shared)}
                change, sites, patients = self._change(number, sent)
                share = len(sites) / len(self.sites)
                step: Step = strategy.step(shared, change, last.state, share=share)
                last = Round(
                    number=number,
                    weights={**last.weights, **step.weights},
                    state=step.state,
                    sites=(*last.sites, sites),
                    patients=(*last.patients, patients),
                )
                save_round(self.folder, last)
                advance(1)
        return last

    def _change(self, number: int, sent: Weights) -> tuple[Weights, tuple[str, ...], int]:
        """Return the mean change of one round, the sites it is of, and how many patients they count."""
        ask = wire.Train(
            study=self.lead.study.digest,
            sender=wire.LEAD,
            model=self.model,
            round=number,
            secure=self.federation.secure,
        )
        shapes = [(name, array.shape) for name, array in sorted(sent.items())]
        if not self.federation.secure:
            flat, sites, patients = self._plain(ask, sent, shapes)
        elif self.federation.aggregation is Aggregation.GROUPED_MEDIAN:
            flat, sites, patients = self._grouped(ask, sent)
        else:
            flat, sites, patients = self._secure(ask, sent, self.sites)
        return divided(flat, shapes), sites, patients

    def _secure(
        self, ask: wire.Train, sent: Weights, sites: tuple[str, ...]
    ) -> tuple[NDArray[np.float32], tuple[str, ...], int]:
        """Return the weighted mean (n,) of one secure sum, its sites and the weight."""
        coding = FixedPoint.finest(sites=len(sites), clip=LARGEST_CHANGE, max_weight=self.patients)
        summed = self.lead.secure(ask, coding, sent, sites)
        mean, weight = coding.decode(summed.vector)
        self._check_patients(weight)
        return mean, summed.sites, weight

    def _check_patients(self, count: int) -> None:
        """Refuse updates over more patients than the cohort has. Raises `FederationError`."""
        if not 0 < count <= self.patients:
            raise FederationError(
                f"the sites' updates count {count} patients, the cohort has {self.patients}",
                remedy="find the site whose count changed; run again with the sites that agree",
                field="patients",
            )

    def _grouped(self, ask: wire.Train, sent: Weights) -> tuple[NDArray[np.float32], tuple[str, ...], int]:
        """Return the median (n,) over groups' means, each a secure sum; groups are drawn anew each round."""
        groups = grouped(self.sites, self.federation.groups, seed=self.lead.study.seed, number=ask.round)
        means: list[NDArray[np.float32]] = []
        answered: list[str] = []
        patients = 0
        for group in groups:
            mean, sites, weight = self._secure(ask, sent, group)
            means.append(mean)
            answered += sites
            patients += weight
        each = np.ones(len(means), np.int64)
        return robust.median(np.stack(means), each), tuple(sorted(answered)), patients

    def _plain(
        self, ask: wire.Train, sent: Weights, shapes: Shapes
    ) -> tuple[NDArray[np.float32], tuple[str, ...], int]:
        """Return the aggregate (n,) of updates that the lead sees one by one, its sites and patients."""
        answers = self.lead.ask(dict.fromkeys(self.sites, ask), self.lead.patience_s, sent)
        found: dict[str, tuple[NDArray[np.float32], int]] = {}
        for site, answer in sorted(answers.items()):
            message = answer.message
            if isinstance(message, wire.Update):
                reason = self._wrong(message, answer.arrays, ask, shapes)
                if reason:
                    self.lead.journal.note("refused", site=site, reason=reason)
                    continue
                flat = np.concatenate([np.asarray(answer.arrays[name]).reshape(-1) for name, _ in shapes])
                found[site] = flat, message.patients
        self.lead.enough(found, self.sites)
        changes = np.stack([flat for flat, _ in found.values()])
        patients = np.array([count for _, count in found.values()], np.int64)
        self._check_patients(int(patients.sum()))
        return self._aggregated(changes, patients), tuple(found), int(patients.sum())

    def _wrong(
        self, message: wire.Update, arrays: Mapping[str, NDArray[Any]], ask: wire.Train, shapes: Shapes
    ) -> str:
        """Return what is wrong with an update; nothing if it may be used."""
        if (message.model, message.round) != (ask.model, ask.round):
            return "an update of another round"
        if {name: array.shape for name, array in arrays.items()} != dict(shapes):
            return "an update of other shapes"
        if not 0 < message.patients <= self.patients:
            return f"it counts {message.patients} patients, all sites have {self.patients}"
        if any(np.abs(array).max(initial=0) > LARGEST_CHANGE for array in arrays.values()):
            return f"a change above {LARGEST_CHANGE:g}"
        return ""

    def _aggregated(self, changes: NDArray[np.float32], patients: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return one change (n,) from those of the sites (s, n)."""
        share = self.federation.untrusted
        match self.federation.aggregation:
            case Aggregation.MEAN:
                return robust.mean(changes, patients)
            case Aggregation.MEDIAN:
                return robust.median(changes, patients)
            case Aggregation.TRIMMED_MEAN:
                return robust.trimmed_mean(changes, patients, share=share)
            case Aggregation.KRUM:
                return robust.krum(changes, patients, share=share)
            case Aggregation.GROUPED_MEDIAN:
                raise FederationError(
                    "grouped_median is for secure sums", remedy="set secure = true, or take median"
                )
        assert_never(self.federation.aggregation)


def grouped(sites: Sequence[str], groups: int, *, seed: int, number: int) -> list[tuple[str, ...]]:
    """Return `sites` dealt into `groups` by a draw of the round `number`.

    Raises `FederationError` when a group would have fewer than two sites.

    >>> [len(g) for g in grouped(list("abcdefg"), 3, seed=1, number=0)]
    [3, 2, 2]
    """
    if len(sites) < 2 * groups:
        raise FederationError(
            f"{len(sites)} sites can't form {groups} groups of two or more",
            remedy="take fewer groups, or maximum_norm instead",
            field="federation.groups",
        )
    order = stream(seed, "groups", number).permutation(len(sites))
    return [tuple(sorted(sites[i] for i in order[g::groups])) for g in range(groups)]


def save_round(folder: Path, done: Round) -> None:
    """Keep a finished round, whole or not at all; the round before the last one is let go."""
    tensors = {f"weights/{name}": np.asarray(value) for name, value in done.weights.items()}
    tensors |= {f"state/{name}": np.asarray(value) for name, value in done.state.items()}
    data = save(tensors, {"sites": json.dumps(done.sites), "patients": json.dumps(done.patients)})
    write_bytes(_file(folder, done.number), hashlib.sha256(data).digest() + data)
    _file(folder, done.number - 2).unlink(missing_ok=True)


def load_round(folder: Path, initial: Weights) -> Round | None:
    """Return the last whole round in `folder`, None without one. A damaged file is passed over."""
    for file in sorted(folder.glob("round-*.safetensors"), reverse=True):
        content = file.read_bytes()
        stated, data = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != stated:
            continue
        tensors = load(data)
        weights = {n[8:]: v for n, v in tensors.items() if n.startswith("weights/")}
        if {n: v.shape for n, v in weights.items()} != {n: v.shape for n, v in initial.items()}:
            continue
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        sites = tuple(tuple(each) for each in json.loads(header["sites"]))
        return Round(
            number=int(file.stem.partition("-")[2]),
            weights=weights,
            state={n[6:]: v for n, v in tensors.items() if n.startswith("state/")},
            sites=sites,
            patients=tuple(json.loads(header.get("patients", "[]"))),
        )
    return None


def _file(folder: Path, number: int) -> Path:
    return folder / f"round-{number:05d}.safetensors"
