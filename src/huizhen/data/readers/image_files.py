"""One PNG, JPEG, TIFF or BMP file: is it whole, how many pages, its pixels and its mask."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from huizhen.data.readers.scaling import full_range, ramp, robust_range
from huizhen.errors import UnreadableFileError

__all__ = ["IMAGE_SUFFIXES", "count_pages", "image_size", "read_image", "read_mask_image"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})

_TAIL_BYTES = 1 << 16
_ORIENTATION_TAG = 0x0112
_WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def count_pages(path: Path) -> int:
    """Return how many images a file holds, after checking without decoding that it looks whole.

    Raises `UnreadableFileError` when it is broken, truncated, or larger than Pillow's bound against
    decompression bombs (about 90 million pixels).
    """
    with _opened(path) as image:
        pages = int(getattr(image, "n_frames", 1))
        if image.format == "JPEG" and not _ends_with_marker(path):
            raise OSError("no end of image")
        if image.format == "PNG":
            image.verify()
        return pages


def read_image(path: Path, page: int = 0) -> NDArray[np.float32]:
    """Return a page (H, W) or (H, W, 3) in [0, 1], turned as its EXIF orientation says.

    Eight bits a channel are taken as they are; deeper images are scaled by their 0.5-99.5 percentile range,
    because files of 16 bits often hold 10 or 12. Raises `UnreadableFileError` when it can't be decoded.
    """
    with _opened(path) as image:
        image.seek(page)
        if image.mode in _WIDE_MODES:
            values = np.asarray(ImageOps.exif_transpose(image)).astype(np.float32)
            return ramp(values, *robust_range(values))
        grey = image.mode in ("1", "L", "LA")
        return full_range(np.asarray(ImageOps.exif_transpose(image.convert("L" if grey else "RGB"))))


def read_mask_image(path: Path) -> NDArray[np.bool_]:
    """Return a mask file (H, W): true where any channel is above 0. Raises `UnreadableFileError`."""
    with _opened(path) as image:
        plain = image if image.mode in _WIDE_MODES else image.convert("RGB")
        values = np.asarray(ImageOps.exif_transpose(plain)) > 0
        return np.asarray(values.any(axis=2) if values.ndim == 3 else values, dtype=np.bool_)


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width as `read_image` gives them. Raises `UnreadableFileError`."""
    with _opened(path) as image:
        turned = image.getexif().get(_ORIENTATION_TAG, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Yield an open image; whatever goes wrong inside becomes `UnreadableFileError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except UnreadableFileError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise UnreadableFileError(
            f"can't be read as an image ({type(error).__name__})",
            remedy="export it again as PNG, JPEG, TIFF or BMP",
            file=path.name,
        ) from error


def _ends_with_marker(path: Path) -> bool:
    """Tell whether a JPEG file has its end-of-image marker (FF D9) near the end."""
    with path.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - _TAIL_BYTES))
        return b"\xff\xd9" in stream.read()
