"""What a study's sources look like from outside: names, sizes, times; to see cheaply whether data changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from huizhen.core.digests import Digest, digest_file, digest_value
from huizhen.core.study import ReaderKind, Source, Study
from huizhen.data.consent.barred import NOBODY, Barred
from huizhen.data.consent.screening import standing_digest, today
from huizhen.data.readers.paths import find_path, walk_folder


def standing(
    study: Study, roots: Sequence[Path], barred: Barred = NOBODY, whole: Study | None = None
) -> dict[str, Digest]:
    """Return, by site, a digest over whom the site's consents permit what today, where any forbid anything.

    `whole`: the study over all its sites, where `study` is a part of it. Raises `DataError` for a register
    that isn't there or can't be read.
    """
    asked = whole or study
    found = {s.name: standing_digest(s, asked, roots=roots, day=today(), barred=barred) for s in study.site}
    return {site: digest for site, digest in found.items() if digest is not None}


def listing_digest(
    study: Study, roots: Sequence[Path], consents: Mapping[str, Digest] | None = None
) -> Digest:
    """Return a digest over every source file's relative name, size and modification time.

    Of a consent register it is whom it permits what today that counts, not the file; `consents` says so where
    it isn't to be looked up (`standing`).
    A file whose content changes while its size and time stay is caught later, by its content's digest.
    Raises `DataError` for a path that isn't there.
    """
    listed: list[list[object]] = []
    permitted = standing(study, roots) if consents is None else consents
    for site in study.site:
        if site.name in permitted:
            listed.append([site.name, "consents", permitted[site.name]])
        if site.disclosure is not None:
            policy = find_path(site.disclosure, roots, field="site.disclosure")
            listed.append([site.name, "disclosure", digest_file(policy)])
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
