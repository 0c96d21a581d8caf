"""The records on show: those of a folder that their known site's key signed. Nothing is fetched."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from huizhen.data.catalogue.jsonld import Record, load_record
from huizhen.errors import HuizhenError, visible
from huizhen.ledger.signing import PublicKey
from huizhen.portal.settings import Site

__all__ = ["Shelf", "Shown"]

MOST = 2000
Mark = tuple[int, int, int, int]
"""What tells whether a file was written or replaced."""
_LOG = logging.getLogger("huizhen.portal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A record, and the file it came from."""

    record: Record
    path: Path

    @property
    def name(self) -> str:
        """The record's name in addresses: the beginning of its digest."""
        return self.record.digest[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The folder of records, and the sites' keys; a file is verified when it is new or was changed."""

    folder: Path
    keys: Mapping[str, PublicKey]
    _held: dict[Path, tuple[Mark, Shown | None]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, folder: Path, sites: Sequence[Site]) -> Shelf:
        """Return the shelf of a folder."""
        return cls(folder=folder, keys={site.name: PublicKey(hex=site.key) for site in sites})

    def all(self) -> list[Shown]:
        """Return the records that hold, by site and title; others are logged and left out."""
        paths = sorted(self.folder.glob("*.jsonld"))[:MOST]
        for gone in set(self._held) - set(paths):
            self._held.pop(gone, None)
        found = {shown.name: shown for path in paths if (shown := self._known(path)) is not None}
        return sorted(found.values(), key=lambda one: (one.record.site, one.record.description.title))

    def find(self, name: str) -> Shown | None:
        """Return one record."""
        return next((shown for shown in self.all() if shown.name == name), None)

    def _known(self, path: Path) -> Shown | None:
        """Return a file's record; verified once for as long as the file is the same."""
        try:
            status = path.stat()
        except OSError:
            return None
        mark = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        before = self._held.get(path)
        if before is None or before[0] != mark:
            self._held[path] = before = (mark, self._read(path))
        return before[1]

    def _read(self, path: Path) -> Shown | None:
        try:
            record = load_record(path)
            if self.keys.get(record.site) != record.key:
                _LOG.warning("record left out: %s: signed by no known key of its site", visible(path.name))
                return None
        except HuizhenError as error:
            _LOG.warning("record left out: %s: %s", visible(path.name), error.code)
            return None
        return Shown(record=record, path=path)
