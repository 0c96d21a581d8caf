"""Who labels at a site: readers by its queue, or in simulations an oracle who knows the tables' outcomes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study import Task
from huizhen.core.study_active import Active, Annotator
from huizhen.train.active.agreement import ratings
from huizhen.train.active.oracle import Oracle
from huizhen.train.active.queue import Queue
from huizhen.train.active.queue_records import Request, State

__all__ = ["ADJUDICATOR", "Annotators"]

ADJUDICATOR = "oracle, adjudicating"
ACTOR = "consent register"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotators:
    """The annotators of one study at `site`, by the queue at `path`.

    `truth`: pseudonym -> outcome, which only an oracle is asked for.
    """

    path: Path
    site: str
    task: Task
    active: Active
    seed: int
    truth: Mapping[str, int]

    def labels(self, query: int, cases: Sequence[Mapping[str, Any]], *, rule: str) -> dict[str, int] | None:
        """Return pseudonym -> outcome of `cases` when all are settled or withdrawn, else None.

        What wasn't asked before is asked first; withdrawn cases get no label. Raises `StorageError`.
        """
        with self._open() as queue:
            queue.ask([_request(case, rule) for case in cases], round_number=query)
            if self.simulated:
                self._simulate(queue)
            states = queue.states()
            wanted = {str(case["case"]) for case in cases}
            if any(states[case] in (State.OPEN, State.DISPUTED) for case in wanted):
                return None
            return {
                label.case: int(label.label in self._positive)
                for label in queue.labels()
                if label.case in wanted
            }

    def withdraw(self, cases: Collection[str]) -> None:
        """Take those of `cases` out of the queue that are in it: they are asked about and counted no more."""
        if not cases or not self.path.exists():
            return
        with self._open() as queue:
            for case, state in queue.states().items():
                if case in cases and state is not State.WITHDRAWN:
                    queue.withdraw(case, actor=ACTOR, why="the patient permits the use no more")

    def ratings(self) -> NDArray[np.int64]:
        """Return who said what (n, R): 1 or 0 of each case, -1 where a reader didn't read it."""
        with self._open() as queue:
            said, _, _ = ratings(queue.answers(), queue.label_names)
            positive = [name in self._positive for name in queue.label_names]
        return np.where(said < 0, -1, np.array(positive, np.int64)[said])

    @property
    def _positive(self) -> set[str]:
        return {name.strip() for name in self.task.positive}

    @property
    def simulated(self) -> bool:
        """Tell whether an oracle answers."""
        return self.active.annotator is Annotator.ORACLE

    def _open(self) -> Queue:
        if self.path.exists():
            return Queue.open(self.path)
        labels = dict.fromkeys((*self.task.positive, *self.task.negative))
        scratch = self.path.with_suffix(".part")
        for left in self.path.parent.glob(f"{scratch.name}*"):  # by a process that was killed
            left.unlink()
        Queue.create(
            scratch,
            site=self.site,
            labels=tuple(labels),
            readers=self.active.readers,
            simulation=self.simulated,
        ).close()
        scratch.replace(self.path)
        return Queue.open(self.path)

    def _simulate(self, queue: Queue) -> None:
        """Let the oracle answer, once for each reader, and settle what his readers disagree on."""
        names = self.task.negative[0].strip(), self.task.positive[0].strip()
        truth = {case: names[outcome] for case, outcome in self.truth.items()}
        for number in range(1, self.active.readers + 1):
            oracle = Oracle(
                truth=truth,
                seed=self.seed,
                name=f"oracle {number}",
                error_rate=self.active.error_rate,
            )
            queue.answer(oracle.answers(queue))
        for case, state in queue.states().items():
            if state is State.DISPUTED:
                queue.adjudicate(case, truth[case], adjudicator=ADJUDICATOR, why="simulated readers disagree")


def _request(case: Mapping[str, Any], rule: str) -> Request:
    return Request(
        case=str(case["case"]),
        rank=int(case["rank"]),
        rule=rule,
        score=float(case["score"]),
        reason=str(case["reason"]),
    )
