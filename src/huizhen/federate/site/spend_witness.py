"""Where a site's spends are seen from outside their ledger: the outbox notes each new head.

Who deletes or empties the ledger, its head included, leaves an outbox that says how many lines it had.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huizhen.core.digests import Digest
from huizhen.federate.outbox import Outbox, read_outbox

__all__ = ["SPEND", "SpendWitness"]

SPEND: Final = "spend"
"""The kind of a line in the outbox that is no frame: the spend ledger's head, its size the count of lines."""


@dataclass(frozen=True, slots=True)
class SpendWitness:
    """The outbox of the site in `folder`, as the witness of its spend ledger."""

    folder: Path

    def last(self) -> tuple[int, Digest] | None:
        """Return count and digest of the last head that was noted; None when none was."""
        heads = [sent for sent in read_outbox(self.folder) if sent.kind == SPEND]
        return (heads[-1].size, Digest(heads[-1].digest)) if heads else None

    def note(self, count: int, head: Digest) -> None:
        """Note a new head, durably. Raises `StorageError`."""
        Outbox(self.folder).note(kind=SPEND, study="0" * 64, digest=head, size=count)
