"""Files that the ledger names by digest: that they are what was entered, and images for the page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huizhen.core.digests import digest_bytes
from huizhen.dossier.record import Record
from huizhen.errors import DossierError
from huizhen.ledger.records import Entry

PNG = b"\x89PNG\r\n\x1a\n"

Reader = Callable[[str], bytes]
"""Gives the bytes of an artefact by the path that its entry names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A file that the ledger vouches for: relative `path`, digest, size, and the entry that says so."""

    path: str
    sha256: str
    size: int
    entry: int


def artefacts_of(record: Record) -> Mapping[str, Artefact]:
    """Return path -> artefact as the newest entries have them. Raises `DossierError` on an unsafe path."""
    return {a.path: a for a in map(_artefact, record.kind("artefact"))}


def _artefact(entry: Entry) -> Artefact:
    path, sha256, size = (entry.body.get(name) for name in ("path", "sha256", "size"))
    if not (isinstance(path, str) and isinstance(sha256, str) and type(size) is int):
        raise _refused(entry, "lacks path, sha256 or size")
    if not safe(path):
        raise _refused(entry, "names a path that leaves the dossier, or that not every system can hold")
    return Artefact(path=path, sha256=sha256, size=size, entry=entry.index)


def _refused(entry: Entry, why: str) -> DossierError:
    return DossierError(
        f"ledger entry {entry.index} (artefact) {why}",
        remedy="name artefacts by plain relative paths",
        field=str(entry.index),
    )


def safe(path: str) -> bool:
    """Tell whether `path` is a plain relative path that stays within its folder on every system.

    >>> [safe(p) for p in ("heatmaps/a.png", "../a", "/a", "a//b", "a\\\\b", "C:x", ".", "a/./b", "a\\nb")]
    [True, False, False, False, False, False, False, False, False]
    """
    parts = PurePosixPath(path).parts
    plain = not any(c in '\\:*?"<>|' or ord(c) < 32 for c in path)
    return (
        plain and "/".join(parts) == path and path[:1] not in ("/", "") and ".." not in parts and path != "."
    )


def read_artefact(folder: Path, artefact: Artefact) -> bytes:
    """Return an artefact's bytes from `folder`. Raises `DossierError` if they aren't those of its entry."""
    try:
        data = (folder / artefact.path).read_bytes()
    except OSError as error:
        raise DossierError(
            f"can't be read ({error.strerror}), but ledger entry {artefact.entry} names it",
            remedy="run the stage that writes it again",
            file=artefact.path,
        ) from error
    if len(data) != artefact.size or digest_bytes(data) != artefact.sha256:
        raise DossierError(
            f"is not the file whose digest ledger entry {artefact.entry} holds",
            remedy="run the stage that writes it again; the ledger keeps what it held",
            file=artefact.path,
        )
    return data


def image_source(read: Reader, path: str) -> str:
    """Return the PNG at `path` as a data URI. Raises `DossierError` if it is no PNG."""
    data = read(path)
    if not data.startswith(PNG):
        raise DossierError("is not a PNG image", remedy="write heatmap overlays as PNG", file=path)
    return "data:image/png;base64," + base64.b64encode(data).decode()
