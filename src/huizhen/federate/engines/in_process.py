"""All sites in one process: for tests, and to compare with; frames are checked as over a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from huizhen.federate.engines.interface import Answer


class InProcess:
    """An engine over `answer`, site -> what answers its frames."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = dict(sorted(answers.items()))

    @property
    def sites(self) -> Sequence[str]:
        """The sites' names, sorted."""
        return list(self._answers)

    def ask(self, frames: Mapping[str, bytes], *, timeout_s: float) -> dict[str, bytes]:
        """Return every asked site's answer, one after the other; nobody is ever late."""
        return {site: self._answers[site](frame) for site, frame in sorted(frames.items())}

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
