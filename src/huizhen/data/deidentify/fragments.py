"""Pixel data copied as it stands, without the text that may hide in it: comments, and what follows the image.

Nothing is decoded. Comments and application data of JPEG, JPEG-LS and JPEG 2000 streams are overwritten by
zeros of the same length, so that every offset holds; bytes after the last pixel, and elements after the pixel
data, are not copied.
Sources: DICOM PS3.5 A.4; ITU-T T.81 B.1.1.3; ITU-T T.800 A.2.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from huizhen.data.deidentify.outcome import Reason, Refused
from huizhen.data.readers.dicom_limits import native_bytes

__all__ = ["copy_pixels", "without_comments"]

_CHUNK = 1 << 20
_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_MOST_FRAGMENT = 1 << 30
_STREAMS = frozenset({*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes})
_SEGMENT = re.compile(rb"\xff[\xe0-\xef\xfe]")
_NATIVE = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


def copy_pixels(source: BinaryIO, target: BinaryIO, dataset: Dataset, syntax: UID) -> int:
    """Copy the pixel data at which `source` stands; return how many pieces of text were left behind.

    Nothing is copied, and 0 returned, where there is none. Raises `Refused` when it is cut off.
    """
    start = source.read(4)
    order = "<" if syntax.is_little_endian else ">"
    if len(start) < 4:
        return 0
    group, element = struct.unpack(f"{order}HH", start)
    if group << 16 | element not in _NATIVE:
        raise Refused(Reason.UNREADABLE)
    head, length = _read_head(source, start, order, implicit=syntax.is_implicit_VR)
    if length == _UNDEFINED:
        target.write(head + struct.pack(f"{order}I", length))
        return _copy_fragments(source, target, syntax)
    wanted = min(length, _wanted(dataset, length))
    target.write(head + struct.pack(f"{order}I", wanted + wanted % 2))
    _copy(source, target, wanted)
    target.write(b"\0" * (wanted % 2))
    return int(length > wanted + wanted % 2)


def _read_head(source: BinaryIO, start: bytes, order: str, *, implicit: bool) -> tuple[bytes, int]:
    """Return an element's bytes up to its length, and the length."""
    rest = source.read(4 if implicit else 8)
    if len(rest) < (4 if implicit else 8):
        raise Refused(Reason.UNREADABLE)
    return start + rest[:-4], struct.unpack(f"{order}I", rest[-4:])[0]


def _wanted(dataset: Dataset, length: int) -> int:
    """Return how many bytes the image takes by its own header, or `length` where that says nothing."""
    if "Rows" not in dataset or "Columns" not in dataset:
        return length
    frames = int(dataset.get("NumberOfFrames", None) or 1)
    wanted = native_bytes(dataset, frames)
    if wanted > length:
        raise Refused(Reason.UNREADABLE)
    return wanted


def _copy(source: BinaryIO, target: BinaryIO, length: int) -> None:
    while length:
        data = source.read(min(length, _CHUNK))
        if not data:
            raise Refused(Reason.UNREADABLE)
        target.write(data)
        length -= len(data)


def _copy_fragments(source: BinaryIO, target: BinaryIO, syntax: UID) -> int:
    """Copy the offset table and the fragments of encapsulated pixel data; count what was blanked.

    Raises `Refused` to queue a JPEG stream in a wrapper of its own, whose boxes may hold text.
    """
    blanked, number = 0, 0
    while True:
        head = source.read(8)
        if len(head) < 8:
            raise Refused(Reason.UNREADABLE)
        group, element, length = struct.unpack("<HHI", head)
        tag = group << 16 | element
        if tag == _END:
            target.write(head[:4] + b"\0\0\0\0")
            return blanked
        if tag != _ITEM or length > min(_left(source), _MOST_FRAGMENT):
            raise Refused(Reason.UNREADABLE)
        target.write(head)
        data = source.read(length)
        if number == 1 and syntax in _STREAMS and data[:2] not in (b"\xff\xd8", b"\xff\x4f"):
            raise Refused(Reason.DOUBTFUL_PIXELS, queued=True)
        clean = without_comments(data) if number else data
        blanked += clean != data
        target.write(clean)
        number += 1


def _left(source: BinaryIO) -> int:
    here = source.tell()
    end = source.seek(0, os.SEEK_END)
    source.seek(here)
    return end - here


def without_comments(data: bytes) -> bytes:
    """Return a fragment with its comments, application data and what follows its end overwritten by zeros.

    The application segments that decoders need (JFIF, Adobe's colour transform, JPEG-LS's colours) stay, if
    they have the form that these have. What doesn't begin as a JPEG or JPEG 2000 stream is returned as it is.

    >>> without_comments(bytes.fromhex("ffd8 fffe 0006 4e616d65 ffda"))[6:10]
    b'\\x00\\x00\\x00\\x00'
    """
    if data[:2] == b"\xff\xd8":
        return _after_end(_between_scans(_blanked(data, comments=_is_jpeg_text, stop=0xDA)))
    if data[:4] == b"\xff\x4f\xff\x51":
        return _after_end(_blanked(data, comments=_is_2000_text, stop=0x90))
    return data


def _is_jpeg_text(marker: int, body: bytes) -> bool:
    """Tell whether a JPEG segment may hold text: comments, and application data that decoders don't need."""
    needed = (
        (marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) == 14)
        or (marker == 0xEE and body[:5] == b"Adobe" and len(body) == 12)
        or (marker == 0xE8 and body[:4] == b"mrfx")
    )
    return marker == 0xFE or (0xE0 <= marker <= 0xEF and not needed)


def _is_2000_text(marker: int, body: bytes) -> bool:
    return marker == 0x64 and len(body) > 2


def _blanked(data: bytes, *, comments: Callable[[int, bytes], bool], stop: int) -> bytes:
    """Return a stream with its text segments zeroed, up to the segment `stop`."""
    out, here = bytearray(data), 2
    while here + 4 <= len(data) and data[here] == 0xFF:
        marker, length = data[here + 1], int.from_bytes(data[here + 2 : here + 4], "big")
        if marker == stop:
            break
        if marker == 0xFF or length < 2:
            here += 1
            continue
        body = data[here + 4 : here + 2 + length]
        if comments(marker, body):
            keep = 2 if marker == 0x64 else 0  # how a comment of JPEG 2000 is registered
            out[here + 4 + keep : here + 4 + len(body)] = bytes(len(body) - keep)
        here += 2 + length
    return bytes(out)


def _between_scans(data: bytes) -> bytes:
    """Return a JPEG stream with text segments after its first scan zeroed; no coded data looks like one."""
    out = bytearray(data)
    for found in _SEGMENT.finditer(data, max(0, data.find(b"\xff\xda"))):
        here = found.end()
        length = int.from_bytes(data[here : here + 2], "big")
        out[here + 2 : here + length] = bytes(len(out[here + 2 : here + length]))
    return bytes(out)


def _after_end(data: bytes) -> bytes:
    """Return a stream with what follows its last end marker (FFD9) zeroed."""
    end = data.rfind(b"\xff\xd9")
    return data if end < 0 else data[: end + 2] + bytes(len(data) - end - 2)
