"""Evidence from before a run: what checks, audits and preparations of the data wrote, for the ledger.

`huizhen run --evidence FILE` takes the evidence.json of `data check`, `data audit-labels`, `site prepare` and
the like. Only families that no run measures are taken, so that nothing given can stand in for a result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.study import Study
from huizhen.errors import InvalidInputError, StudyError, VerificationError
from huizhen.ledger.signing import PublicKey

__all__ = ["FAMILIES", "MOST_BYTES", "check_signers", "given_evidence"]

FAMILIES = (
    *("acquisition", "consent_unlearned", "deidentification"),
    *("disclosure", "label_audit", "missing", "quality"),
)
"""The first pieces of the keys that may be given; a certificate of unlearning only where it holds."""
CERTIFICATES = "consent_unlearned"
MOST_BYTES = 4 << 20


def given_evidence(path: Path, study: Study | None = None) -> list[Mapping[str, Any]]:
    """Return the evidence records of a file, each checked and in its plain form.

    A certificate of unlearning must be about `study`, where that is given.

    Raises `StudyError` on a file that can't be read, holds none or too much, or a claim of another family,
    `VerificationError` on a site's certificate that doesn't hold.
    """
    held = _read(path)
    try:
        found = [Evidence.from_json(one) for one in held]
    except (InvalidInputError, TypeError, ValueError, AttributeError) as error:
        raise _refused(path) from error
    for one in found:
        family = one.key.partition("/")[0]
        if family not in FAMILIES or "/" not in one.key:
            raise StudyError(
                f"claims {family}, which only a run may measure",
                remedy=f"give evidence of: {', '.join(FAMILIES)}",
                field="--evidence",
                file=str(path),
            )
    if not found:
        raise _refused(path)
    for one in found:
        _check_certificate(one, study)
    return [one.to_json() for one in found]


def check_signers(added: Iterable[tuple[str, Mapping[str, Any]]], peers: Mapping[str, PublicKey]) -> None:
    """Check that each certificate of unlearning is signed by the site that it names, whose keys are `peers`.

    A certificate carries a key of its own, which anybody can make. Raises `VerificationError`.
    """
    for kind, body in added:
        family, _, site = str(body.get("key", "")).partition("/")
        if kind != "evidence" or family != CERTIFICATES or body["verdict"] == Verdict.NOT_ASSESSED.value:
            continue
        if site not in peers or body["detail"]["signer"] != peers[site].hex:
            raise VerificationError(
                "a certificate of approximate unlearning isn't signed by the site that it names",
                remedy="ask the site for it again",
                field=CERTIFICATES,
            )


def _check_certificate(one: Evidence, study: Study | None) -> None:
    """Check the signature and the epsilon of a site's certificate. Raises `VerificationError`."""
    if one.key.startswith(f"{CERTIFICATES}/"):
        from huizhen.pipeline.unlearning_check import check_certificate  # accountants load only then

        check_certificate(one.to_json(), study)


def _read(path: Path) -> list[Any]:
    """Return the list that a file holds."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        held = json.loads(data.decode("utf-8")) if len(data) <= MOST_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise _refused(path) from error
    if not isinstance(held, list):
        raise _refused(path)
    return held


def _refused(path: Path) -> StudyError:
    return StudyError(
        "holds no evidence",
        remedy="give the evidence.json that huizhen data check, data audit-labels or site prepare wrote",
        field="--evidence",
        file=str(path),
    )
