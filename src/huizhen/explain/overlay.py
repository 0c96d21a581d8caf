"""A heatmap drawn over its image: colours where heat is high, the bare image where it is low."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

PHANTOM_MARK = "PHANTOM: simulated image, not a patient"


def overlay_rgb(
    image: NDArray[np.floating], heat: NDArray[np.floating], *, alpha: float = 0.6
) -> NDArray[np.uint8]:
    """Return `heat` over `image` as pixels (H, W, 3): per pixel (1 - alpha heat) image + alpha heat colour.

    `image` (H, W) or (H, W, 3) in [0, 1], `heat` (H, W) in [0, 1], `alpha` in (0, 1] the opacity where heat
    is 1. Raises `InvalidInputError` on other shapes or values out of range.
    """
    if not 0 < alpha <= 1:
        raise InvalidInputError(f"an opacity of {alpha}", remedy="use 0 < alpha <= 1", field="alpha")
    check_unit(heat, field="heat", dimensions=2)
    check_image(image)
    if image.shape[:2] != heat.shape:
        raise InvalidInputError(
            f"heat has shape {heat.shape}, the image {image.shape[:2]}",
            remedy="resample the heat to the image",
            field="heat",
        )
    levels = np.rint(heat * 255).astype(np.uint8)  # (H, W)
    opacity = alpha * heat.astype(np.float32)  # (H, W)
    pixels = np.empty((*heat.shape, 3), dtype=np.uint8)
    for channel in range(3):  # one plane at a time: a mammogram has 14 million pixels
        plane = _plane(image, channel)
        pixels[..., channel] = _to_bytes(plane + opacity * (colours()[levels, channel] - plane))
    return pixels


@cache
def colours() -> NDArray[np.float32]:
    """Return 256 colours (256, 3) in [0, 1] from dark to bright: lightness rises evenly with heat.

    The table is matplotlib's inferno, which is uniform in CAM02-UCS (Smith & van der Walt, SciPy 2015).
    """
    from matplotlib import colormaps

    table: NDArray[np.float32] = colormaps["inferno"](np.arange(256))[:, :3].astype(np.float32)
    table.setflags(write=False)
    return table


def png_bytes(pixels: NDArray[np.uint8], *, comment: str = "") -> bytes:
    """Return `pixels` (H, W, 3) as a PNG, with `comment` as its Comment where one is given."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if comment:
        info.add_text("Comment", comment)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", pnginfo=info, optimize=False, compress_level=6)
    return stream.getvalue()


def check_unit(values: NDArray[np.floating], *, field: str, dimensions: int) -> None:
    """Raise `InvalidInputError` unless `values` is a non-empty float array within [0, 1]."""
    if values.ndim != dimensions or values.size == 0 or not np.issubdtype(values.dtype, np.floating):
        raise InvalidInputError(
            f"{values.dtype} array of shape {values.shape}",
            remedy=f"give floats in {dimensions} dimensions",
            field=field,
        )
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise InvalidInputError("values leave [0, 1]", remedy="scale them to [0, 1]", field=field)


def grey_or_colour(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return `image` (H, W) or (H, W, 3) in [0, 1] as pixels (H, W, 3)."""
    check_image(image)
    return np.stack([_to_bytes(_plane(image, channel)) for channel in range(3)], axis=2)


def check_image(image: NDArray[np.floating]) -> None:
    """Raise `InvalidInputError` unless `image` is (H, W) or (H, W, 3) within [0, 1]."""
    if image.ndim == 3 and image.shape[2] != 3:
        raise InvalidInputError(
            f"image has shape {image.shape}", remedy="give (H, W) or (H, W, 3)", field="image"
        )
    check_unit(image, field="image", dimensions=3 if image.ndim == 3 else 2)


def _plane(image: NDArray[np.floating], channel: int) -> NDArray[np.float32]:
    return (image if image.ndim == 2 else image[..., channel]).astype(np.float32)


def _to_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(values * 255).astype(np.uint8)
