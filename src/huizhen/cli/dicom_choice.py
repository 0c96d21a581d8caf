"""Which DICOM Modality a site's source takes, and whether the labels table names its headers' patients."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huizhen.core.dicom_modality import code_in_name
from huizhen.errors import DataError

if TYPE_CHECKING:
    from huizhen.data.readers.dicom_kinds import HeaderCounts

__all__ = ["Match", "choose_modality", "match_ids", "pattern_of", "refuse_strangers"]

ENOUGH = 0.9
"""Share of a table's patient ids below which a warning says how few of them are in the headers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How many of a table's patient ids are a Patient ID of the headers, and how either are written."""

    ids: int
    matched: int
    table: str
    headers: str
    zeros: bool
    """Whether more would match without leading zeros."""

    @property
    def is_poor(self) -> bool:
        """Whether a person should look at it."""
        return self.matched < ENOUGH * self.ids


def choose_modality(name: str, headers: HeaderCounts, *, given: str | None, folder: Path) -> str:
    """Return the DICOM Modality that the study's modality `name` takes from a folder.

    Raises `DataError` if the folder holds none of it, or several and neither `given` nor the name says which.
    """
    wanted = given or code_in_name(name)
    held = [code for code in headers.modalities if code != "?"]
    if wanted is None and len(held) == 1:
        return held[0]
    if wanted is None:
        raise DataError(
            f"the folder holds images of {headers or 'no modality'}, and the name {name} doesn't say which",
            remedy="name it with --dicom-modality",
            file=str(folder),
        )
    if wanted not in held:
        raise DataError(
            f"the folder holds no image of DICOM modality {wanted}; it holds {headers or 'none'}",
            remedy="give the folder that holds them, or name another with --dicom-modality",
            file=str(folder),
        )
    return wanted


def match_ids(table: Iterable[str], headers: Collection[str]) -> Match:
    """Return how a table's patient ids fit those of headers.

    >>> match_ids(["1", "2"], {"001", "002"})
    Match(ids=2, matched=0, table='9', headers='999', zeros=True)
    """
    ids, known = set(table) - {""}, set(headers)
    bare = {one.lstrip("0") for one in known}
    found = ids & known
    return Match(
        ids=len(ids),
        matched=len(found),
        table=_commonest(ids - found),
        headers=_commonest(known - found),
        zeros=sum(one.lstrip("0") in bare for one in ids) > len(found),
    )


def refuse_strangers(match: Match, *, file: str) -> None:
    """Raise `DataError` when no id of a table is in the headers."""
    if match.matched or not match.ids:
        return
    raise DataError(
        f"0 of {match.ids} patient ids match a Patient ID in the headers"
        f" (9 for a digit, A for a letter: table {match.table}, headers {match.headers})",
        remedy="leading zeros are lost: format the column as text in Excel, and export it again"
        if match.zeros
        else "name the column that holds the Patient ID with --patient, or ask for the right table",
        file=file,
    )


def pattern_of(text: str) -> str:
    """Return how a value is written, without the value: 9 for a digit, A for a letter.

    >>> pattern_of("00417-b")
    '99999-A'
    """
    return re.sub(r"[^\W\d_]", "A", re.sub(r"\d", "9", text))[:24]


def _commonest(values: Collection[str]) -> str:
    """Return the pattern that most values have."""
    counts = Counter(map(pattern_of, values))
    return max(sorted(counts), key=lambda pattern: counts[pattern], default="-")
