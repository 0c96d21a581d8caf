"""What each reader says of each exam: seen, where a table has it, or simulated; and the exams themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Whether the first reader, the second and the consensus would recall each exam, each (r, n) boolean.

    Each row is one draw of readers over the same exams; observed reads are one row. `follows_first` and
    `follows_second` say at which exams a reader who sees the AI's call takes it over in place of their own;
    `simulated` which of the three reads were drawn and not seen, (3, n). Raises `InvalidInputError` on
    shapes that differ.
    """

    first: Flags
    second: Flags
    consensus: Flags
    follows_first: Flags
    follows_second: Flags
    simulated: Flags

    def __post_init__(self) -> None:
        parts = (self.first, self.second, self.consensus, self.follows_first, self.follows_second)
        shapes = {part.shape for part in parts}
        if len(shapes) > 1 or self.first.ndim != 2 or self.simulated.shape != (3, self.first.shape[1]):
            raise InvalidInputError("reads differ in shape", remedy="give (r, n) each", field="reads")
        if any(part.dtype != np.bool_ for part in (*parts, self.simulated)):
            raise InvalidInputError("reads must be boolean", remedy="convert them with == 1", field="reads")


def observed_reads(first: Flags, second: Flags, consensus: Flags) -> Reads:
    """Return reads (n,) that were all seen, by readers who saw no AI.

    >>> observed_reads(np.array([True]), np.array([False]), np.array([True])).first.shape
    (1, 1)
    """
    nobody = np.zeros((1, first.size), dtype=np.bool_)
    return Reads(
        first=first[np.newaxis],
        second=second[np.newaxis],
        consensus=consensus[np.newaxis],
        follows_first=nobody,
        follows_second=nobody,
        simulated=np.zeros((3, first.size), dtype=np.bool_),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exams:
    """n exams: who has the event (n,), the AI's level (n,) and top mark (n,), and what readers say of them.

    `outcome` counts events found at screening and, where follow-up was complete, those found later. `level`
    and `top` may be (r, n), where each draw of readers is a trial with exams of its own. Raises
    `InvalidInputError` on lengths that differ or a level below 1.
    """

    outcome: Flags
    level: NDArray[np.int64]
    top: Flags
    reads: Reads

    def __post_init__(self) -> None:
        shapes = {self.outcome.shape, self.level.shape[-1:], self.top.shape[-1:], self.reads.first.shape[1:]}
        empty = self.outcome.size == 0 or self.level.size == 0
        if len(shapes) > 1 or self.outcome.dtype != np.bool_ or empty or self.level.min() < 1:
            raise InvalidInputError("columns differ in length, or are of no exam", remedy="check them")
