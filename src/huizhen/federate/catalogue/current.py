"""Which index a site answers from, and from which ones it answered before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huizhen.core.files import write_json
from huizhen.errors import StorageError

__all__ = ["CURRENT", "STATE", "answered_from", "current_index", "make_current"]

STATE = "catalogue"
"""The folder of the catalogue in a site's folder."""
CURRENT = "current.json"


def current_index(home: Path) -> Path:
    """Return the folder of the index that a site answers from. Raises `StorageError` when there is none."""
    try:
        return home / STATE / _name(_said(home)["index"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "the site has no index of its catalogue yet",
            remedy="run: huizhen catalogue publish FOLDER --out record.jsonld",
            file=str(home / STATE),
        ) from error


def answered_from(home: Path) -> Sequence[Path]:
    """Return the folders of all indices that were answered from, the current one last; none at first.

    Raises `StorageError` when it can't be told.
    """
    if not (home / STATE / CURRENT).exists():
        return []
    try:
        said = _said(home)
        names = [*map(_name, said.get("before", [])), _name(said["index"])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            "can't be read: which indices were answered from is not known",
            remedy="restore it from the backup",
            file=str(home / STATE / CURRENT),
        ) from error
    return [home / STATE / name for name in dict.fromkeys(reversed(names))][::-1]


def make_current(home: Path, name: str) -> None:
    """Answer from the index called `name` from now on. Raises `StorageError`."""
    before = [path.name for path in answered_from(home) if path.name != name]
    write_json(home / STATE / CURRENT, {"index": name, "before": before})


def _said(home: Path) -> Any:
    return json.loads((home / STATE / CURRENT).read_bytes())


def _name(given: object) -> str:
    """Return the name of an index's folder. Raises `ValueError` for anything else."""
    if not isinstance(given, str) or "/" in given or not given.startswith("index-"):
        raise ValueError("no name of an index")
    return given
