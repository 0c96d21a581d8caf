"""A picture shown to a finder of text at the scales at which letters can be found.

A small picture is enlarged. One that is larger than a finder takes at once is shown whole, reduced, and in
tiles that overlap, so that no line is cut; plain tiles are passed over. Tiles are of the picture reduced to
`FINEST` pixels: letters of a mammogram of 4,664 rows need 14 pixels of height to keep 8.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from huizhen.data.deidentify.regions import Region
from huizhen.data.deidentify.text_finders import Found, TextFinder

__all__ = ["FINEST", "found_at_scales", "tiles_of"]

Picture = NDArray[np.uint8]

_WHOLE = 1600
"""Pixels of the longer side that a finder is shown at once."""
FINEST = 2600
"""Pixels of the longer side at which tiles are cut."""

_TILE, _OVERLAP = 1200, 200
_SMALL = 1000
"""Pictures whose longer side is below it are enlarged to it, up to `_MOST_SCALE` times."""
_MOST_SCALE = 4.0
_PLAIN = 6
"""Grey values between the darkest and brightest of a tile in which nothing stands."""


def found_at_scales(finder: TextFinder, picture: Picture, *, fine: bool = True) -> Iterator[Found]:
    """Yield what a finder finds in a picture, in its own rows and columns; without tiles unless `fine`."""
    rows, columns = picture.shape[:2]
    if min(rows, columns) < 4 or int(picture.max()) - int(picture.min()) < 1:
        return
    longest = max(rows, columns)
    if longest <= _WHOLE:
        yield from _found(finder, picture, scale=min(max(1.0, _SMALL / longest), _MOST_SCALE))
        return
    yield from _found(finder, picture, scale=_WHOLE / longest)
    if fine:
        yield from _found_in_tiles(finder, picture, scale=min(1.0, FINEST / longest))


def _found_in_tiles(finder: TextFinder, picture: Picture, *, scale: float) -> Iterator[Found]:
    """Yield finds in tiles of a picture at a scale."""
    shown = picture if scale == 1 else _resized(picture, scale)
    for tile in tiles_of(*shown.shape[:2]):
        part = shown[tile.top : tile.bottom, tile.left : tile.right]
        if int(part.max()) - int(part.min()) > _PLAIN:
            yield from (_moved(found, tile, shown, picture) for found in finder.find(part))


def tiles_of(rows: int, columns: int) -> list[Region]:
    """Return tiles that cover an image, each overlapping the next.

    >>> [(one.top, one.left) for one in tiles_of(1200, 2000)]
    [(0, 0), (0, 800)]
    """
    return [
        Region(top=top, bottom=min(top + _TILE, rows), left=left, right=min(left + _TILE, columns))
        for top in _starts(rows)
        for left in _starts(columns)
    ]


def _starts(length: int) -> list[int]:
    """Return where tiles begin along a side: evenly, with at least the overlap."""
    if length <= _TILE:
        return [0]
    count = -(-(length - _TILE) // (_TILE - _OVERLAP)) + 1
    return [round(i * (length - _TILE) / (count - 1)) for i in range(count)]


def _found(finder: TextFinder, picture: Picture, *, scale: float) -> Iterator[Found]:
    """Yield finds in a picture shown at another scale."""
    shown = picture if scale == 1 else _resized(picture, scale)
    whole = Region(top=0, bottom=shown.shape[0], left=0, right=shown.shape[1])
    yield from (_moved(found, whole, shown, picture) for found in finder.find(shown))


def _moved(found: Found, tile: Region, shown: Picture, picture: Picture) -> Found:
    """Return a find in a tile of `shown` where it lies in `picture`."""
    down, across = shown.shape[0] / picture.shape[0], shown.shape[1] / picture.shape[1]
    box = found.region
    region = Region(
        top=int((box.top + tile.top) / down),
        bottom=int(np.ceil((box.bottom + tile.top) / down)),
        left=int((box.left + tile.left) / across),
        right=int(np.ceil((box.right + tile.left) / across)),
    )
    return Found(region=region.within(*picture.shape[:2]), score=found.score, text=found.text)


def _resized(picture: Picture, scale: float) -> Picture:
    """Return a picture at another scale: by bicubic interpolation, and by means where it gets smaller."""
    from PIL import Image

    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    way = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(picture).resize(size, way), dtype=np.uint8)
