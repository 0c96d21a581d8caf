"""Which members of a volume, clip or dynamic series go into a bag."""

from __future__ import annotations

from typing import Literal

__all__ = ["Bag", "chosen_phases", "chosen_slices", "evenly"]

Bag = Literal["image", "frames", "slices"]


def evenly(count: int, most: int) -> tuple[int, ...]:
    """Return up to `most` of the indices 0 to `count` - 1: the middles of as many equal parts.

    The ends of a volume mostly show nothing, so they are not taken first.

    >>> evenly(10, 1), evenly(10, 4), evenly(3, 8)
    ((5,), (1, 3, 6, 8), (0, 1, 2))
    """
    if count <= most:
        return tuple(range(count))
    return tuple((2 * i + 1) * count // (2 * most) for i in range(most))


def chosen_slices(count: int, bag: Bag, most: int) -> tuple[int, ...]:
    """Return the slices or frames of one object that are taken: the middle one, or up to `most` evenly.

    >>> chosen_slices(9, "image", 4), chosen_slices(9, "slices", 4)
    ((4,), (1, 3, 5, 7))
    """
    return evenly(count, 1 if bag == "image" else most)


def chosen_phases(count: int, channels: int) -> tuple[int, ...]:
    """Return which of `count` phases of a contrast series fill `channels` channels, in order of time.

    Three channels: before contrast, early (about a quarter in, where lesions take up fastest), last. Two:
    before and early. One: early, because before contrast a lesion hardly shows. With fewer phases than
    channels all are taken and the last one fills the rest.

    >>> chosen_phases(8, 3), chosen_phases(5, 3), chosen_phases(2, 3), chosen_phases(5, 1)
    ((0, 2, 7), (0, 1, 4), (0, 1, 1), (1,))
    """
    if count <= channels:
        return tuple(min(i, count - 1) for i in range(channels))
    early = max(1, (count + 2) // 4)
    return {1: (early,), 2: (0, early)}.get(channels, (0, early, count - 1))
