"""Heatmap pictures for people: image and overlay with the lesion's outline, a scale, and marks in the pixels.

What is below the images is part of the picture, so that it stays with it wherever it is copied: the scale,
what the outline is, that it is a phantom, and that it is for research.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError
from huizhen.explain.lettering import Lettering, lettered
from huizhen.explain.overlay import PHANTOM_MARK, grey_or_colour, overlay_rgb, png_bytes

DARK: Final = 0.05
"""A map whose hottest place is below this share of the patient's hottest is said to hold no evidence."""

LINE: Final = (0, 220, 255)
"""Red, green and blue of outlines: no colour of the heat's scale comes near it."""
PAPER: Final = (38, 38, 38)
INK: Final = (235, 235, 235)
PHANTOM_INK: Final = (255, 196, 64)

SHORTEST: Final = 256
LONGEST: Final = 1024
"""A picture's longer side is brought between these: small images up by a whole factor, large ones down."""
NARROWEST: Final = 320
"""Columns of a strip at least, so that its letters can be read."""

Pixels = NDArray[np.uint8]
"""(H, W, 3), red, green, blue."""


def panel_png(
    image: NDArray[np.floating],
    heat: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
    phantom: bool = False,
) -> bytes:
    """Return a PNG of the bare `image` beside its overlay, with titles above and a `strip` below.

    `image` (H, W) or (H, W, 3) in [0, 1], `heat` (H, W) in [0, 1], `mask` (H, W) of the lesion or None. The
    overlay alone has the outline, so that the image can be judged without it. The same input gives the same
    bytes. Raises `InvalidInputError`.
    """
    bare, drawn = resized(grey_or_colour(image), order=2), resized(overlay_rgb(image, heat), order=2)
    lesion = _lesion(mask, heat)
    if lesion is not None:
        drawn = outlined(drawn, np.asarray(resized(_grey(lesion), order=1))[..., 0] > 127)
    left, right = _titled(bare, Lettering.IMAGE), _titled(drawn, Lettering.OVERLAY)
    both = np.concatenate([left, _paper(len(left), 6), right], axis=1)
    whole = _explained(both, heat, outline=lesion is not None, phantom=phantom)
    return png_bytes(whole, comment=PHANTOM_MARK if phantom else "")


def marked_overlay(
    image: NDArray[np.floating],
    heat: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_] | None = None,
    phantom: bool = False,
) -> Pixels:
    """Return the overlay (H + strip, at least W, 3) at the image's own resolution, the strip below it.

    Arguments as of `panel_png`. A pixel of the image keeps its row and column: what is added lies below and,
    under narrow images, right of it. Raises `InvalidInputError`.
    """
    drawn, lesion = overlay_rgb(image, heat), _lesion(mask, heat)
    if lesion is not None:
        drawn = outlined(drawn, lesion)
    return _explained(drawn, heat, outline=lesion is not None, phantom=phantom)


def _lesion(mask: NDArray[np.bool_] | None, heat: NDArray[np.floating]) -> NDArray[np.bool_] | None:
    """Return the lesion's mask, None where nothing is outlined. Raises `InvalidInputError`."""
    if mask is None or not mask.any():
        return None
    check_mask(mask, heat.shape)
    return mask


def _explained(pixels: Pixels, heat: NDArray[np.floating], *, outline: bool, phantom: bool) -> Pixels:
    """Return `pixels` with the strip below that says what is to be seen."""
    below = strip(pixels.shape[1], outline=outline, dark=bool(heat.max() < DARK), phantom=phantom)
    return np.concatenate([_widened(pixels, below.shape[1]), below])


def strip(width: int, *, outline: bool, dark: bool, phantom: bool) -> Pixels:
    """Return the rows below an image: scale, legend and marks, in as many lines as `width` columns need.

    Letters grow with the width, so that they can still be read when a mammogram is shown whole.

    >>> strip(640, outline=True, dark=False, phantom=True).shape[1], strip(64, outline=False, dark=True,
    ...     phantom=False).shape[1]
    (640, 320)
    """
    width = max(width, NARROWEST)
    height = max(18, round(width / 36))
    legend = [_scale(height)]
    if outline:
        legend.append(_outline_sample(height))
    if dark:
        legend += [_written(text, height) for text in (Lettering.DARK, Lettering.DARK_ZH)]
    marks = [_written(Lettering.PHANTOM, height, ink=PHANTOM_INK)] if phantom else []
    marks += [_written(text, height) for text in (Lettering.RESEARCH, Lettering.RESEARCH_ZH)]
    return np.concatenate([_flowed(legend, width), _flowed(marks, width)])


def outlined(pixels: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """Return `pixels` with a thin line around `mask` (H, W), just outside of it, so that no lesion is hidden.

    The line is one pixel wide, more in images of over 1500.
    """
    wide = mask
    for _ in range(max(1, round(max(mask.shape) / 1000))):
        padded = np.pad(wide, 1)
        wide = wide | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    drawn = pixels.copy()
    drawn[wide & ~mask] = LINE
    return drawn


def resized(pixels: Pixels, *, order: int) -> Pixels:
    """Return `pixels` with a longer side between `SHORTEST` and `LONGEST`; `order` 1 linear, 2 cubic."""
    from PIL import Image

    longer = max(pixels.shape[:2])
    factor = min(1.0, LONGEST / longer) if longer >= SHORTEST else float(-(-SHORTEST // longer))
    if factor == 1:
        return pixels
    size = max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor))
    how = Image.Resampling.BICUBIC if order == 2 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize(size, how))


def check_mask(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> None:
    """Raise `InvalidInputError` unless `mask` has the image's shape."""
    if mask.shape != shape:
        raise InvalidInputError(
            f"mask has shape {mask.shape}, heat {shape}", remedy="give both as (H, W)", field="mask"
        )


def _grey(mask: NDArray[np.bool_]) -> Pixels:
    return np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)


def _paper(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), PAPER, dtype=np.uint8)


def _written(text: Lettering, height: int, *, ink: tuple[int, int, int] = INK) -> Pixels:
    """Return `text` in `ink` on paper."""
    share = lettered(text, height=height)[..., None]
    mixed: Pixels = np.rint(np.array(PAPER) + share * (np.array(ink) - np.array(PAPER))).astype(np.uint8)
    return mixed


def _scale(height: int) -> Pixels:
    """Return the scale of heat as it looks over middle grey, between 0 and 1."""
    ramp = np.repeat(np.linspace(0, 1, height * 5)[None], height // 2, axis=0)
    bar = overlay_rgb(np.full(ramp.shape, 0.5), ramp)
    tile = _paper(height, bar.shape[1])
    top = (height - len(bar)) // 2
    tile[top : top + len(bar)] = bar
    low, high = _written(Lettering.LOW, height), _written(Lettering.HIGH, height)
    gap = _paper(height, height // 4)
    return np.concatenate([low, gap, tile, gap, high], axis=1)


def _outline_sample(height: int) -> Pixels:
    line = _paper(height, height)
    half = height // 18
    line[height // 2 - half : height // 2 + half] = LINE
    return np.concatenate([line, _paper(height, 4), _written(Lettering.OUTLINE, height)], axis=1)


def _titled(pixels: Pixels, title: Lettering) -> Pixels:
    height = max(18, round(pixels.shape[1] / 22))
    above = _paper(height, pixels.shape[1])
    words = _written(title, height)[:, : pixels.shape[1] - 4]
    above[:, 4 : 4 + words.shape[1]] = words
    return np.concatenate([above, pixels])


def _widened(pixels: Pixels, width: int) -> Pixels:
    """Return `pixels` with columns of paper at the right up to `width`: not black, which a scan may be."""
    return np.concatenate([pixels, _paper(len(pixels), max(0, width - pixels.shape[1]))], axis=1)


def _flowed(tiles: Iterable[Pixels], width: int) -> Pixels:
    """Return `tiles` of one height in lines of `width` columns, a tile that is wider on a line of its own."""
    lines: list[Pixels] = []
    at = width
    for tile in tiles:
        gap = len(tile) // 2
        if at + gap + tile.shape[1] > width:
            lines.append(_paper(len(tile), width))
            at = 0
        room = lines[-1][:, at + gap : at + gap + tile.shape[1]]
        room[:] = tile[:, : room.shape[1]]
        at += gap + tile.shape[1]
    return np.concatenate(lines)
