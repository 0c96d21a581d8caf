"""The data files beside this module: names, words and labels, each with its source and date in its head."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["load_table", "words_of"]


@cache
def load_table(name: str) -> dict[str, Any]:
    """Return the content of `tables/<name>.toml`."""
    path = files("huizhen.data.deidentify_text") / "tables" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def words_of(name: str, *keys: str) -> frozenset[str]:
    """Return the words of some lists of a table.

    >>> "smith" in words_of("names_en", "surnames")
    True
    """
    table = load_table(name)
    return frozenset(word for key in keys for word in table[key].split())
