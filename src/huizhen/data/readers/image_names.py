"""What a labels table may call an image: a path as another computer writes it, in other case, without suffix.

Folders that all of a table's cells begin with tell no image from another, so they may be left out: a table
written on one computer ("D:\\\\export\\\\img\\\\1.png") fits the folder img on another.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import takewhile

__all__ = ["Spelling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How the cells of one table write paths: `shared` folders stand before all of them."""

    shared: tuple[str, ...] = ()

    @classmethod
    def of(cls, cells: Iterable[str]) -> Spelling:
        """Return the spelling of a table's cells."""
        folders = [_parts(cell)[:-1] for cell in set(cells) if cell.strip()]
        levels = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
        return cls(shared=tuple(level[0] for level in levels))

    def options(self, cell: str) -> list[str]:
        """Return what a cell may mean, its own text first.

        >>> Spelling.of(["E:/x/1.png", "E:/x/a/2.png"]).options("E:/x/a/2.png")
        ['E:/x/a/2.png', 'x/a/2.png', 'a/2.png']
        """
        parts = _parts(cell)
        most = len(self.shared) if tuple(parts[: len(self.shared)]) == self.shared else 0
        plain = cell.strip().replace("\\", "/").removeprefix("./")
        return list(dict.fromkeys([plain, *("/".join(parts[start:]) for start in range(most + 1))]))

    def look_up(self, cell: str, names: Container[str], folded: Container[str]) -> str | None:
        """Return the first option that is among `names`, else among the `folded` names in lower case."""
        options = self.options(cell)
        exact = next((one for one in options if one in names), None)
        return exact or next((low for one in options if (low := one.casefold()) in folded), None)


def _parts(cell: str) -> list[str]:
    """Return the folders and the name of a path, without its drive."""
    plain = re.sub(r"^[A-Za-z]:", "", cell.strip().replace("\\", "/"))
    return [part for part in plain.split("/") if part not in ("", ".")]
