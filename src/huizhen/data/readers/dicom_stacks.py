"""From the planes of one study to the slices of one acquisition, each with its contrast phases in order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from huizhen.data.readers.dicom_headers import Header
from huizhen.data.readers.dicom_planes import Plane

__all__ = ["Slot", "Stack", "best_stack"]

SAME_SLICE_MM = 0.1
"""How far apart neighbouring planes may lie and still be phases of one slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One plane and the file that it is in."""

    header: Header
    plane: Plane


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The slices of an acquisition from foot to head (or along the normal), each with all its phases."""

    slices: tuple[tuple[Slot, ...], ...]

    @property
    def phases(self) -> int:
        """How many phases each slice has."""
        return len(self.slices[0])


def best_stack(headers: Iterable[Header]) -> tuple[Stack, tuple[Header, ...]] | None:
    """Return the acquisition of a study that is taken, and the first file of each series left out.

    Planes of equal geometry are one acquisition; at each position, they are its phases. Phases are ordered
    by the time at which their series began, then by series number, Temporal Position, acquisition time,
    trigger time, acquisition number and instance number. Positions that lack a phase are dropped. Of several
    acquisitions the one with the most phases is taken, then the one with the most slices; diffusion images
    only if there is nothing else. None if there is no plane.
    """
    groups: dict[tuple[object, ...], list[Slot]] = {}
    for header in headers:
        for plane in header.planes:
            groups.setdefault(plane.geometry, []).append(Slot(header=header, plane=plane))
    if not groups:
        return None
    stacks = [(_is_diffusion(slots), _stack(slots)) for slots in groups.values()]
    _, best = max(stacks, key=lambda one: (not one[0], one[1].phases, len(one[1].slices)))
    used = {slot.header.series for phases in best.slices for slot in phases}
    others = {slot.header.series: slot.header for slots in groups.values() for slot in reversed(slots)}
    return best, tuple(header for series, header in others.items() if series not in used)


def _is_diffusion(slots: Sequence[Slot]) -> bool:
    """Tell whether an acquisition is diffusion-weighted, whose b-values would look like phases."""
    *_, kind, weighted = slots[0].plane.geometry
    return bool(weighted) or any(word in str(kind).upper() for word in ("DIFFUSION", "ADC", "TRACEW"))


def _stack(slots: Sequence[Slot]) -> Stack:
    """Return planes of one geometry as slices with phases; those without the usual number are dropped."""
    begun = _series_begin(slots)
    by_slice = [sorted(group, key=lambda slot: _order(slot, begun)) for group in _by_position(slots)]
    counts = Counter(len(group) for group in by_slice)
    usual = max(counts, key=lambda phases: (counts[phases], phases))
    return Stack(slices=tuple(tuple(group) for group in by_slice if len(group) == usual))


def _series_begin(slots: Sequence[Slot]) -> dict[str, float]:
    """Return the earliest acquisition time of each series, 0 where it is unknown."""
    begun: dict[str, float] = {}
    for slot in slots:
        time = slot.plane.time_s
        if not math.isnan(time):
            begun[slot.header.series] = min(time, begun.get(slot.header.series, math.inf))
    return begun


def _order(slot: Slot, begun: dict[str, float]) -> tuple[float | str, ...]:
    """Return the key that the phases of one slice are ordered by."""
    header, plane = slot.header, slot.plane
    return (
        begun.get(header.series, 0.0),
        header.series_number,
        header.series,
        plane.temporal,
        0.0 if math.isnan(plane.time_s) else plane.time_s,
        plane.trigger_ms,
        plane.acquisition,
        plane.instance,
        header.file,
        plane.frame or 0,
    )


def _by_position(slots: Sequence[Slot]) -> Iterator[list[Slot]]:
    """Yield planes by position: a gap of more than `SAME_SLICE_MM` begins the next slice."""
    placed = sorted(_placed(slots), key=lambda one: one[0])
    group: list[Slot] = []
    last = -math.inf
    for position, slot in placed:
        if group and position - last > SAME_SLICE_MM:
            yield group
            group = []
        group.append(slot)
        last = position
    yield group


def _placed(slots: Sequence[Slot]) -> Iterator[tuple[float, Slot]]:
    """Yield each plane with its position, or with its rank in its series and phase where none is known."""
    if all(slot.plane.position_mm is not None for slot in slots):
        yield from ((float(slot.plane.position_mm or 0.0), slot) for slot in slots)
        return
    ranks: Counter[tuple[object, ...]] = Counter()
    for slot in sorted(slots, key=lambda slot: (slot.plane.instance, slot.header.file)):
        phase = (slot.header.series, slot.plane.temporal, slot.plane.acquisition)
        yield float(ranks[phase]), slot
        ranks[phase] += 1
