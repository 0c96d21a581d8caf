"""A hospital's consent register as a table: a row a version of a patient's consent."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from huizhen.core.digests import Digest, digest_file
from huizhen.core.table_text import columns_of, numbered_rows
from huizhen.data.consent.record import Consent, Said, Withdrawal, said_of
from huizhen.errors import DataError, HuizhenError, InvalidInputError

__all__ = ["Register", "read_register", "register_problems"]

NEEDED = ("patient", "version", "given", "terms")
OPTIONAL = ("decision", "until", "modalities", "partners", "withdrawn", "withdrawal")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """All versions of all patients' consents, and the digest of the table that they were read from."""

    consents: Mapping[str, tuple[Consent, ...]]
    digest: Digest


def read_register(path: Path) -> Register:
    """Return the consents of a CSV or Parquet table.

    Columns: patient, version (a whole number), given (a date), terms ("HMB; DS=MONDO:0007254"); and where
    needed decision (permit or deny), until, modalities, partners, withdrawn and withdrawal (no_new_use,
    next_version, approximate or retrain). Lists are parted by semicolons. Raises `DataError`, which names the
    line and the column and never a patient, for an unknown column, an unknown term and any cell that can't be
    read: a consent that isn't understood permits nothing, and nobody would notice.
    """
    found: dict[str, list[Consent]] = defaultdict(list)
    for consent in _rows(path):
        if isinstance(consent, DataError):
            raise consent
        found[consent.patient].append(consent)
    return Register(
        consents={patient: tuple(versions) for patient, versions in found.items()}, digest=digest_file(path)
    )


def register_problems(path: Path) -> list[DataError]:
    """Return what `read_register` would refuse, row by row. Raises `DataError` for an unknown column."""
    return [found for found in _rows(path) if isinstance(found, DataError)]


def _rows(path: Path) -> Iterator[Consent | DataError]:
    """Yield the consent of each row, or what is wrong with it.

    A register without any row isn't one: cut short by a crash, it would leave everybody out for good.
    """
    if path.is_file() and not path.stat().st_size:
        raise _empty(path)
    held = columns_of(path)
    _check_columns(held, path)
    named = [name for name in (*NEEDED, *OPTIONAL) if name in (*NEEDED, *held)]
    line = 0
    for line, row in numbered_rows(path, named):
        try:
            yield _consent(row, line, path)
        except DataError as error:
            yield error
    if not line:
        raise _empty(path)


def _empty(path: Path) -> DataError:
    return DataError(
        "the register is empty",
        remedy="put it back from a backup; where nobody has consented, name no such site",
        file=path.name,
    )


def _check_columns(held: Sequence[str], path: Path) -> None:
    """Refuse a column that means nothing, by its number (its name may be a patient's), and a double one."""
    for place, name in enumerate(held, 1):
        if name not in (*NEEDED, *OPTIONAL):
            raise DataError(
                f"column {place} means nothing in a consent register",
                remedy=f"name columns {', '.join((*NEEDED, *OPTIONAL))}",
                file=path.name,
            )
        if name in held[: place - 1]:
            raise DataError(
                f"the column {name} stands {held.count(name)} times",
                remedy="rename all but one",
                field=name,
                file=path.name,
            )


def _consent(row: Mapping[str, str], line: int, path: Path) -> Consent:
    """Return the consent of one row."""

    def read(name: str, parse: Callable[[str], _T], otherwise: _T) -> _T:
        text = row.get(name, "").strip()
        try:
            return parse(text) if text else otherwise
        except (ValueError, HuizhenError) as error:
            remedy = error.remedy if isinstance(error, HuizhenError) else _REMEDIES[name]
            raise _unclear(path, line, name, remedy) from error

    for name, text in row.items():
        if "".join(text.splitlines()) != text:
            raise _unclear(path, line, name, "write it on one line, and close every quotation mark")
    if _altered(row["patient"].strip()):
        raise _unclear(path, line, "patient", "write the id plainly: it holds hidden or full-width signs")
    for name in ("patient", "version", "given"):
        if not row[name].strip():
            raise _unclear(path, line, name, "fill it in")
    try:
        return Consent(
            patient=row["patient"].strip(),
            version=read("version", _number, 0),
            given=read("given", date.fromisoformat, date.max),
            said=read("terms", _said, ()),
            deny=read("decision", lambda text: _DECISIONS[text.lower()], False),
            until=read("until", date.fromisoformat, None),
            modalities=read("modalities", _names, frozenset()),
            partners=read("partners", _names, frozenset()),
            withdrawn=read("withdrawn", date.fromisoformat, None),
            withdrawal=read("withdrawal", Withdrawal, Withdrawal.NO_NEW_USE),
        )
    except InvalidInputError as error:  # whose message is one of `Consent`, without a value
        raise DataError(
            f"line {line}: the consent {error.message}",
            remedy=error.remedy,
            field=error.field or "given",
            file=path.name,
        ) from error


def _altered(patient: str) -> bool:
    r"""Whether an id holds what can't be seen, or is another one when written plainly.

    >>> _altered("p1"), _altered("p1\u200b"), _altered("p1\ufe0f"), _altered("p\uff11")
    (False, True, True, True)
    """
    hidden = _HIDDEN.search(patient) or any(unicodedata.category(sign) in _UNSEEN for sign in patient)
    return bool(hidden) or unicodedata.normalize("NFKC", patient) != patient


_UNSEEN = ("Cc", "Cf", "Cn", "Co", "Zl", "Zp")
_HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Signs that nobody sees and that aren't of a category of such: selectors, joiners, fillers."""


def _number(text: str) -> int:
    """Return a whole number in plain digits. Raises `ValueError`, also where `int` reads more."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError("no number")
    return int(text)


@lru_cache(maxsize=4096)
def _said(text: str) -> tuple[Said, ...]:
    """Return the terms of a cell: a register says the same thing of many patients."""
    return said_of(text.split(";"))


_REMEDIES = {
    "version": "write a whole number",
    "given": "write a date as 2026-11-23",
    "until": "write a date as 2026-11-23",
    "withdrawn": "write a date as 2026-11-23",
    "withdrawal": f"write one of {', '.join(Withdrawal)}",
}


class _Decisions(dict[str, bool]):
    """permit and deny; anything else is an error of the cell."""

    def __missing__(self, text: str) -> bool:
        raise InvalidInputError("is no decision", remedy="write permit or deny", field="decision")


_DECISIONS = _Decisions(permit=False, deny=True)


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(";") if part.strip())


def _unclear(path: Path, line: int, column: str, remedy: str) -> DataError:
    """Return the error of one cell; what stands there may be a patient's and is not repeated."""
    return DataError(f"line {line}: {column} isn't understood", remedy=remedy, field=column, file=path.name)
