"""The oracle: an annotator for simulations only, who knows every label and says that he is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError
from huizhen.train.active.queue import Queue
from huizhen.train.active.queue_records import Answer

__all__ = ["Oracle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """A simulated reader: gives each case's label of `truth`, or with `error_rate` another one.

    Which cases he errs on depends on his name, the case and the seed alone. A real queue refuses his answers.
    """

    truth: Mapping[str, str]
    seed: int
    name: str = "oracle"
    error_rate: float = 0.0

    def answers(self, queue: Queue) -> tuple[Answer, ...]:
        """Return an answer to each case of his worklist, marked as simulated.

        Raises `InvalidInputError` if the queue is no simulation, or the truth of a case isn't known.
        """
        if not queue.simulation:
            raise InvalidInputError(
                "an oracle can't answer a real queue",
                remedy="create the queue with simulation=True",
                field="queue",
            )
        cases = [task.case for task in queue.worklist(self.name, limit=2**31)]
        if unknown := sum(case not in self.truth for case in cases):
            raise InvalidInputError(
                f"the truth of {unknown} cases isn't known", remedy="simulate on labelled cases only"
            )
        return tuple(
            Answer(
                case=case,
                reader=self.name,
                label=self._said(case, queue.label_names),
                source="simulation",
                simulated=True,
            )
            for case in cases
        )

    def _said(self, case: str, labels: tuple[str, ...]) -> str:
        rng = stream(self.seed, "oracle", self.name, case)
        if rng.random() >= self.error_rate:
            return self.truth[case]
        return str(rng.choice([label for label in labels if label != self.truth[case]]))
