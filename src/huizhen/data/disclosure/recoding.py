"""A recoding: the level of each quasi-identifier, written as TOML, and applied to the table it was made for.

It is applied only if the policy's bounds hold of what would come out; else nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from huizhen.core.study_template import toml_value
from huizhen.core.table_cells import csv_text
from huizhen.core.table_text import columns_of, rows_of
from huizhen.core.toml_file import read_toml, refused
from huizhen.data.disclosure.cells import blank_cells
from huizhen.data.disclosure.ground import Ground, Node, Standing, bounds_hold, ground_of, standing
from huizhen.data.disclosure.hierarchies import HIDDEN
from huizhen.data.disclosure.microdata import microdata_of
from huizhen.data.disclosure.naming import named_by
from huizhen.data.disclosure.policy import DisclosurePolicy
from huizhen.errors import DataError, HuizhenError, PolicyError

__all__ = ["Recoding", "Released", "load_recoding", "recode", "recoding_toml", "release_of", "released_rows"]

_HEAD = """# How a table is recoded before it leaves: written by huizhen site risk, applied by site recode.
# [levels]: how far each column is coarsened, 0 as it is; [policy] is the policy that it was made under.
"""


class Recoding(BaseModel):
    """The content of a recoding file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    made_from: str
    """The digest of the table."""
    levels: dict[str, int]
    policy: DisclosurePolicy


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Released:
    """What comes out of a ground at a node: the classes that count, who is left out, which cells are hidden.

    `ids` (groups,), `sizes` and `failing` (classes,), `hidden` (groups, quasi-identifiers).
    """

    standing: Standing
    ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    failing: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    suppressed: int
    entropy: float


def release_of(ground: Ground, found: Standing, policy: DisclosurePolicy) -> Released:
    """Return what a node releases: rows left out, or cells hidden where the policy says so.

    Cells are hidden only where the bounds hold of what comes out then; else the rows are left out.
    """
    blanked = blank_cells(ground, found, policy.bounds) if policy.search.suppress == "cells" else None
    if blanked is not None and bounds_hold(
        ground,
        ground.exposed(blanked.ids, ~blanked.failing, blanked.sizes),
        blanked.suppressed,
        policy.bounds,
    ):
        return Released(
            standing=found,
            ids=blanked.ids,
            sizes=blanked.sizes,
            failing=blanked.failing,
            hidden=blanked.hidden,
            suppressed=blanked.suppressed,
            entropy=blanked.entropy,
        )
    return Released(
        standing=found,
        ids=found.ids,
        sizes=found.sizes,
        failing=found.failing,
        hidden=np.zeros((len(found.ids), len(ground.hierarchies)), np.bool_),
        suppressed=found.suppressed,
        entropy=found.entropy,
    )


def recoding_toml(policy: DisclosurePolicy, levels: Mapping[str, int], *, made_from: str) -> str:
    """Return a recoding as the file that `load_recoding` reads."""
    lines = [_HEAD + f"made_from = {toml_value(made_from)}", "", "[levels]"]
    lines += [f"{toml_value(name)} = {level}" for name, level in levels.items()]
    return (
        "\n".join([*lines, *_tables("policy", policy.model_dump(mode="json", exclude_defaults=True))]) + "\n"
    )


def _tables(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a mapping as TOML tables: plain values first, then the tables within."""
    yield from ("", f"[{name}]")
    for key, value in values.items():
        if not isinstance(value, Mapping):
            yield f"{toml_value(key)} = {toml_value(value)}"
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _tables(f"{name}.{toml_value(key)}", value)


def load_recoding(path: Path) -> Recoding:
    """Return the recoding in a TOML file. Raises `PolicyError` when it is none."""

    def wrong(error: ValidationError) -> HuizhenError:
        return refused(
            error,
            Recoding,
            PolicyError,
            remedy="make one with huizhen site risk",
            file=path.name,
        )

    found = read_toml(path, Recoding, wrong=wrong)
    found.policy._file = path.name
    return found


def recode(path: Path, recoding: Recoding) -> tuple[str, Released]:
    """Return a table recoded, as CSV, and how it stands.

    Rows are sorted by what they hold, so that their order tells nothing. Raises `DataError` where the bounds
    don't hold of this table under the recoding, and `PolicyError` where levels and policy don't fit together.
    """
    ground, released, rows, kept = _released(path, recoding)
    return csv_text([kept, *sorted(_rows(rows, kept, ground, released))]), released


def released_rows(
    path: Path, recoding: Recoding, *, key: str
) -> tuple[list[str], list[list[str]], list[str]]:
    """Return the columns and rows that `recode` writes, in the table's order, and each row's cell of `key`.

    For the site alone: an attack is judged by it. Raises as `recode`.
    """
    ground, released, rows, kept = _released(path, recoding)
    out = released.failing[released.ids]
    who = [row[key] for row, group in zip(rows, ground.group.tolist(), strict=True) if not out[group]]
    return kept, list(_rows(rows, kept, ground, released)), who


def _released(path: Path, recoding: Recoding) -> tuple[Ground, Released, list[Mapping[str, str]], list[str]]:
    """Return a table's ground, what is released of it, its rows, and the columns that go out."""
    policy = recoding.policy
    held = columns_of(path)
    named = {*policy.quasi, *policy.sensitive, *policy.keep}
    if absent := sorted({*named, *([policy.patient] if policy.patient else [])} - set(held)):
        raise DataError(
            f"no column {', '.join(absent)}", remedy="give the table that was assessed", file=path.name
        )
    with named_by(policy, path):
        return _made(path, recoding, held, named)


def _made(
    path: Path, recoding: Recoding, held: Sequence[str], named: set[str]
) -> tuple[Ground, Released, list[Mapping[str, str]], list[str]]:
    policy = recoding.policy
    rows = list(rows_of(path, held))
    cells = {name: [row[name] for row in rows] for name in (*policy.quasi, *policy.sensitive)}
    who = [row[policy.patient] for row in rows] if policy.patient else None
    ground = ground_of(microdata_of(cells, patients=who), policy)
    found = standing(ground, _node(ground, recoding.levels), policy.bounds)
    if not found.holds:
        raise DataError(
            "under this recoding the policy's bounds don't hold of the table",
            remedy="assess it anew with huizhen site risk; nothing was written",
            file=path.name,
        )
    return ground, release_of(ground, found, policy), rows, [name for name in held if name in named]


def _node(ground: Ground, levels: Mapping[str, int]) -> Node:
    names = [one.column for one in ground.hierarchies]
    node = tuple(levels.get(name, -1) for name in names)
    fits = all(0 <= level < len(one.levels) for level, one in zip(node, ground.hierarchies, strict=True))
    if not fits or set(levels) != set(names):
        raise PolicyError(
            "the levels don't fit the policy's columns",
            remedy="make the recoding anew with huizhen site risk",
            field="levels",
        )
    return node


def _rows(
    rows: Sequence[Mapping[str, str]], kept: Sequence[str], ground: Ground, released: Released
) -> Iterator[list[str]]:
    """Yield the rows that stay, their quasi-identifiers by the labels of the node."""
    labels = {
        one.column: (k, one.levels[level], ground.codes[k])
        for k, (one, level) in enumerate(zip(ground.hierarchies, released.standing.node, strict=True))
    }
    out = released.failing[released.ids]
    for row, group in zip(rows, ground.group.tolist(), strict=True):
        if out[group]:
            continue
        cells = []
        for name in kept:
            if name not in labels:
                cells.append(row[name])
                continue
            k, level, codes = labels[name]
            cells.append(HIDDEN if released.hidden[group, k] else level.labels[level.codes[codes[group]]])
        yield cells
