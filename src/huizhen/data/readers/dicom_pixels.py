"""From a DICOM file's stored values to what a monitor shows, in [0, 1].

The order of DICOM PS3.4 N.2: modality LUT or rescale, then VOI LUT or window, then the photometric
interpretation. Colour is turned to RGB first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array

from huizhen.data.readers.dicom_headers import quiet, read_dataset
from huizhen.data.readers.dicom_planes import frame_item
from huizhen.data.readers.scaling import (
    WindowFunction,
    apply_window,
    ramp,
    robust_range,
    to_channels,
    window_range,
)
from huizhen.errors import UnreadableFileError

__all__ = ["render"]

_FUNCTIONS: dict[str, WindowFunction] = {"LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}

File = tuple[Path, int | None]
"""A file and a frame (from 0), None for a file of one image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Centre, width and function of a window."""

    center: float
    width: float
    function: WindowFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class Grey:
    """A grey image (H, W) after the modality LUT, and how it is to be shown."""

    values: NDArray[np.float32]
    padding: NDArray[np.bool_] | None
    """Pixels outside the image proper, shown black and left out of the grey range."""
    window: Window | None
    voi_lut: Dataset | None
    display_range: tuple[float, float] | None
    """The range that a file of up to eight bits without any window is meant to be shown with."""
    inverted: bool


def render(files: Sequence[File], channels: int) -> NDArray[np.float32]:
    """Return an image (channels, H, W) in [0, 1] from one file, or from one file a channel (phases).

    A single grey image goes through its VOI LUT, else its first window, else its full range if it has at most
    eight bits, else its 0.5-99.5 percentile range. Phases share one linear range, so that enhancement is
    kept: the union of their windows if all have one, else the percentile range of all. Raises
    `UnreadableFileError` when a file can't be decoded, or phases differ in size or are in colour.
    """
    path = files[0][0]
    try:
        with quiet():
            images = [_load(*file) for file in files]
            if len(images) > 1:
                return _phases(images)
            image = images[0]
            return to_channels(_shown(image) if isinstance(image, Grey) else image, channels)
    except UnreadableFileError:
        raise
    except Exception as error:  # decoders raise many kinds on damaged files
        raise UnreadableFileError(
            f"its pixels can't be decoded ({type(error).__name__})",
            remedy="send it again from the archive, if possible without compression",
            file=path.name,
        ) from error


def _load(path: Path, frame: int | None) -> Grey | NDArray[np.float32]:
    """Return one image: grey (H, W), or colour (H, W, 3) in [0, 1]."""
    dataset, stored = _decoded(path, frame)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)[..., :3]
        return stored.astype(np.float32) / np.float32(np.iinfo(stored.dtype).max)
    if stored.ndim == 3:
        return stored.astype(np.float32) / np.float32(2 ** int(dataset.BitsStored) - 1)
    return _grey(dataset, stored, frame or 0)


def _decoded(path: Path, frame: int | None) -> tuple[Dataset, NDArray[Any]]:
    """Return a file's elements and one decoded image. Of a multi-frame file only that frame is read."""
    if frame is None:
        dataset = read_dataset(path)
        return dataset, pixel_array(dataset, index=0)
    state = path.stat()
    dataset = _remembered(path, state.st_mtime_ns, state.st_size)
    if dataset.file_meta.TransferSyntaxUID.is_deflated:  # unpacked within limits by read_dataset alone
        return dataset, pixel_array(read_dataset(path), index=frame)
    try:
        return dataset, pixel_array(path, index=frame)
    except (InvalidDicomError, AttributeError, NotImplementedError):  # no preamble
        return dataset, pixel_array(read_dataset(path), index=frame)


@lru_cache(maxsize=4)
def _remembered(path: Path, changed_ns: int, size: int) -> Dataset:
    """Return a multi-frame file's elements without its pixels; its frames are asked for in turn."""
    return read_dataset(path, pixels=False)


def _grey(dataset: Dataset, stored: NDArray[Any], frame: int) -> Grey:
    """Return a grey image with its modality LUT applied."""
    transform = frame_item(dataset, frame, "PixelValueTransformationSequence")
    voi = frame_item(dataset, frame, "FrameVOILUTSequence")
    source = transform if "RescaleSlope" in transform else dataset
    if "ModalityLUTSequence" in dataset:
        values = np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32)
    else:
        slope, intercept = _first(source, "RescaleSlope", 1.0), _first(source, "RescaleIntercept", 0.0)
        values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    plain = stored.dtype.kind in "ub" and source is dataset and not _is_rescaled(dataset)
    bits = int(dataset.get("BitsStored", 16))
    luts = dataset.get("VOILUTSequence")
    return Grey(
        values=values,
        padding=_padding(dataset, stored),
        window=_window(voi if "WindowWidth" in voi else dataset),
        voi_lut=luts[0] if luts else None,
        display_range=(0.0, float(2**bits - 1)) if plain and bits <= 8 else None,
        inverted=dataset.PhotometricInterpretation == "MONOCHROME1",
    )


def _is_rescaled(dataset: Dataset) -> bool:
    """Tell whether the modality LUT changes values."""
    slope, intercept = _first(dataset, "RescaleSlope", 1.0), _first(dataset, "RescaleIntercept", 0.0)
    return "ModalityLUTSequence" in dataset or (slope, intercept) != (1.0, 0.0)


def _first(dataset: Dataset, keyword: str, default: float) -> float:
    """Return an element's first value."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return default
    return float(value[0]) if hasattr(value, "__getitem__") and not isinstance(value, str) else float(value)


def _window(dataset: Dataset) -> Window | None:
    """Return the first window, or None if there is none or it is no valid one (PS3.3 C.11.2.1.2)."""
    if not dataset.get("WindowWidth") or dataset.get("WindowCenter") in (None, ""):
        return None
    width = _first(dataset, "WindowWidth", 0.0)
    function = _FUNCTIONS.get(str(dataset.get("VOILUTFunction", "")), "LINEAR")
    if width < 1 and (function == "LINEAR" or width <= 0):
        return None
    return Window(center=_first(dataset, "WindowCenter", 0.0), width=width, function=function)


def _padding(dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which stored values are padding, or None. Source: DICOM PS3.3 C.7.5.1.1.2."""
    if "PixelPaddingValue" not in dataset or stored.dtype.kind == "f":
        return None
    first = _signed(int(dataset.PixelPaddingValue), dataset)
    last = _signed(int(dataset.get("PixelPaddingRangeLimit", dataset.PixelPaddingValue)), dataset)
    padding: NDArray[np.bool_] = (stored >= min(first, last)) & (stored <= max(first, last))
    return padding if padding.any() and not padding.all() else None


def _signed(value: int, dataset: Dataset) -> int:
    """Return a padding value that was read as unsigned as the signed one that is meant."""
    bits = int(dataset.BitsAllocated)
    return value - (1 << bits) if dataset.PixelRepresentation == 1 and value >= 1 << (bits - 1) else value


def _shown(image: Grey) -> NDArray[np.float32]:
    """Return a single grey image in [0, 1]."""
    shown = _through_lut(image)
    if shown is None and image.window is not None:
        window = image.window
        shown = apply_window(image.values, window.center, window.width, window.function)
        if _shows_nothing(shown, image):
            shown = None
    if shown is None:
        shown = ramp(image.values, *(image.display_range or robust_range(_inside(image))))
    return _finished(shown, image)


def _through_lut(image: Grey) -> NDArray[np.float32] | None:
    """Return the image through its VOI LUT, or None if it has none. Source: DICOM PS3.3 C.11.2.1.1."""
    if image.voi_lut is None:
        return None
    entries, first, bits = (int(value) for value in image.voi_lut.LUTDescriptor)
    table = np.asarray(image.voi_lut.LUTData)
    if isinstance(image.voi_lut.LUTData, bytes):
        table = np.frombuffer(image.voi_lut.LUTData, dtype=np.uint16 if bits > 8 else np.uint8)
    places = np.clip(np.nan_to_num(image.values) - first, 0, min(entries or 1 << 16, table.size) - 1)
    return table[places.astype(np.int64)].astype(np.float32) / np.float32(2**bits - 1)


def _shows_nothing(shown: NDArray[np.float32], image: Grey) -> bool:
    """Tell whether a window leaves one grey of an image that has several: such windows are mistakes."""
    inside = shown if image.padding is None else shown[~image.padding]
    values = _inside(image)
    return bool(inside.size and inside.min() == inside.max() and values.min() < values.max())


def _inside(image: Grey) -> NDArray[np.float32]:
    """Return the values that are not padding."""
    return image.values if image.padding is None else image.values[~image.padding]


def _finished(shown: NDArray[np.float32], image: Grey) -> NDArray[np.float32]:
    """Return an image as a monitor shows it: MONOCHROME1 inverted, padding black."""
    shown = np.clip(1 - shown if image.inverted else shown, 0, 1)
    if image.padding is not None:
        shown[image.padding] = 0
    return shown


def _phases(images: Sequence[Grey | NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return phases (C, H, W) on one common range. Raises `ValueError` on colours or different sizes."""
    greys = [image for image in images if isinstance(image, Grey)]
    if len(greys) != len(images) or len({grey.values.shape for grey in greys}) > 1:
        raise ValueError("not phases of one slice")
    windows = [
        window_range(grey.window.center, grey.window.width, grey.window.function)
        for grey in greys
        if grey.window is not None
    ]
    if len(windows) == len(greys):
        low, high = min(low for low, _ in windows), max(high for _, high in windows)
    else:
        low, high = robust_range(np.concatenate([_inside(grey).ravel() for grey in greys]))
    return np.stack([_finished(ramp(grey.values, low, high), grey) for grey in greys])
