"""The inspector that looks: by a device's layout, and by OCR at every picture of an image, at several scales.

    inspector = TextInspector(finder=RapidFinder(), policy=policy.pixels)
    inspector.inspect(dataset)           # sure or not, and what to blacken

Each box that the finder reports is one of four things (`judged`): text, which is blackened; a mark that the
policy leaves; a shape that no string can be; or a doubt. Small doubts are blackened too, since little is lost
by it; a large one makes the file wait for a person, with all boxes as a proposal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from huizhen.data.deidentify.banners import layout_of
from huizhen.data.deidentify.elements import texts_of
from huizhen.data.deidentify.frames import passes_of, pictures_of
from huizhen.data.deidentify.policy import PixelPolicy
from huizhen.data.deidentify.regions import Inspection, Region, merged
from huizhen.data.deidentify.scales import found_at_scales
from huizhen.data.deidentify.text_finders import Found, TextFinder

__all__ = ["Judgement", "TextInspector", "judged"]

_MARK = re.compile(
    r"(?:[RL]|RT|LT|LEFT|RIGHT|[RL]?-?(?:CC|MLO|ML|LM|XCC[LM]?|AP|PA|LAT)|AP|PA|LAT|SUP|INF|ANT|POST"
    r"|SUPINE|PRONE|ERECT|PORTABLE|(?:SEMI-?)?UPRIGHT|[HFAPRLSI]|\d{1,2}|\d{1,2}(?:\.\d)? ?[CM]M|左|右)",
    re.IGNORECASE,
)
"""Marks of side, view and position, and figures of a scale: all that `leave_marks` leaves."""

_LARGE_SHARE = 0.01
"""Of the image: a doubtful box above it makes the file wait."""
_SHAPE_HEIGHT = 0.08
"""Of the image's shorter side: signs taller than it that can't be read are shapes of the body."""
_SINGLE = 1.6
"""Times its height: an unread box no longer than that is no name, number or date."""
_LONGER = 1.0
"""Times its height by which a box is made longer at either end."""
_FLAG = 0x00280301


class Judgement(StrEnum):
    """What a box is."""

    TEXT = "text"
    MARK = "mark"
    SHAPE = "shape"
    DOUBT = "doubt"


def judged(found: Found, *, rows: int, columns: int, policy: PixelPolicy) -> Judgement:
    """Return what a found box is, in an image of `rows` times `columns`.

    >>> box = Region(top=0, bottom=20, left=0, right=200)
    >>> find = Found(region=box, score=0.9, text="WEBER 4711")
    >>> judged(find, rows=512, columns=512, policy=PixelPolicy()).value
    'text'
    """
    text = found.text.strip()
    if policy.leave_marks and found.score >= policy.mark_score and _MARK.fullmatch(text):
        return Judgement.MARK
    needed = policy.mark_score if len(text) <= 1 else policy.text_score
    if found.score < needed and _is_shape(found.region, rows, columns):
        return Judgement.SHAPE
    return Judgement.TEXT if text and found.score >= policy.text_score else Judgement.DOUBT


def _is_shape(region: Region, rows: int, columns: int) -> bool:
    """Tell whether a box that couldn't be read is no line of text: too tall, or as short as a single sign."""
    thick, long = sorted((region.height, region.width))
    return thick > _SHAPE_HEIGHT * min(rows, columns) or long < _SINGLE * thick


@dataclass(frozen=True, slots=True, kw_only=True)
class TextInspector:
    """Looks at an image's pixels for text, by layout and by a finder."""

    finder: TextFinder
    policy: PixelPolicy

    def inspect(self, dataset: Dataset) -> Inspection:
        """Return what to blacken, and whether that can be relied on.

        Not sure: a large box may be text or not; more of the image is text than the policy lets pass; or the
        file says that text is burned in and none is found.
        """
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        layout = layout_of(dataset) if self.policy.layouts else ()
        judgements = [
            (found, judged(found, rows=rows, columns=columns, policy=self.policy))
            for found in self._found(dataset)
        ]
        text = [self._box(found, rows, columns) for found, what in judgements if what is Judgement.TEXT]
        doubts = [self._box(found, rows, columns) for found, what in judgements if what is Judgement.DOUBT]
        regions = merged([*layout, *text, *doubts])
        too_much = _share(merged([*text, *doubts]), rows, columns) * 100 > self.policy.most_masked_percent
        large = any(
            one.area > _LARGE_SHARE * rows * columns and not any(each.holds(one) for each in (*layout, *text))
            for one in doubts
        )
        missed = "".join(texts_of(dataset, _FLAG)).strip().upper() == "YES" and not regions
        return Inspection(sure=not (too_much or large or missed), regions=regions)

    def _found(self, dataset: Dataset) -> Iterable[Found]:
        for number, picture in enumerate(pictures_of(dataset)):
            for i, shown in enumerate(passes_of(picture, second=number == 0)):
                yield from found_at_scales(self.finder, shown, fine=i == 0)

    def _box(self, found: Found, rows: int, columns: int) -> Region:
        """Return a box with a margin, and longer by its height at both ends: dim ends of lines go unfound."""
        region = found.region
        thick = min(region.height, region.width)
        across = max(2, round(0.15 * thick))
        along = across + round(_LONGER * thick)
        down, aside = (across, along) if region.width >= region.height else (along, across)
        return Region(
            top=region.top - down,
            bottom=region.bottom + down,
            left=region.left - aside,
            right=region.right + aside,
        ).within(rows, columns)


def _share(regions: tuple[Region, ...], rows: int, columns: int) -> float:
    """Return the share of the image that regions cover together."""
    covered: NDArray[np.bool_] = np.zeros((rows, columns), dtype=np.bool_)
    for one in regions:
        covered[one.top : one.bottom, one.left : one.right] = True
    return float(covered.mean())
