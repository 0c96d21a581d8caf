"""Paths that the environment names; read here, when a command runs, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from huizhen.errors import InvalidInputError

__all__ = ["data_root", "home"]


def data_root(given: Path | None) -> Path | None:
    """Return the data folder: --data, else $HUIZHEN_DATA, else None. Raises `InvalidInputError` if absent."""
    named = given or _named("HUIZHEN_DATA")
    if named is not None and not named.is_dir():
        source = "--data" if given else "$HUIZHEN_DATA"
        raise InvalidInputError(
            "is not a folder", remedy=f"correct {source}, or leave it out", field=source, file=str(named)
        )
    return named


def home() -> Path | None:
    """Return the folder of this person's signing key: $HUIZHEN_HOME, else None for the default."""
    return _named("HUIZHEN_HOME")


def _named(variable: str) -> Path | None:
    """Return the path in an environment variable, or None if it is empty."""
    text = os.environ.get(variable, "")
    return Path(text).expanduser() if text else None
