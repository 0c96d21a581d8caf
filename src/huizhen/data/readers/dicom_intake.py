"""Which files of a folder are usable DICOM images, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from huizhen.core.cohort import Exclusion
from huizhen.core.progress import Progress
from huizhen.data.readers.dicom_headers import Header, read_header
from huizhen.data.readers.interface import Located
from huizhen.data.readers.paths import list_files
from huizhen.errors import UnreadableFileError

__all__ = ["Found", "find_headers", "without_copies", "without_mixed"]


FOLDERS = 4
"""Folders whose headers are remembered: more than one site's sources share."""

Known = dict[str, tuple[tuple[int, int], Header | None]]
"""What was read of a folder's files: (time of change, size) and the header, None where it is unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The usable files in natural order of their paths, and the exclusions."""

    headers: tuple[Header, ...]
    exclusions: tuple[Exclusion, ...]


def find_headers(place: Located, *, wanted: str | None, progress: Progress, about: str) -> Found:
    """Read the header of every file below the source's folder.

    `wanted` is the DICOM Modality (0008,0060) that is taken, None for any image. Left out: files that are
    not DICOM or damaged (unreadable), other modalities and objects that are no image (wrong_modality), files
    without a patient id (missing_patient), second files of one SOP Instance (exact_duplicate, or
    duplicate_id when they differ), and every file of a study or series in which two patient ids stand
    (mixed_patients). Directories of media (DICOMDIR) are passed over. A file is read once a process for all
    sources that share its folder, unless it changes. Raises `DataError` on an empty folder.
    """
    skip = [path for path in (place.labels, place.masks) if path is not None]
    files, strays = list_files(place.path, skip=skip)
    headers: list[Header] = []
    problems = [("unreadable", file) for file in strays]
    with progress.track("ingest", len(files), about=about) as advance:
        for file in files:
            header = _header_of(place.path, file)
            if header is None:
                problems.append(("unreadable", file))
            else:
                headers.append(header)
            advance(1)
    kept = [header for header in headers if not header.is_directory]
    for sift in (lambda some: without_others(some, wanted), without_copies, without_mixed):
        kept, left_out = sift(kept)
        problems += left_out
    exclusions = (
        Exclusion(unit="image", reason=why, site=place.site, subject=file) for why, file in problems
    )
    return Found(headers=tuple(kept), exclusions=tuple(exclusions))


@lru_cache(maxsize=FOLDERS)
def _known(folder: Path) -> Known:
    """Return what is remembered of a folder, to be filled."""
    return {}


def _header_of(folder: Path, file: str) -> Header | None:
    """Return the header of a file below `folder`, or None when it can't be read."""
    try:
        state = (folder / file).stat()
    except OSError:
        return None
    mark = state.st_mtime_ns, state.st_size
    known = _known(folder)
    if file not in known or known[file][0] != mark:
        known[file] = mark, _read_or_none(folder / file, file)
    return known[file][1]


def _read_or_none(path: Path, file: str) -> Header | None:
    try:
        return read_header(path, file)
    except UnreadableFileError:
        return None


Sifted = tuple[list[Header], list[tuple[str, str]]]
"""Headers that stay, and (reason, file) of those that don't."""


def without_others(headers: Iterable[Header], wanted: str | None) -> Sifted:
    """Return the images of the `wanted` modality that name a patient, and the rest."""
    kept: list[Header] = []
    left_out: list[tuple[str, str]] = []
    for header in headers:
        if not header.is_image or (wanted is not None and header.modality != wanted):
            left_out.append(("wrong_modality", header.file))
        elif not header.patient:
            left_out.append(("missing_patient", header.file))
        else:
            kept.append(header)
    return kept, left_out


def without_copies(headers: Iterable[Header]) -> Sifted:
    """Return the first file of each SOP Instance, and the others: copies, or different ones of that name."""
    first: dict[str, Header] = {}
    kept: list[Header] = []
    left_out: list[tuple[str, str]] = []
    for header in headers:
        known = first.setdefault(header.instance, header) if header.instance else header
        if known is header:
            kept.append(header)
        else:
            same = known.digest == header.digest
            left_out.append(("exact_duplicate" if same else "duplicate_id", header.file))
    return kept, left_out


def without_mixed(headers: Sequence[Header]) -> Sifted:
    """Return the files of studies and series that name one patient each, and all files of the others.

    Nobody can tell which of two patients such a study is of, so none of its files is used.
    """
    patients: dict[str, set[str]] = {}
    for header in headers:
        for uid in filter(None, (header.study, header.series)):
            patients.setdefault(uid, set()).add(header.patient)
    mixed = {uid for uid, names in patients.items() if len(names) > 1}
    kept = [header for header in headers if not {header.study, header.series} & mixed]
    left_out = [("mixed_patients", h.file) for h in headers if {h.study, h.series} & mixed]
    return kept, left_out
