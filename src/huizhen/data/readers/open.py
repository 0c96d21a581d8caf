"""Open a source: choose the reader, find the paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from huizhen.core.study import AnyModality, ImageModality, ReaderKind, Source, TableModality
from huizhen.data.readers.interface import Located, Reader
from huizhen.data.readers.paths import find_path
from huizhen.errors import InvalidInputError

__all__ = ["open_source"]


def open_source(
    source: Source, *, roots: Sequence[Path], site: str, index: int, modality: AnyModality
) -> Reader:
    """Return the reader of a source, which is number `index` of `site`.

    Paths are looked up under `roots` in order. Raises `DataError` when a path is absent or leads outside
    every root, and `InvalidInputError` when the reader can't give the modality.
    """
    folder_of_masks = source.masks is not None and source.reader is not ReaderKind.NPZ
    place = Located(
        site=site,
        index=index,
        path=find_path(source.path, roots, field="site.source.path"),
        labels=find_path(source.labels, roots, field="site.source.labels") if source.labels else None,
        masks=find_path(str(source.masks), roots, field="site.source.masks") if folder_of_masks else None,
    )
    if isinstance(modality, TableModality):
        return _table_reader(source, place, modality)
    return _image_reader(source, place, modality)


def _table_reader(source: Source, place: Located, modality: TableModality) -> Reader:
    """Return the reader of a table source."""
    if source.reader is not ReaderKind.TABLE:
        raise _mismatch(source, modality.name)
    from huizhen.data.readers.table import TableReader

    return TableReader(source=source, place=place, modality=modality)


def _image_reader(source: Source, place: Located, modality: ImageModality) -> Reader:
    """Return the reader of an image source; each pulls in its own libraries."""
    match source.reader:
        case ReaderKind.DICOM:
            from huizhen.data.readers.dicom import DicomReader

            return DicomReader(source=source, place=place, modality=modality)
        case ReaderKind.NIFTI:
            from huizhen.data.readers.nifti import NiftiReader

            return NiftiReader(source=source, place=place, modality=modality)
        case ReaderKind.IMAGES:
            from huizhen.data.readers.images import ImageFolderReader

            return ImageFolderReader(source=source, place=place, modality=modality)
        case ReaderKind.NPZ:
            from huizhen.data.readers.npz import NpzReader

            return NpzReader(source=source, place=place, modality=modality)
        case ReaderKind.TABLE:
            raise _mismatch(source, modality.name)
        case _:
            assert_never(source.reader)


def _mismatch(source: Source, modality: str) -> InvalidInputError:
    """Return the error for a reader that can't give a modality."""
    return InvalidInputError(
        f"reader {source.reader.value} can't give modality {modality}",
        remedy="use reader table for a table modality and the others for images",
        field="site.source.reader",
    )
