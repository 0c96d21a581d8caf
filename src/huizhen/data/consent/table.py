"""Registers and lists of consents written as CSV tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from huizhen.core.files import write_text
from huizhen.data.consent.record import Consent, Said, Withdrawal
from huizhen.data.consent.register import NEEDED, OPTIONAL
from huizhen.errors import InvalidInputError

__all__ = ["row_of", "term_text", "write_register", "write_table"]


def write_register(path: Path, consents: Iterable[Consent]) -> None:
    """Write a register that `read_register` reads back as the same consents.

    Raises `InvalidInputError` for a name with a semicolon or at its ends a blank: the register couldn't keep
    it apart. `StorageError` when the file can't be written.
    """
    write_table(path, (*NEEDED, *OPTIONAL), [row_of(one) for one in consents])


def row_of(consent: Consent) -> dict[str, str]:
    """Return a consent as a row of a register."""
    days = {"until": consent.until, "withdrawn": consent.withdrawn}
    keep = consent.withdrawal is not Withdrawal.NO_NEW_USE
    return {
        "patient": _apart([consent.patient]),
        "version": str(consent.version),
        "given": consent.given.isoformat(),
        "terms": _apart(term_text(said) for said in consent.said),
        "decision": "deny" if consent.deny else "permit",
        **{name: "" if day is None else day.isoformat() for name, day in days.items()},
        "modalities": _apart(sorted(consent.modalities)),
        "partners": _apart(sorted(consent.partners)),
        "withdrawal": consent.withdrawal.value if keep else "",
    }


def term_text(said: Said) -> str:
    """Return a term as registers write it.

    >>> from huizhen.data.consent.record import said_of
    >>> [term_text(one) for one in said_of(["DUO:0000006", "DS = MONDO:0007254"])]
    ['HMB', 'DS=MONDO:0007254']
    """
    return f"{said.term.code}={said.value}" if said.value else said.term.code


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write rows of text as CSV, whole or not at all. Raises `StorageError`."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, stream.getvalue())


def _apart(names: Iterable[str]) -> str:
    """Return names parted by semicolons."""
    found = list(names)
    if any(";" in name or name != name.strip() or not name for name in found):
        raise InvalidInputError(
            "a name holds a semicolon, begins or ends with a blank, or is empty",
            remedy="change it: a register parts names by semicolons",
            field="consent",
        )
    return "; ".join(found)
