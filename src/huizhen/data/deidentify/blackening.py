"""Regions of an image made black in all its frames, whatever its kind of pixels.

"Black" is the value that is shown darkest and already occurs: the least of a grey image (the greatest where
small values are shown bright), the darkest colour of a palette, and true black in RGB and YBR.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from huizhen.data.deidentify.frames import MOST_PIXELS
from huizhen.data.deidentify.outcome import Reason, Refused
from huizhen.data.deidentify.regions import Region
from huizhen.data.readers.dicom_limits import native_bytes

__all__ = ["blacken"]

_FLOATS = ("FloatPixelData", "DoubleFloatPixelData")


def blacken(dataset: Dataset, regions: tuple[Region, ...]) -> None:
    """Blacken regions of all frames of uncompressed or decodable pixel data, in place.

    Compressed pixels become Explicit VR Little Endian: nothing is compressed anew, no other pixel changes
    but by what the file's own lossy compression had done. Raises `Refused` to queue what is too large or of
    a kind that can't be blackened, and whatever pydicom does on a broken image.
    """
    if not regions:
        return
    frames = int(dataset.get("NumberOfFrames", None) or 1)
    if native_bytes(dataset, frames) > MOST_PIXELS or any(name in dataset for name in _FLOATS):
        raise Refused(Reason.DOUBTFUL_PIXELS, queued=True)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.decompress(as_rgb=False, generate_instance_uid=False)
    _without_subsampling(dataset, frames)
    if int(dataset.BitsAllocated) == 1:
        _blacken_bits(dataset, regions, frames)
    elif int(dataset.BitsAllocated) % 8:
        raise Refused(Reason.DOUBTFUL_PIXELS, queued=True)
    else:
        _blacken_samples(dataset, regions, frames)


def _without_subsampling(dataset: Dataset, frames: int) -> None:
    """Give YBR_FULL_422 every sample, so that a rectangle's edge can lie anywhere.

    What pydicom decompresses has them already, under the old name.
    """
    if dataset.get("PhotometricInterpretation") != "YBR_FULL_422":
        return
    whole = int(dataset.Rows) * int(dataset.Columns) * 3 * frames
    if len(dataset.PixelData) < whole:
        from pydicom.pixels.utils import pixel_array

        dataset.PixelData = np.ascontiguousarray(pixel_array(dataset, raw=True)).tobytes()
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "YBR_FULL", 0


def _blacken_bits(dataset: Dataset, regions: tuple[Region, ...], frames: int) -> None:
    """Blacken an image of one bit a pixel; its frames follow each other without a gap."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    count = frames * rows * columns
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, dtype=np.uint8), bitorder="little")[:count]
    image = bits.reshape(frames, rows, columns)
    for region in regions:
        image[:, region.top : region.bottom, region.left : region.right] = int(_is_inverse(dataset))
    packed = np.packbits(image.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)


def _blacken_samples(dataset: Dataset, regions: tuple[Region, ...], frames: int) -> None:
    """Blacken an image of whole bytes."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    samples = int(dataset.get("SamplesPerPixel", 1))
    planar = samples > 1 and bool(int(dataset.get("PlanarConfiguration", 0) or 0))
    shape = (frames, samples, rows, columns) if planar else (frames, rows, columns, samples)
    kind = _kind(dataset)
    size = int(np.prod(shape)) * kind.itemsize
    image: NDArray[np.generic] = np.frombuffer(dataset.PixelData[:size], dtype=kind).reshape(shape).copy()
    by_sample = image if planar else np.moveaxis(image, -1, 1)  # (frames, samples, rows, columns), a view
    for sample, black in enumerate(_blacks(dataset, image, samples)):
        for region in regions:
            by_sample[:, sample, region.top : region.bottom, region.left : region.right] = black
    dataset.PixelData = image.tobytes() + b"\0" * (size % 2)


def _kind(dataset: Dataset) -> np.dtype[np.generic]:
    """Return the type of a stored sample."""
    signed = int(dataset.get("PixelRepresentation", 0) or 0)
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    return np.dtype(f"{order}{'i' if signed else 'u'}{int(dataset.BitsAllocated) // 8}")


def _blacks(dataset: Dataset, image: NDArray[np.generic], samples: int) -> tuple[int, ...]:
    """Return the value of black for each sample."""
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return (_darkest_index(dataset, image),)
    if samples == 1:
        return (int(image.max() if _is_inverse(dataset) else image.min()),)
    if str(dataset.PhotometricInterpretation).startswith("YBR"):
        middle = 1 << (int(dataset.BitsStored) - 1)
        return (0, middle, middle)  # luminance, and two colour differences (PS3.3 C.7.6.3.1.2)
    return (0,) * samples


def _is_inverse(dataset: Dataset) -> bool:
    """Tell whether small values are shown bright."""
    return bool(dataset.PhotometricInterpretation == "MONOCHROME1")


def _darkest_index(dataset: Dataset, image: NDArray[np.generic]) -> int:
    """Return the value, of those in the image, whose colour in the palette is darkest."""
    from pydicom.pixels.processing import apply_color_lut

    used = np.unique(image)
    colours = apply_color_lut(used.reshape(1, -1), dataset)
    return int(used[int(np.asarray(colours, dtype=np.int64).sum(axis=-1).argmin())])
