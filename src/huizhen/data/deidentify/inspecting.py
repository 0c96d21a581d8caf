"""An inspector's look at the pixels of a file that is cleaned otherwise, and what it asks for."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from huizhen.data.deidentify.blackening import blacken
from huizhen.data.deidentify.context import Context, Rule
from huizhen.data.deidentify.fragments import copy_pixels
from huizhen.data.deidentify.marks import mark
from huizhen.data.deidentify.opening import Opened
from huizhen.data.deidentify.options import Option
from huizhen.data.deidentify.outcome import Reason, Refused
from huizhen.data.deidentify.pixels import PixelInspector
from huizhen.data.deidentify.profile import Action
from huizhen.data.deidentify.regions import Inspection
from huizhen.errors import HuizhenError

__all__ = ["inspect_pixels", "with_pixels"]

_PIXELS = 0x7FE00010
_CHANGED = ("PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit")
"""What the header must say anew where compressed pixels were unpacked."""


def inspect_pixels(found: Opened, context: Context, inspector: PixelInspector | None) -> tuple[BinaryIO, UID]:
    """Return a stream that stands at the pixels to write, and their syntax; their own where nobody looks.

    Where an inspector was sure, the dataset says so: Burned In Annotation NO, and the code of the option
    Clean Pixel Data. Raises `Refused` to queue the file where it was not, or its pixels can't be decoded.
    """
    dataset = found.dataset
    if inspector is None or "Rows" not in dataset:
        return found.stream, found.syntax
    start = found.stream.tell()
    whole = with_pixels(found)
    found.stream.seek(start)
    if _PIXELS not in whole:  # pixels of floating point
        raise Refused(Reason.DOUBTFUL_PIXELS, queued=True)
    inspection = _looked_at(whole, inspector)
    context.seen = inspection
    dataset.BurnedInAnnotation = "NO"
    mark(dataset, (*context.policy.options, Option.CLEAN_PIXELS))
    if not inspection.regions:
        return found.stream, found.syntax
    context.note(f"{_PIXELS:08X}", Action.CLEAN, Rule.PIXELS)
    return _taken_over(dataset, whole)


def _looked_at(whole: Dataset, inspector: PixelInspector) -> Inspection:
    """Return what an inspector saw, with what it found blackened in `whole`. Raises `Refused` to queue it."""
    seen: Inspection | None = None
    try:
        seen = inspector.inspect(whole)
        if seen.sure:
            blacken(whole, seen.regions)
    except (Refused, HuizhenError):
        raise
    except Exception as error:  # decoders raise many kinds
        raise Refused(Reason.DOUBTFUL_PIXELS, queued=True, seen=seen) from error
    if not seen.sure:
        raise Refused(Reason.DOUBTFUL_PIXELS, queued=True, seen=seen)
    return seen


def with_pixels(found: Opened) -> Dataset:
    """Return an opened dataset with its pixels, as an inspector sees it; the stream moves behind them."""
    body = BytesIO()
    fp = DicomIO(body)
    fp.is_implicit_VR, fp.is_little_endian = found.syntax.is_implicit_VR, found.syntax.is_little_endian
    write_dataset(fp, found.dataset)
    copy_pixels(found.stream, body, found.dataset, found.syntax)
    body.seek(0)
    whole: Dataset = read_dataset(
        body, is_implicit_VR=found.syntax.is_implicit_VR, is_little_endian=found.syntax.is_little_endian
    )
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = found.syntax
    return whole


def _taken_over(dataset: Dataset, whole: Dataset) -> tuple[BinaryIO, UID]:
    """Return the changed pixels as a stream, with what changed of their description in `dataset`."""
    for keyword in _CHANGED:
        if keyword in whole:
            setattr(dataset, keyword, whole[keyword].value)
    syntax = UID(whole.file_meta.TransferSyntaxUID)
    body = BytesIO()
    fp = DicomIO(body)
    fp.is_implicit_VR, fp.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    alone = Dataset()
    alone[_PIXELS] = whole[_PIXELS]
    write_dataset(fp, alone)
    body.seek(0)
    return body, syntax
