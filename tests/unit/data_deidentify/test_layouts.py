"""Where devices write text by their layout: outside ultrasound's regions, and in known banners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from huizhen.data.deidentify.banners import banners, layout_of, outside_regions
from huizhen.data.deidentify.regions import Region, merged, region_of
from huizhen.errors import InvalidInputError

Make = Callable[..., Dataset]


def scan(make: Make, *boxes: tuple[int, int, int, int], kind: int = 1) -> Dataset:
    """Return a 600 x 800 ultrasound image with regions (left, top, last column, last row)."""
    data = make()
    data.Rows, data.Columns, data.Modality = 600, 800, "US"
    items = []
    for left, top, right, bottom in boxes:
        item = Dataset()
        item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
        item.RegionDataType = kind
        items.append(item)
    if items:
        data.SequenceOfUltrasoundRegions = Sequence(items)
    return data


def area(regions: tuple[Region, ...]) -> int:
    return sum(one.area for one in regions)


def test_all_around_the_regions_goes(make: Make) -> None:
    bands = outside_regions(scan(make, (100, 60, 699, 559)))
    assert area(bands) == 600 * 800 - 600 * 500
    assert not any(one.top < 300 < one.bottom and one.left < 400 < one.right for one in bands)
    assert any(one.top == 0 and one.bottom == 60 and one.right == 800 for one in bands)


def test_two_regions_keep_what_lies_between(make: Make) -> None:
    bands = outside_regions(scan(make, (50, 60, 399, 559), (420, 60, 749, 559)))
    assert area(bands) == 600 * 800 - 700 * 500


@pytest.mark.parametrize(
    ("boxes", "kind"),
    [
        ((), 1),
        (((0, 0, 799, 599),), 1),
        (((100, 60, 1200, 559),), 1),
        (((10, 10, 60, 60),), 1),
        (((100, 60, 699, 559),), 10),
        (((300, 60, 200, 559),), 1),
    ],
    ids=["none", "all", "beyond", "tiny", "no-picture", "upside-down"],
)
def test_regions_that_tell_nothing(
    make: Make, boxes: tuple[tuple[int, int, int, int], ...], kind: int
) -> None:
    assert outside_regions(scan(make, *boxes, kind=kind)) == ()


def test_a_damaged_region_tells_nothing(make: Make) -> None:
    data = scan(make, (100, 60, 699, 559))
    del data.SequenceOfUltrasoundRegions[0].RegionLocationMinX0
    assert outside_regions(data) == ()


def test_a_known_banner_goes_and_scaled_it_does_not(make: Make) -> None:
    data = scan(make)
    data.Manufacturer, data.ManufacturerModelName = "Philips Medical Systems", "iU22"
    assert layout_of(data) == (Region(top=0, bottom=59, left=0, right=800),)
    data.Rows = 601
    assert layout_of(data) == ()
    data.Rows, data.Modality = 600, "MR"
    assert layout_of(data) == ()


def test_every_banner_names_its_source() -> None:
    assert len(banners()) >= 8
    for one in banners():
        assert one.source.startswith(("CTP, ", "seen: "))
        top, bottom, left, right = one.box
        assert 0 <= top < bottom <= one.rows
        assert 0 <= left < (right or one.columns) <= one.columns


@pytest.mark.realdata
def test_a_sample_with_a_name_in_its_banner(samples: list[Path]) -> None:
    (path,) = [one for one in samples if "GREYSCALE" in one.name]
    regions = layout_of(pydicom.dcmread(path, stop_before_pixels=True))
    assert any(one.holds(Region(top=3, bottom=23, left=7, right=1013)) for one in regions)


@pytest.mark.parametrize("value", [None, "0,1,2,3", [1, 2, 3], [0, 5, 9, 3], [0, -1, 0, 3], [0, 1.5, 0, 3]])
def test_what_is_no_rectangle(value: object) -> None:
    with pytest.raises(InvalidInputError):
        region_of(value)


def test_merged_leaves_out_what_lies_within() -> None:
    one, two = Region(top=0, bottom=9, left=0, right=9), Region(top=8, bottom=12, left=0, right=9)
    assert merged([two, one, one, Region(top=1, bottom=2, left=1, right=2)]) == (one, two)
    assert one.grown(2).within(10, 10) == Region(top=0, bottom=10, left=0, right=10)
    assert region_of(one.to_json()) == one
