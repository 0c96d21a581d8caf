"""A desk that is kept between questions: what it remembers is made once, not anew for each.

::

    standing = Standing(site)
    with standing.lend() as desk:
        desk.answer(query, asker="3f5a...")

Between questions other processes may have the desk, as `huizhen catalogue publish` does; where one had, or
the index or `catalogue.toml` is another by now, the desk is opened anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huizhen.data.catalogue.record import CATALOGUE
from huizhen.errors import LedgerError
from huizhen.federate.catalogue.current import CURRENT, STATE
from huizhen.federate.catalogue.desk import Desk
from huizhen.federate.site.folder import SiteFolder

__all__ = ["Standing"]

Mark = tuple[int, int, int]


class Standing:
    """The desk of one site, for one process and thread."""

    def __init__(self, site: SiteFolder) -> None:
        self._site = site
        self._desk: Desk | None = None
        self._marks: tuple[Mark, ...] = ()

    @contextmanager
    def lend(self) -> Iterator[Desk]:
        """Give the desk for one question. Raises what `Desk.open` does."""
        desk = self._awake()
        self._desk = None
        try:
            yield desk
        except BaseException:
            desk.close()
            raise
        try:
            desk.rest()
        except LedgerError:  # a commit that failed closed it
            desk.close()
            return
        self._desk = desk

    def _awake(self) -> Desk:
        """Return the desk kept, if it is as it was left; else one opened anew."""
        marks = tuple(_mark(self._site.path / name) for name in (f"{STATE}/{CURRENT}", CATALOGUE))
        kept, before = self._desk, self._marks
        self._marks = marks
        if kept is not None and marks == before and kept.wake():
            return kept
        return Desk.open(self._site)


def _mark(path: Path) -> Mark:
    """Return what tells whether a file was replaced or written; zeros of none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)
