"""A linkage attack on files: the hospital's table as it would be released, and what somebody else holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from huizhen.core.table_text import columns_of, rows_of
from huizhen.data.disclosure.linkage import Attack, link
from huizhen.data.disclosure.microdata import number_of
from huizhen.data.disclosure.recoding import Recoding, released_rows
from huizhen.errors import DataError, InvalidInputError

__all__ = ["attack_table", "distances_of"]

Keyed = tuple[list[str], dict[str, list[str]]]
"""Who each row is, and the columns of the rows."""


def attack_table(
    table: Path,
    attacker: Path,
    *,
    key: str,
    recoding: Recoding | None = None,
    attacker_recoding: Recoding | None = None,
    near: Mapping[str, float] | None = None,
) -> Attack:
    """Return how many of the people in `attacker` are rightly found in `table` as it is released.

    `key` tells in both tables who is who, so that links can be judged; it is no part of the attack. With
    `attacker_recoding` the attacker holds an earlier release. Raises `DataError` for tables without the key
    or a common column, or where a person has several rows in the released table; `InvalidInputError` for a
    distance in a column that isn't compared: the attack would look weaker than it is.
    """
    who, released = _rows(table, key, recoding)
    known_who, known = _rows(attacker, key, attacker_recoding)
    names = [name for name in known if name in released]
    if not names:
        raise DataError(
            "the tables have no column in common beside the key",
            remedy="give an attacker's table with some quasi-identifiers",
            file=attacker.name,
        )
    _refuse_unknown(near or {}, names)
    place = {person: index for index, person in enumerate(who)}
    if len(place) < len(who):
        raise DataError(
            f"a person has several rows in {key}", remedy="give one row a person", file=table.name
        )
    truth = [place.get(person, -1) for person in known_who]
    columns = {name: known[name] for name in names}
    return link(columns, {name: released[name] for name in names}, truth, near=near)


def _refuse_unknown(near: Mapping[str, float], names: Sequence[str]) -> None:
    """Raise `InvalidInputError` for a distance in a column that the tables don't share."""
    if other := [name for name in near if name not in names]:
        raise InvalidInputError(
            f"{other[0][:40]} is no column of both tables",
            remedy=f"name one of: {', '.join(names)}",
            field="near",
        )


def _rows(path: Path, key: str, recoding: Recoding | None) -> Keyed:
    """Return the rows of a table, as they are or as they are released, with who each is."""
    if key not in columns_of(path):
        raise DataError(f"has no column {key}", remedy="name the column that says who is who", file=path.name)
    if recoding is None:
        rows = list(rows_of(path, columns_of(path)))
        names = [name for name in columns_of(path) if name != key]
        return [row[key] for row in rows], {name: [row[name] for row in rows] for name in names}
    kept, cells, who = released_rows(path, recoding, key=key)
    columns = {name: [row[index] for row in cells] for index, name in enumerate(kept) if name != key}
    return who, columns


def distances_of(texts: Sequence[str]) -> dict[str, float]:
    """Return "age=2" and so on as numbers by column. Raises `InvalidInputError`.

    >>> distances_of(["age=2"])
    {'age': 2.0}
    """
    found = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        value = number_of(number)
        if not name or value is None or value < 0:
            raise InvalidInputError(
                f"{text[:40]!r} names no column and number", remedy="write --near age=2", field="near"
            )
        found[name] = value
    return found
