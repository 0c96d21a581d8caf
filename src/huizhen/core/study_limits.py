"""How large a study file may be: it may come from anybody, and TOML's parsers are slow on hostile ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from huizhen.core.study_wording import Problem

__all__ = [
    "LARGEST_NUMBER",
    "MOST_BYTES",
    "MOST_PROBLEMS",
    "TOO_MUCH",
    "beyond_limits",
    "is_deep",
]

MOST_BYTES = 1 << 20
"""Bytes of a study file (those of nineteen hospitals have about 30,000)."""

MOST_PARTS = 64
"""Parts of a dotted key."""

MOST_DEPTH = 32
"""Tables and lists within each other."""

MOST_PROBLEMS = 200
"""How many broken values are told at once."""

LARGEST_NUMBER = 2**63 - 1

TOO_MUCH = Problem(
    field="(syntax)",
    reason="has more brackets within brackets, parts of a key or digits of a number than any study",
    remedy="write the file anew from docs/reference/study.md",
)

_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MOST_PARTS}}}")


def beyond_limits(text: str) -> Problem | None:
    """Return what makes a text too much for a TOML parser, or None.

    >>> beyond_limits(".".join(["a"] * 99) + " = 1") == TOO_MUCH, beyond_limits("a.b = 1.5")
    (True, None)
    """
    if len(text) > MOST_BYTES:
        return Problem(
            field="(syntax)",
            reason=f"is longer than {MOST_BYTES >> 20} MiB",
            remedy="name files and tables in it, instead of their content",
        )
    return TOO_MUCH if _LONG_KEY.search(text) else None


def is_deep(raw: Mapping[str, Any]) -> bool:
    """Tell whether tables and lists are nested deeper than any study's.

    >>> is_deep({"site": [{"source": [{"where": {"a": [1]}}]}]})
    False
    """
    level: list[Any] = [raw]
    for _ in range(MOST_DEPTH):
        held = (v for one in level for v in (one.values() if isinstance(one, Mapping) else one))
        level = [value for value in held if isinstance(value, Mapping | list)]
    return bool(level)
