"""What a study's sources look like from outside: names, sizes, times; to see cheaply whether data changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from huizhen.core.digests import Digest, digest_value
from huizhen.core.study import ReaderKind, Source, Study
from huizhen.data.consent.screening import standing_digest, today
from huizhen.data.readers.paths import find_path, walk_folder


def listing_digest(study: Study, roots: Sequence[Path]) -> Digest:
    """Return a digest over every source file's relative name, size and modification time.

    Of a consent register it is whom it permits what today that counts, not the file.
    A file whose content changes while its size and time stay is caught later, by its content's digest.
    Raises `DataError` for a path that isn't there.
    """
    listed: list[list[object]] = []
    for site in study.site:
        if (standing := standing_digest(site, study, roots=roots, day=today())) is not None:
            listed.append([site.name, "consents", standing])
        for index, source in enumerate(site.source):
            for path in _paths(source, roots):
                listed += [[site.name, index, *one] for one in _files(path)]
    return digest_value(listed)


def _paths(source: Source, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield the files and folders that a source reads."""
    yield find_path(source.path, roots, field="site.source.path")
    if source.labels:
        yield find_path(source.labels, roots, field="site.source.labels")
    if source.masks and source.reader is not ReaderKind.NPZ:  # there, an array inside `path`
        yield find_path(source.masks, roots, field="site.source.masks")


def _files(path: Path) -> Iterator[list[object]]:
    """Yield (name, size, time) of a file, or of every file below a folder."""
    names = walk_folder(path)[0] if path.is_dir() else [""]
    for name in names:
        found = (path / name).stat() if name else path.stat()
        yield [name or path.name, found.st_size, found.st_mtime_ns]
