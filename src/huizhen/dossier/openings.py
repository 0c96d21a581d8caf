"""What was fixed before test outcomes were opened, checked against what was opened: from entries and files.

The ledger holds salted commitments to split, cases and sealed outcomes, and the digest of the predictions
without outcomes. The published tables hold outcomes and predictions: so a recipient can make both again.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from huizhen.core.digests import digest_bytes
from huizhen.dossier.artefacts import Reader
from huizhen.errors import VerificationError
from huizhen.ledger.commitments import check_opening
from huizhen.ledger.records import Entry

SEALED = "sealed.json"
TABLES = {"internal": "predictions_test.csv", "external": "predictions_external.csv"}
"""The published table of each cohort."""


def openings(entries: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yield each unseal that names a commitment, with that entry. Raises `VerificationError`."""
    for unseal in entries:
        if unseal.kind == "unseal" and "commit_entry" in unseal.body:
            yield unseal, named(entries, unseal, "commit_entry", "commit")


def named(entries: Sequence[Entry], entry: Entry, field: str, kind: str) -> Entry:
    """Return the entry of `kind` that stands before `entry` and that its `field` names."""
    index = entry.body.get(field)
    found = entries[index] if type(index) is int and 0 <= index < entry.index else None
    if found is None or found.kind != kind:
        raise _broken(f"entry {entry.index} names no {kind} before it")
    return found


def check_openings(entries: Sequence[Entry]) -> None:
    """Check that everything opened is what was committed to. Raises `VerificationError`.

    What was never committed to can't be checked: whether a log has commitments is a rule of the order.
    """
    for unseal, commit in openings(entries):
        opened = unseal.body.get("opened")
        check_opening(commit.body.get("commitments"), unseal.body.get("salt"), opened)
        if not isinstance(opened, Mapping) or opened.get(SEALED) != unseal.body.get("sealed_outcomes"):
            raise _broken(f"entry {unseal.index} opens other outcomes than it says")


def check_tables(entries: Sequence[Entry], read: Reader) -> None:
    """Check the published predictions: their outcomes are the sealed ones, all else was fixed before.

    `read` gives a published file by its path. Raises `VerificationError`.
    """
    found = list(openings(entries))
    if not found:
        return
    unseal, commit = found[-1]  # the published tables are those of the last
    fixed = named(entries, unseal, "predictions_entry", "predictions").body.get("without_outcomes")
    sealed: dict[str, int] = {}
    for name, digest in (fixed if isinstance(fixed, Mapping) else {}).items():
        if name not in TABLES.values():
            raise _broken("predictions of another name were fixed")
        rows = _rows(read, name)
        if _digest_without(rows, "outcome") != digest:
            raise _broken(f"{name} holds other predictions than were fixed before outcomes were opened", name)
        cohort = next(cohort for cohort, table in TABLES.items() if table == name)
        if sealed_counts(commit).get(cohort, {}).get("sealed"):
            patient, outcome = rows[0].index("patient"), rows[0].index("outcome")
            sealed |= {row[patient]: int(row[outcome]) for row in rows[1:]}
    text = json.dumps(sealed, indent=1, sort_keys=True, ensure_ascii=False) + "\n"  # as the run wrote it
    if digest_bytes(text.encode()) != unseal.body["sealed_outcomes"]:
        raise _broken("the published outcomes are not those that were sealed")


def _rows(read: Reader, name: str) -> list[list[str]]:
    """Return head and rows of a published table. Raises `VerificationError` if it is none."""
    try:
        rows = list(csv.reader(io.StringIO(read(name).decode("utf-8"))))
    except (OSError, ValueError, csv.Error) as error:
        raise _broken("can't be read as a table", name) from error
    if not rows or not {"patient", "outcome"} <= set(rows[0]) or {len(row) for row in rows} != {len(rows[0])}:
        raise _broken("lacks columns", name)
    if not {row[rows[0].index("outcome")] for row in rows[1:]} <= {"0", "1"}:
        raise _broken("holds an outcome that is neither 0 nor 1", name)
    return rows


def _digest_without(rows: list[list[str]], column: str) -> str:
    """Return the digest of the table as it was written before it had `column`."""
    place = rows[0].index(column)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows(row[:place] + row[place + 1 :] for row in rows)
    return digest_bytes(stream.getvalue().encode())


def _broken(why: str, file: str | None = None) -> VerificationError:
    remedy = "trust no result that was made after the outcomes were opened"
    return VerificationError(why, remedy=remedy, file=file)


def sealed_counts(commit: Entry) -> Mapping[str, Mapping[str, Any]]:
    """Return cohort -> {"patients", "sealed"} of a commitment, where it says so."""
    cohorts = commit.body.get("cohorts")
    if not isinstance(cohorts, Mapping):
        return {}
    return {
        name: found
        for name, found in cohorts.items()
        if isinstance(found, Mapping)
        and all(type(found.get(k)) is int for k in ("patients", "sealed"))
        and found["patients"]
    }
