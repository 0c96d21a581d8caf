"""Where a device writes text by its layout: outside ultrasound's regions, and in known banners.

Sources: DICOM PS3.3 C.8.5.5 (US Region Calibration); `tables/banners.toml` names the source of each banner.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field
from pydicom.dataset import Dataset

from huizhen.data.deidentify.elements import texts_of
from huizhen.data.deidentify.regions import Region

__all__ = ["Banner", "banners", "layout_of", "outside_regions"]

_MANUFACTURER, _MODEL, _MODALITY = 0x00080070, 0x00081090, 0x00080060
_TISSUE = frozenset({1, 2, 3, 4})
"""Region Data Type (0018,6014): 1 tissue, 2 colour flow, 3 and 4 spectral Doppler; others are scales."""

_LEAST_SHARE = 0.2
"""A region of less of the image isn't taken for its picture: its header may be of another image."""


class Banner(BaseModel):
    """A rectangle in which a device writes who the patient is: rows and columns from the upper left corner.

    `manufacturer` and `model` are looked for within what the file says, in small letters.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    modality: str
    manufacturer: str
    model: str
    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    box: tuple[int, int, int, int]
    """Top, bottom, left, right; a right of 0 is the image's own edge."""
    source: str = Field(min_length=10)


@cache
def banners() -> tuple[Banner, ...]:
    """Return the known banners."""
    text = (files("huizhen.data.deidentify") / "tables" / "banners.toml").read_text(encoding="utf-8")
    return tuple(Banner.model_validate(one) for one in tomllib.loads(text)["banner"])


def layout_of(dataset: Dataset) -> tuple[Region, ...]:
    """Return what is to be blackened by a device's layout, whatever stands there; nothing if unknown."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    found = [*outside_regions(dataset), *_known(dataset, rows, columns)]
    return tuple(one for region in found if (one := region.within(rows, columns)).area)


def outside_regions(dataset: Dataset) -> tuple[Region, ...]:
    """Return four bands around all that Sequence of Ultrasound Regions (0018,6011) describes.

    Nothing where there is none, a region reaches beyond the image (it was scaled since), or no region is a
    picture of a fifth of the image or more: such a header doesn't describe this image.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    described = _described(dataset)
    if not described or any(one.within(rows, columns) != one or not one.area for one, _ in described):
        return ()
    pictures = [one for one, kind in described if kind in _TISSUE]
    if not pictures or max(one.area for one in pictures) < _LEAST_SHARE * rows * columns:
        return ()
    top, bottom = min(one.top for one, _ in described), max(one.bottom for one, _ in described)
    left, right = min(one.left for one, _ in described), max(one.right for one, _ in described)
    bands = (
        Region(top=0, bottom=top, left=0, right=columns),
        Region(top=bottom, bottom=rows, left=0, right=columns),
        Region(top=top, bottom=bottom, left=0, right=left),
        Region(top=top, bottom=bottom, left=right, right=columns),
    )
    return tuple(band for band in bands if band.area)


def _described(dataset: Dataset) -> list[tuple[Region, int]]:
    """Return the regions of a header with their types; none where one of them is damaged."""
    found: list[tuple[Region, int]] = []
    for item in dataset.get("SequenceOfUltrasoundRegions", None) or ():
        try:
            region = Region(
                top=int(item.RegionLocationMinY0),
                bottom=int(item.RegionLocationMaxY1) + 1,
                left=int(item.RegionLocationMinX0),
                right=int(item.RegionLocationMaxX1) + 1,
            )
            found.append((region, int(item.get("RegionDataType", 0) or 0)))
        except (AttributeError, TypeError, ValueError):
            return []
    return found


def _known(dataset: Dataset, rows: int, columns: int) -> Sequence[Region]:
    """Return the banners of the device that a file names."""
    said = [_text(dataset, tag) for tag in (_MODALITY, _MANUFACTURER, _MODEL)]
    return [
        Region(top=one.box[0], bottom=one.box[1], left=one.box[2], right=one.box[3] or columns)
        for one in banners()
        if (one.rows, one.columns) == (rows, columns)
        and one.modality == said[0].upper()
        and one.manufacturer in said[1].lower()
        and one.model in said[2].lower()
    ]


def _text(dataset: Dataset, tag: int) -> str:
    return "".join(texts_of(dataset, tag)) if tag in dataset else ""
