"""What a DICOM file may announce: few bytes can name 2^31 frames, or unpack to gigabytes.

All limits are far above what hospitals' files hold, and are checked before anything is allotted.
"""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import DeflatedExplicitVRLittleEndian

from huizhen.data.readers.dicom_values import value_of, whole_number_of
from huizhen.errors import UnreadableFileError

__all__ = ["MOST_BYTES", "MOST_FRAMES", "MOST_UNPACKED", "check_frames", "native_bytes", "unpacked"]

MOST_FRAMES = 100_000
"""Frames of one object (a dynamic MR examination has a few thousand)."""

MOST_BYTES = 32 << 30
"""Bytes of one object's pixels, all frames, uncompressed (breast tomosynthesis has about 2 GiB)."""

MOST_UNPACKED = 512 << 20
"""Bytes to which a file that is deflated as a whole is unpacked; its pixels are held in memory at once."""

_CHUNK = 1 << 20
_PLAIN_META = b"\0" * 128 + b"DICM" + b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"
"""The start of a file in explicit VR, little endian."""


def unpacked(stream: BinaryIO, *, file: str) -> tuple[BinaryIO, FileMetaDataset | None]:
    """Return an open file as one that isn't deflated, and the file meta information that it had if it was.

    Any other file is returned as it is, with None. Raises `UnreadableFileError` past `MOST_UNPACKED`, and
    `zlib.error` on a broken stream. Source: DICOM PS3.5 A.5.
    """
    stream.seek(0)
    read_preamble(stream, force=True)
    meta = _read_file_meta_info(
        stream
    )  # pydicom's public reader takes paths, and files with a preamble, only
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        stream.seek(0)
        return stream, None
    whole = io.BytesIO()
    whole.write(_PLAIN_META)
    _inflate(stream, whole, file)
    whole.seek(0)
    return whole, meta


def check_frames(dataset: Dataset, *, file: str) -> None:
    """Check how many frames a header announces, and how many bytes. Raises `UnreadableFileError`.

    Each frame of an Enhanced object has an item of its own (PS3.3 C.7.6.16.1.1).
    """
    frames = whole_number_of(dataset, "NumberOfFrames", 1)
    own = value_of(dataset, "PerFrameFunctionalGroupsSequence")
    if frames > MOST_FRAMES or (own is not None and frames > len(own)):
        raise UnreadableFileError(
            "announces more frames than it can hold",
            remedy="send it again from the archive",
            field="NumberOfFrames",
            file=file,
        )
    if "Rows" in dataset and "Columns" in dataset and native_bytes(dataset, frames) > MOST_BYTES:
        raise UnreadableFileError(
            f"announces more than {MOST_BYTES >> 30} GiB of pixels",
            remedy="send it again from the archive, in several objects",
            field="Rows, Columns, NumberOfFrames",
            file=file,
        )


def native_bytes(dataset: Dataset, frames: int) -> int:
    """Return the bytes that `frames` frames of uncompressed pixel data take."""
    pixels = int(dataset.Rows) * int(dataset.Columns) * max(1, frames)
    samples = int(dataset.get("SamplesPerPixel", 1))
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        samples = 2
    return (pixels * samples * int(dataset.get("BitsAllocated", 16)) + 7) // 8


def _inflate(stream: BinaryIO, whole: BinaryIO, file: str) -> None:
    """Unpack the rest of `stream` into `whole`, never more than a chunk beyond the limit."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    data = stream.read(_CHUNK)
    while data and not machine.eof:
        whole.write(machine.decompress(data, _CHUNK))
        if whole.tell() > MOST_UNPACKED:
            raise UnreadableFileError(
                f"unpacks to more than {MOST_UNPACKED >> 20} MiB",
                remedy="send it again from the archive, not deflated",
                field="TransferSyntaxUID",
                file=file,
            )
        data = machine.unconsumed_tail or stream.read(_CHUNK)
    if not machine.eof:
        whole.write(machine.flush())
        raise zlib.error("cut off")
