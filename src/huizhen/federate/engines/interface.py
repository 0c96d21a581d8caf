"""The one thing that an engine does: ask sites, each with its own frame, and bring back what they answer.

Every exchange of a federation is such an ask; an engine knows nothing of studies, rounds or keys. So the same
rounds run in one process, over local processes and over NVIDIA FLARE, and give the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

Answer = Callable[[bytes], bytes]
"""What a site's worker does with a frame."""


class Engine(Protocol):
    """Carries frames between the study lead and the sites."""

    @property
    def sites(self) -> Sequence[str]:
        """The names of the sites that this engine was started for, sorted."""
        ...

    def ask(self, frames: Mapping[str, bytes], *, timeout_s: float) -> dict[str, bytes]:
        """Bring each site its frame and return the answers that came within `timeout_s`, by site.

        A site that is dead, late or unreachable has no answer; it may answer the next question. An answer to
        an earlier question is dropped. Raises `FederationError` when the engine itself can't go on.
        """
        ...

    def close(self) -> None:
        """Let go of the sites and of what the engine holds."""
        ...
