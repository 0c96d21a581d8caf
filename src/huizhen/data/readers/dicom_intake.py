"""Which files of a folder are usable DICOM images, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from huizhen.core.cohort import Exclusion
from huizhen.core.progress import Progress
from huizhen.data.readers.dicom_headers import Header, read_header
from huizhen.data.readers.interface import Located
from huizhen.data.readers.paths import list_files
from huizhen.errors import UnreadableFileError

__all__ = ["Found", "find_headers", "without_copies", "without_mixed"]


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
    (mixed_patients). Directories of media (DICOMDIR) are passed over. Raises `DataError` on an empty folder.
    """
    skip = [path for path in (place.labels, place.masks) if path is not None]
    files, strays = list_files(place.path, skip=skip)
    headers: list[Header] = []
    problems = [("unreadable", file) for file in strays]
    with progress.track("ingest", len(files), about=about) as advance:
        for file in files:
            try:
                headers.append(read_header(place.path / file, file))
            except UnreadableFileError:
                problems.append(("unreadable", file))
            advance(1)
    kept = [header for header in headers if not header.is_directory]
    for sift in (lambda some: without_others(some, wanted), without_copies, without_mixed):
        kept, left_out = sift(kept)
        problems += left_out
    exclusions = (
        Exclusion(unit="image", reason=why, site=place.site, subject=file) for why, file in problems
    )
    return Found(headers=tuple(kept), exclusions=tuple(exclusions))


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
