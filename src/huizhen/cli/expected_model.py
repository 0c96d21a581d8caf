"""Which model `huizhen predict` must be given: a digest, or the one in a verified dossier's ledger."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from huizhen.errors import InvalidInputError, VerificationError

if TYPE_CHECKING:
    from huizhen.core.digests import Digest

__all__ = ["expected_model"]


def expected_model(digest: str | None, dossier: Path | None, *, key: str | None = None) -> Digest | None:
    """Return the digest that the model must have, or None if neither is given.

    A `dossier` is verified first, signed by `key` if one is named. Raises `InvalidInputError` on a digest
    that is none, `VerificationError` when the dossier doesn't verify, or holds another model or not just one.
    """
    from huizhen.core.digests import Digest

    if digest is not None and not re.fullmatch(r"[0-9a-f]{64}", digest):
        remedy = "give the 64 hexadecimal digits that huizhen run printed or the dossier shows"
        raise InvalidInputError("is no digest of a model", remedy=remedy, field="--digest")
    if dossier is None:
        return None if digest is None else Digest(digest)
    found = _locked(dossier, key)
    if digest is not None and digest != found:
        raise VerificationError(
            "the dossier is about another model than --digest names",
            remedy="give the dossier of this model, or leave out one of the two",
            field="--dossier",
            file=str(dossier),
        )
    return found


def _locked(dossier: Path, key: str | None) -> Digest:
    """Return the digest of the one model that a dossier's ledger holds, after verifying all of it."""
    from huizhen.core.digests import Digest
    from huizhen.dossier.verification import verify_dossier
    from huizhen.ledger.reading import read_log

    verified = verify_dossier(dossier, expected_key_id=key)
    log = read_log(dossier / "ledger", expected_key_id=verified.key_id)
    digests = {str(entry.body.get("digest")) for entry in log.entries if entry.kind == "model"}
    if len(digests) != 1:
        raise VerificationError(
            f"holds {len(digests)} models, not one",
            remedy="give the digest with --digest",
            field="--dossier",
            file=str(dossier),
        )
    return Digest(digests.pop())
