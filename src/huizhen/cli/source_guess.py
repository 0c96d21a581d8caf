"""What a folder, npz file or table of images is: its reader, and the names its images go by."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from huizhen.core.study import ReaderKind
from huizhen.errors import DataError, UnreadableFileError

if TYPE_CHECKING:
    from huizhen.data.readers.dicom_kinds import HeaderCounts

__all__ = ["Found", "look_at"]

TABLES = (".csv", ".csv.gz", ".tsv", ".parquet")
NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A source as it was found.

    `images`: how many there are. `names`: what a table's image column may call them. `patients`: the ids in
    DICOM headers, of which `headers` counts more. `folders`: (patient, outcome) of each image file, as its
    folders would give them.
    `extra`: further keys of [[site.source]] that are needed to read it.
    """

    reader: ReaderKind
    images: int
    names: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()
    headers: HeaderCounts | None = None
    folders: tuple[tuple[str, str], ...] = ()
    extra: dict[str, str] = field(default_factory=dict)


def look_at(path: Path, *, array: str | None = None) -> Found:
    """Return what `path` holds.

    Raises `DataError` if no reader fits, `UnreadableFileError` if it is broken.
    """
    if path.is_dir():
        return _folder(path)
    name = path.name.lower()
    if name.endswith(".npz"):
        return _npz(path, array)
    if name.endswith(TABLES):
        return Found(reader=ReaderKind.TABLE, images=0)
    what = "is of no known kind" if path.exists() else "does not exist"
    raise DataError(
        what, remedy="give a folder of images, an npz file, or a CSV or Parquet table", file=str(path)
    )


# --- folders -------------------------------------------------------------------------------------------


def _folder(path: Path) -> Found:
    """Return the kind that most of a folder's files are of."""
    from huizhen.data.readers.image_layout import ImageIndex, by_class
    from huizhen.data.readers.paths import list_files

    files, _ = list_files(path.resolve())
    images = ImageIndex.of(files).images
    volumes = [file for file in files if file.lower().endswith(NIFTI)]
    counts = {
        ReaderKind.IMAGES: len(images),
        ReaderKind.NIFTI: len(volumes),
        ReaderKind.DICOM: len(_dicom(path, set(files) - set(images) - set(volumes))),
    }
    reader = max(counts, key=lambda kind: counts[kind])
    if not counts[reader]:
        raise DataError("holds no image that a reader knows", remedy="give another folder", file=str(path))
    if reader is ReaderKind.DICOM:
        return _dicom_found(path, _dicom(path, files))
    if reader is ReaderKind.NIFTI:
        return Found(reader=reader, images=len(volumes), names=_names(volumes))
    folders = tuple((label.patient, label.outcome) for _, label in by_class(images))
    return Found(reader=reader, images=len(images), names=_names(images), folders=folders)


def _dicom(path: Path, files: Any) -> list[str]:
    """Return the files that begin as DICOM files do."""
    return [file for file in sorted(files) if _magic(path / file, 132)[128:] == b"DICM"]


def _magic(path: Path, length: int) -> bytes:
    """Return a file's first bytes, or none if it can't be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(length)
    except OSError:
        return b""


def _dicom_found(path: Path, files: list[str]) -> Found:
    """Return a folder of DICOM files, with what their headers say."""
    from huizhen.data.readers.dicom_kinds import count_headers

    headers = count_headers(path, files)
    return Found(reader=ReaderKind.DICOM, images=len(files), patients=headers.all_patients, headers=headers)


def _names(files: Sequence[str]) -> frozenset[str]:
    """Return all that a table may call the files: path or file name, with or without suffix."""
    names: set[str] = set()
    for file in files:
        base = PurePosixPath(file).name
        for name in (file, base):
            names |= {name, _stem(name)}
    return frozenset(names)


def _stem(name: str) -> str:
    """Return a name without its suffix, ".nii.gz" taken as one."""
    lower = name.lower()
    suffix = next((end for end in (".nii.gz", ".nii") if lower.endswith(end)), PurePosixPath(name).suffix)
    return name[: len(name) - len(suffix)] if suffix else name


# --- npz -----------------------------------------------------------------------------------------------


def _npz(path: Path, array: str | None) -> Found:
    """Return an npz file's arrays: the images, and identifiers and masks of the same number."""
    shapes = _shapes(path)
    pictures = [name for name, (shape, kind) in shapes.items() if len(shape) in (3, 4) and kind in "buif"]
    chosen = array or _most_like(pictures, ("images", "image", "x"))
    if chosen not in shapes:
        held = ", ".join(shapes) or "nothing"
        raise DataError(
            "holds no array of images", remedy=f"name it with --array; it holds {held}", file=str(path)
        )
    count = shapes[chosen][0][0]
    extra = {"array": chosen} if chosen != "images" else {}
    same = {
        name: shape for name, (shape, _) in shapes.items() if shape and shape[0] == count and name != chosen
    }
    masks = next((name for name, shape in same.items() if "mask" in name.lower() and len(shape) == 3), None)
    texts = [name for name, shape in same.items() if len(shape) == 1 and shapes[name][1] in "US"]
    ids = _most_like(texts, ("ids", "id", "names")) if texts else None
    extra |= {"masks": masks} if masks else {}
    return Found(
        reader=ReaderKind.NPZ,
        images=count,
        names=_values(path, ids) if ids else frozenset(),
        extra=extra | ({"ids": ids} if ids else {}),
    )


def _shapes(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return each array's shape and kind of number, read from the headers alone."""
    import numpy as np

    shapes: dict[str, tuple[tuple[int, ...], str]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as stream:
                    version = np.lib.format.read_magic(stream)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, _, dtype = read(stream)
                shapes[name.removesuffix(".npy")] = (shape, dtype.kind)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise UnreadableFileError(
            "is not a readable npz file", remedy="write it anew", file=str(path)
        ) from error
    return shapes


def _most_like(names: Sequence[str], wished: Sequence[str]) -> str:
    """Return the first wished name that is there, else the first name there is, else ""."""
    return next((name for name in wished if name in names), names[0] if names else "")


def _values(path: Path, name: str) -> frozenset[str]:
    """Return the values of an array of identifiers."""
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        values = arrays[name].tolist()
    return frozenset(str(value, "utf-8") if isinstance(value, bytes) else str(value) for value in values)
