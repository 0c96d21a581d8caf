"""Whether a DICOM file holds all the pixel data that its header announces, without decoding any."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder

from huizhen.data.readers.dicom_limits import native_bytes

__all__ = ["check_pixel_data"]

_GROUP = 0x7FE0
_FLOAT, _DOUBLE, _INTEGER = 0x0008, 0x0009, 0x0010
_UNDEFINED = 0xFFFFFFFF
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD


def check_pixel_data(stream: BinaryIO, dataset: Dataset, frames: int) -> None:
    """Check the pixel data element at which `stream` stands, as pydicom leaves it before the pixels.

    Raises `ValueError` or `struct.error` when there is none, it is cut off, it is shorter than rows, columns
    and frames need, or nothing installed decodes it. Source: DICOM PS3.5 sections 7.1, 8.2 and A.4.
    """
    syntax = pydicom.uid.UID(dataset.file_meta.TransferSyntaxUID)
    _check_decoder(syntax, dataset)
    order = "<" if syntax.is_little_endian else ">"
    length = _open_element(stream, order, implicit=syntax.is_implicit_VR)
    if length == _UNDEFINED:
        _check_fragments(stream, dataset, frames)
    elif syntax.is_compressed:
        raise ValueError("compressed pixel data of a fixed length")
    elif min(length, _left(stream)) < native_bytes(dataset, frames):
        raise ValueError("pixel data is cut off")


def _check_decoder(syntax: pydicom.uid.UID, dataset: Dataset) -> None:
    """Check that something installed decodes a transfer syntax.

    Twelve-bit JPEG Extended is one that pydicom's free decoders refuse.
    """
    if not syntax.is_compressed:
        return
    if not get_decoder(syntax).is_available:
        raise ValueError("no decoder")
    if syntax == pydicom.uid.JPEGExtended12Bit and int(dataset.get("BitsStored", 8)) > 8:
        raise ValueError("no decoder for twelve bits")


def _open_element(stream: BinaryIO, order: str, *, implicit: bool) -> int:
    """Read the pixel data element's tag and return its length; the stream then stands at its value."""
    group, element = struct.unpack(f"{order}HH", stream.read(4))
    if group != _GROUP or element not in (_FLOAT, _DOUBLE, _INTEGER):
        raise ValueError("no pixel data")
    if implicit:
        return int(struct.unpack(f"{order}I", stream.read(4))[0])
    kind, _, length = struct.unpack(f"{order}2sHI", stream.read(8))
    if kind not in (b"OB", b"OW", b"OF", b"OD", b"UN"):
        raise ValueError("pixel data of an odd kind")
    return int(length)


def _check_fragments(stream: BinaryIO, dataset: Dataset, frames: int) -> None:
    """Check that encapsulated pixel data has a fragment, and a place in any table, for each frame."""
    table, *fragments = _fragments(stream)
    places = [table // 4] if table else []
    if extended := dataset.get("ExtendedOffsetTable"):
        places.append(len(extended) // 8)
    if min([len(fragments), *places]) < frames:
        raise ValueError("fewer fragments than frames")


def _fragments(stream: BinaryIO) -> list[int]:
    """Return the lengths of the offset table and the fragments of encapsulated pixel data, up to its end."""
    lengths: list[int] = []
    while True:
        group, element, length = struct.unpack("<HHI", stream.read(8))
        tag = group << 16 | element
        if tag == _SEQUENCE_END and len(lengths) > 1:
            return lengths
        if tag != _ITEM or length > _left(stream):
            raise ValueError("a fragment is cut off")
        stream.seek(length, os.SEEK_CUR)
        lengths.append(length)


def _left(stream: BinaryIO) -> int:
    """Return the bytes from here to the end of the file."""
    here = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    return end - here
