"""One NIfTI volume in canonical orientation, cut into slices as a radiologist sees them.

Canonical axes run towards the patient's right, front and head (RAS+). A slice is shown with the patient's
right on the left and the front (axial) or the head (sagittal, coronal) on top, as DICOM's usual planes are,
so that models see the same picture whichever format a hospital keeps.
"""

from __future__ import annotations

import gzip
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from huizhen.errors import UnreadableFileError

__all__ = ["Volume", "count_slices", "read_volume"]

MOST_VOXELS = 1 << 30
"""Voxels, over all phases, up to which a volume is read."""

_ORIENTATION: Any = nib.orientations.io_orientation
_CANONICAL: Any = nib.as_closest_canonical
"""nibabel has type hints for some of its functions, but not for these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Values (X, Y, Z, P) along canonical axes, spacing along X, Y and Z, the axis that slices lie across."""

    values: NDArray[np.float32]
    zooms_mm: tuple[float, float, float]
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The three sizes in space."""
        return self.values.shape[:3]

    @property
    def phases(self) -> int:
        """The number of phases."""
        return int(self.values.shape[3])

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """The distance between rows and between columns of a slice."""
        column, row = (zoom for i, zoom in enumerate(self.zooms_mm) if i != self.axis)
        return row, column

    def slice(self, place: int) -> NDArray[np.float32]:
        """Return all phases (P, H, W) of slice `place` (from 0)."""
        plane = np.take(self.values, place, axis=self.axis)  # (lower axis, higher axis, P)
        return np.ascontiguousarray(plane.transpose(2, 1, 0)[:, ::-1, ::-1])


def count_slices(path: Path) -> int:
    """Return the number of slices of a volume, from its header.

    Raises `UnreadableFileError` when the file is broken, holds fewer bytes than its header says, or is no
    volume of numbers.
    """
    try:
        with _quiet():
            image: Any = nib.load(path)
            shape = _checked_shape(image)
            _check_length(path, image, shape)
            order = _ORIENTATION(image.affine)
            sizes = dict(zip(order[:, 0].astype(int), shape[:3], strict=True))
            zooms = dict(zip(order[:, 0].astype(int), _zooms(image), strict=True))
            return int(sizes[_slice_axis((zooms[0], zooms[1], zooms[2]))])
    except Exception as error:  # nibabel raises many kinds on damaged files
        raise _unreadable(path, error) from error


def read_volume(path: Path) -> Volume:
    """Return a volume; the last two are remembered until their file changes. Raises `UnreadableFileError`."""
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size)
    except Exception as error:  # nibabel raises many kinds on damaged files
        raise _unreadable(path, error) from error


@lru_cache(maxsize=2)
def _read(path: Path, changed_ns: int, size: int) -> Volume:
    """Return a volume in canonical orientation, 4-D."""
    with _quiet():
        image: Any = nib.load(path)
        shape = _checked_shape(image)
        canonical = _CANONICAL(image)
        values = np.asarray(canonical.dataobj, dtype=np.float32)
    values = values.reshape(*values.shape[:3], -1) if len(shape) > 3 else np.atleast_3d(values)[..., None]
    zooms = _zooms(canonical)
    return Volume(values=values, zooms_mm=zooms, axis=_slice_axis(zooms))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence nibabel's warnings, and its log that goes to the screen by itself."""
    log = logging.getLogger("nibabel.global")
    was = log.disabled
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = was


def _checked_shape(image: Any) -> tuple[int, ...]:
    """Return the shape, of three sizes at least. Raises `ValueError` on anything but a volume of numbers."""
    shape = tuple(int(size) for size in image.shape)
    if image.get_data_dtype().names is not None or image.get_data_dtype().kind not in "biuf":
        raise ValueError("not numbers")
    if len(shape) < 2 or any(size > 1 for size in shape[4:]):
        raise ValueError("not a volume")
    if min(shape) < 1 or int(np.prod(shape, dtype=np.int64)) > MOST_VOXELS:
        raise ValueError("too large")
    return (*shape, 1)[: max(3, len(shape))]


def _check_length(path: Path, image: Any, shape: tuple[int, ...]) -> None:
    """Check that the file holds as many bytes as its header says.

    A compressed file is unpacked to be sure only if gzip's length field, its last four bytes, says otherwise.
    """
    wanted = int(image.dataobj.offset) + int(np.prod(shape, dtype=np.int64)) * image.get_data_dtype().itemsize
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
        length = stream.seek(-4, 2) + 4
        stated = int.from_bytes(stream.read(4), "little")
    if packed:
        length = wanted if stated == wanted % (1 << 32) else _unpacked_length(path)
    if length < wanted:
        raise ValueError("shorter than its header says")


def _unpacked_length(path: Path) -> int:
    """Return the bytes that all members of a gzip file hold. Raises `EOFError` if it is cut off."""
    with gzip.open(path) as stream:
        return sum(map(len, iter(partial(stream.read, 1 << 20), b"")))


def _zooms(image: Any) -> tuple[float, float, float]:
    """Return the spacing along the three axes in space."""
    zooms = [float(zoom) for zoom in image.header.get_zooms()[:3]]
    x, y, z = (*zooms, 1.0)[:3]
    return x, y, z


def _slice_axis(zooms: tuple[float, float, float]) -> int:
    """Return the axis of the largest spacing, the last one of equals: slices are finest across it.

    >>> _slice_axis((0.7, 0.7, 2.0)), _slice_axis((3.0, 0.5, 0.5)), _slice_axis((1.0, 1.0, 1.0))
    (2, 0, 2)
    """
    return max(range(3), key=lambda axis: (round(zooms[axis], 3), axis))


def _unreadable(path: Path, error: Exception) -> UnreadableFileError:
    """Return the error for a volume that can't be read."""
    return UnreadableFileError(
        f"can't be read as a NIfTI volume ({type(error).__name__})",
        remedy="export it again as NIfTI-1 of numbers",
        file=path.name,
    )
