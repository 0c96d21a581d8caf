"""Rectangles of an image, and what an inspector says of one: where text stands, and where it can't tell.

>>> Region(top=0, bottom=10, left=5, right=25).area
200
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from huizhen.errors import InvalidInputError

__all__ = ["Inspection", "Region", "merged", "region_of"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Region:
    """A rectangle to blacken in all frames, without its last row (`bottom`) and last column (`right`)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows in it."""
        return max(0, self.bottom - self.top)

    @property
    def width(self) -> int:
        """Columns in it."""
        return max(0, self.right - self.left)

    @property
    def area(self) -> int:
        """Pixels in it."""
        return self.height * self.width

    def to_json(self) -> list[int]:
        """Return top, bottom, left, right."""
        return [self.top, self.bottom, self.left, self.right]

    def within(self, rows: int, columns: int) -> Region:
        """Return what of it lies in an image of that size."""
        return Region(
            top=min(max(self.top, 0), rows),
            bottom=min(max(self.bottom, 0), rows),
            left=min(max(self.left, 0), columns),
            right=min(max(self.right, 0), columns),
        )

    def grown(self, by: int) -> Region:
        """Return it with a margin of `by` pixels on every side; it may reach beyond the image."""
        return Region(top=self.top - by, bottom=self.bottom + by, left=self.left - by, right=self.right + by)

    def holds(self, other: Region) -> bool:
        """Tell whether `other` lies wholly in it."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and other.bottom <= self.bottom
            and other.right <= self.right
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What an inspector found: whether it is `sure`, and the regions with text, which may be none.

    `how` says who looked: "ocr" or "person". The regions of an unsure one are a proposal to a person.
    """

    sure: bool
    regions: tuple[Region, ...] = ()
    how: str = "ocr"


def region_of(value: object) -> Region:
    """Return the region that `Region.to_json` wrote. Raises `InvalidInputError` on anything else.

    >>> region_of([0, 10, 5, 25]).width
    20
    """
    if (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == 4
        and all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 1 << 20 for one in value)
    ):
        top, bottom, left, right = value
        if top < bottom and left < right:
            return Region(top=top, bottom=bottom, left=left, right=right)
    raise InvalidInputError(
        "is no rectangle", remedy="give top, bottom, left, right as whole numbers", field="boxes"
    )


def merged(regions: Iterable[Region]) -> tuple[Region, ...]:
    """Return regions without those that lie in another one, sorted.

    >>> a, b = Region(top=0, bottom=9, left=0, right=9), Region(top=2, bottom=5, left=2, right=5)
    >>> merged([b, a, a]) == (a,)
    True
    """
    kept: list[Region] = []
    for one in sorted(set(regions), key=lambda each: (-each.area, each)):
        if one.area and not any(other.holds(one) for other in kept):
            kept.append(one)
    return tuple(sorted(kept))
