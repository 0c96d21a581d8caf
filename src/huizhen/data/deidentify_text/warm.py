"""The recognisers loaded: imported once by the server that processes for documents are forked from.

Nothing else imports this module. Where presidio is absent nothing is loaded, and the first document says so.
"""

from __future__ import annotations

from huizhen.data.deidentify_text.engine import find_all
from huizhen.errors import InvalidInputError

__all__ = ["LOADED"]


def _load() -> bool:
    """Load recognisers and lists of both languages; tell whether they are there."""
    try:
        return bool(find_all("Dr. Okonkwo, tel. 020 7946 0018; 患者张伟于2026年3月5日入院"))
    except InvalidInputError:
        return False


LOADED = _load()
"""Whether the recognisers are there."""
