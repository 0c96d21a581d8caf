"""The records on show: those of a folder that their known site's key signed. Nothing is fetched."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huizhen.data.catalogue.jsonld import Record, load_record
from huizhen.errors import HuizhenError, visible
from huizhen.ledger.signing import PublicKey
from huizhen.portal.settings import Site

__all__ = ["Shelf", "Shown"]

MOST = 2000
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
    """The folder of records, read anew at each look, and the sites' keys."""

    folder: Path
    keys: Mapping[str, PublicKey]

    @classmethod
    def of(cls, folder: Path, sites: Sequence[Site]) -> Shelf:
        """Return the shelf of a folder."""
        return cls(folder=folder, keys={site.name: PublicKey(hex=site.key) for site in sites})

    def all(self) -> list[Shown]:
        """Return the records that hold, by site and title; others are logged and left out."""
        found: dict[str, Shown] = {}
        for path in sorted(self.folder.glob("*.jsonld"))[:MOST]:
            if (shown := self._read(path)) is not None:
                found[shown.name] = shown
        return sorted(found.values(), key=lambda one: (one.record.site, one.record.description.title))

    def find(self, name: str) -> Shown | None:
        """Return one record."""
        return next((shown for shown in self.all() if shown.name == name), None)

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
