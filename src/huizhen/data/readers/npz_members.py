"""Arrays inside an npz file, never by pickle: mapped where stored plainly, unpacked once where compressed."""

from __future__ import annotations

import struct
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from huizhen.data.readers.tables import nearest_remedy
from huizhen.errors import DataError, UnreadableFileError

__all__ = ["load_member"]

LARGEST_UNPACKED = 8 << 30
"""Bytes up to which a compressed array is unpacked into memory."""

LONGEST_HEADER = 10_000
"""Bytes of the header of an array (numpy itself reads no longer ones, but unpacks them first)."""


def load_member(path: Path, name: str, *, field: str) -> NDArray[Any]:
    """Return the array `name` of the npz file at `path`, read-only.

    Raises `DataError` when there is no such array or it is too large to unpack, `UnreadableFileError` when
    the file is broken or the array holds Python objects.
    """
    try:
        state = path.stat()
        return _load(path, name, field, state.st_mtime_ns, state.st_size)
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds on damaged files
        raise UnreadableFileError(
            f"the array {name} can't be read ({type(error).__name__})",
            remedy="save plain numbers with np.savez, no Python objects",
            field=field,
            file=path.name,
        ) from error


@lru_cache(maxsize=8)
def _load(path: Path, name: str, field: str, changed_ns: int, size: int) -> NDArray[Any]:
    """Return one array; the last eight are kept, until their file changes."""
    with zipfile.ZipFile(path) as archive:
        member = _member(archive, name, field, path)
        if member.compress_type == zipfile.ZIP_STORED:
            return _mapped(path, member)
        if member.file_size > LARGEST_UNPACKED:
            raise DataError(
                f"the array {name} takes {member.file_size >> 30} GiB unpacked",
                remedy="save it with np.savez, without compression, so that it can be mapped",
                field=field,
                file=path.name,
            )
        with archive.open(member) as stream:
            _check_header(stream)
            array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    array.flags.writeable = False
    return array


def _member(archive: zipfile.ZipFile, name: str, field: str, path: Path) -> zipfile.ZipInfo:
    """Return the archive's entry for `name`."""
    names = [item.removesuffix(".npy") for item in archive.namelist()]
    if name in names:
        return archive.infolist()[names.index(name)]
    raise DataError(
        f"there is no array {name}", remedy=nearest_remedy(name, names), field=field, file=path.name
    )


def _mapped(path: Path, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Return an array that is stored plainly, mapped from the file.

    Source: PKWARE APPNOTE 4.3.7, local file header: 30 bytes, then name and extra field.
    """
    with path.open("rb") as stream:
        stream.seek(member.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", stream.read(4))
        stream.seek(name_length + extra_length, 1)
        start = stream.tell()
        shape, fortran, dtype = _header(stream)
        offset = stream.tell()
    if dtype.hasobject or offset - start + int(np.prod(shape)) * dtype.itemsize > member.file_size:
        raise ValueError("objects, or fewer bytes than its shape needs")
    if not all(shape):
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")


def _check_header(stream: IO[bytes]) -> None:
    """Check the length of the npy header that begins here, before numpy reads all of it. Raises `ValueError`.

    Source: NEP 1, the npy format: six bytes of magic, two of version, the length in two bytes, later in four.
    """
    start = stream.tell()
    head = stream.read(12)
    stream.seek(start)
    length = struct.unpack(
        "<H" if head[6:7] == b"\x01" else "<I", head[8 : 10 if head[6:7] == b"\x01" else 12]
    )
    if length[0] > LONGEST_HEADER:
        raise ValueError("a header of this length")


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, Fortran order and type from an npy header, whichever its version."""
    _check_header(stream)
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    return shape, fortran, dtype
