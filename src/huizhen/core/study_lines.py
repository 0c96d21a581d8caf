"""Where a key stands in a study file's text: dotted paths and line numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["Place", "dotted", "key_lines", "line_of"]

Place = tuple[str | int, ...]
"""A way into nested tables and lists: ("site", 0, "source", 1, "path")."""

HEADER = re.compile(r"^\s*(\[\[?)([^\[\]]+)\]\]?\s*(#.*)?$")
KEY = re.compile(r"""^\s*("[^"]+"|'[^']+'|[\w-]+)\s*(\.[\w.-]+\s*)?=""")


def dotted(path: Place) -> str:
    """Return a path as it is written in messages.

    >>> dotted(("site", 0, "source", 1, "columns", "patient"))
    'site[0].source[1].columns.patient'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def key_lines(text: str) -> dict[str, int]:
    """Return the line (from 1) of each section and key of a TOML text, by dotted path.

    >>> key_lines("seed = 1\\n[[site]]\\nname = 'a'")
    {'seed': 1, 'site[0]': 2, 'site[0].name': 3}
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.match(line):
            section = _section(header.group(2), counts, repeated=header.group(1) == "[[")
            lines.setdefault(section, number)
        elif key := KEY.match(line):
            name = key.group(1).strip("\"'")
            lines.setdefault(f"{section}.{name}".removeprefix("."), number)
    return lines


def _section(name: str, counts: dict[str, int], *, repeated: bool) -> str:
    """Return the dotted path of a section header, counting the repeated ones."""
    path = ""
    parts = [part.strip().strip("\"'") for part in name.split(".")]
    for position, part in enumerate(parts):
        path = f"{path}.{part}".removeprefix(".")
        if repeated and position == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = f"{path}[{counts[path]}]"
    return path


def line_of(field: str, lines: Mapping[str, int]) -> int | None:
    """Return the line of a field, or of the nearest section around it."""
    while field:
        if field in lines:
            return lines[field]
        shorter = re.sub(r"(\.[^.\[]+|\[\d+\]|^[^.\[]+)$", "", field)
        if shorter == field:  # a key with brackets in its name
            return None
        field = shorter
    return None
