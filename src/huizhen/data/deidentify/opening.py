"""A DICOM file opened with care: no link, no more memory than its header takes, no length taken on trust."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from huizhen.data.deidentify.outcome import Reason, Refused
from huizhen.data.readers.dicom_headers import quiet
from huizhen.data.readers.dicom_limits import check_frames, unpacked
from huizhen.errors import UnreadableFileError

__all__ = ["MOST_HEADER", "Opened", "opened"]

MOST_HEADER = 512 << 20
"""Bytes of all large elements before the pixels (an encapsulated document has some megabytes)."""

_ENOUGH = 352
_KINDS = (
    (
        Reason.ARCHIVE,
        0,
        (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd"),
    ),
    (Reason.ARCHIVE, 257, (b"ustar",)),
    (Reason.PICTURE, 0, (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"GIF8")),
    (Reason.VOLUME, 344, (b"n+1\0", b"ni1\0")),
    (Reason.VOLUME, 0, (b"NRRD", b"ObjectType", b"\x1c\x02\0\0n+2")),
    (Reason.DOCUMENT, 0, (b"%PDF", b"\xd0\xcf\x11\xe0", b"{\\rtf")),
)
"""What stands where in files of other kinds."""
_SMALL = 1 << 16
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A file's dataset without its pixels, its syntax, and the stream that stands at them (or at its end)."""

    dataset: Dataset
    syntax: UID
    stream: BinaryIO


class _Capped(io.RawIOBase):
    """A stream that refuses lengths which its file can't hold, before anything is allotted."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size, self._large = stream, size, 0

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes. Raises `Refused` on a length beyond the end, or on too many of them."""
        if size > _SMALL:
            if size > self._size - self._stream.tell():
                raise Refused(Reason.UNREADABLE)
            self._large += size
            if max(size, self._large) > MOST_HEADER:
                raise Refused(Reason.TOO_LARGE)
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place in the file."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._stream.tell()

    def seekable(self) -> bool:
        """Tell that it can go anywhere."""
        return True

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True


@contextmanager
def opened(path: Path, *, most_bytes: int, wanted: tuple[int, ...] = ()) -> Iterator[Opened]:
    """Yield the file at `path`, read up to its pixels; or only as far as the `wanted` tags, and these alone.

    Raises `Refused`: links, special files, what is no DICOM, is cut off or unpacks to too much, directories
    of media (DICOMDIR), and files of more than `most_bytes`.
    """
    with _open_plain(path, most_bytes) as (stream, size), quiet():
        start = stream.read(132)
        bare = start[128:] != b"DICM"
        if bare and start[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
            raise Refused(_kind_of(start + stream.read(_ENOUGH - len(start))))
        yield _parsed_or_refused(stream, size, wanted, bare=bare)


def _kind_of(start: bytes) -> Reason:
    """Return what a file that is no DICOM is, by its first bytes.

    >>> _kind_of(b"PK\x03\x04...").value, _kind_of(b"name,id").value
    ('archive', 'not_dicom')
    """
    for reason, place, marks in _KINDS:
        if start[place:].startswith(marks):
            return reason
    return Reason.NOT_DICOM


def _parsed_or_refused(stream: BinaryIO, size: int, wanted: tuple[int, ...], *, bare: bool) -> Opened:
    """Return the parsed file, or raise `Refused` and nothing else."""
    try:
        return _parsed(stream, size, wanted, bare=bare)
    except Refused:
        raise
    except UnreadableFileError as error:
        raise Refused(Reason.TOO_LARGE) from error
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise Refused(Reason.UNREADABLE) from error


@contextmanager
def _open_plain(path: Path, most_bytes: int) -> Iterator[tuple[BinaryIO, int]]:
    """Yield an ordinary file, never what a link points to, and its size."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
    except OSError as error:
        raise Refused(Reason.LINK if path.is_symlink() else Reason.UNREADABLE) from error
    with os.fdopen(handle, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Refused(Reason.LINK)
        if found.st_size > most_bytes:
            raise Refused(Reason.TOO_LARGE)
        yield stream, found.st_size


def _parsed(stream: BinaryIO, size: int, wanted: tuple[int, ...], *, bare: bool) -> Opened:
    """Return the parsed file, or raise whatever pydicom does."""
    content, meta = unpacked(stream, file="")
    if meta is not None:
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
    capped = _Capped(content, size)
    last = max(wanted, default=0)
    dataset = read_partial(
        cast("BinaryIO", capped),
        lambda tag, vr, length: int(tag) > last if last else int(tag) in _PIXELS,
        force=bare,
        specific_tags=list(wanted) or None,
    )
    if meta is not None:
        dataset.file_meta = meta
    if str(dataset.file_meta.get("MediaStorageSOPClassUID", "")) == "1.2.840.10008.1.3.10":
        raise Refused(Reason.DIRECTORY)
    check_frames(dataset, file="")
    return Opened(dataset=dataset, syntax=_syntax(dataset), stream=content)


def _syntax(dataset: Dataset) -> UID:
    """Return the transfer syntax that a file says, or in which one without was found to be written."""
    said = dataset.file_meta.get("TransferSyntaxUID")
    if said:
        return UID(said)
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian
