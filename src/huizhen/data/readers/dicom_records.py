"""Which images are made of a patient's DICOM files: views, frames of clips, slices with their phases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from huizhen.data.readers.bags import Bag, chosen_phases, chosen_slices
from huizhen.data.readers.dicom_headers import Header
from huizhen.data.readers.dicom_stacks import best_stack

__all__ = ["Drawn", "group_studies", "images_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One image: the files and frames it is made of, one or one a channel, and its view."""

    planes: tuple[tuple[Header, int | None], ...]
    view: str


def group_studies(headers: Iterable[Header]) -> dict[tuple[str, str], list[Header]]:
    """Return the files of each patient's study; a study without an identifier is one a patient."""
    studies: dict[tuple[str, str], list[Header]] = {}
    for header in headers:
        studies.setdefault((header.patient, header.study), []).append(header)
    return studies


def images_of(
    headers: Iterable[Header], *, bag: Bag, most: int, channels: int
) -> tuple[tuple[Drawn, ...], tuple[Header, ...]]:
    """Return the images of one study, and files that are not used: raw ones, the first of each other series.

    Slices of volumes give the middle slice or up to `most`, with contrast phases as channels; clips and other
    multi-frame objects their middle frame or up to `most` frames; other files one image each. Mammograms "for
    processing" are left aside where there are any for presentation.
    """
    study = list(headers)
    flat, raw = _without_raw([header for header in study if not header.planes])
    drawn = [image for header in flat for image in _frames(header, bag, most)]
    best = best_stack(header for header in study if header.planes)
    if best is None:
        return tuple(drawn), raw
    stack, unused = best
    for place in chosen_slices(len(stack.slices), bag, most):
        slots = stack.slices[place]
        phases = chosen_phases(len(slots), channels) if len(slots) > 1 else (0,)
        planes = tuple((slots[phase].header, slots[phase].plane.frame) for phase in phases)
        drawn.append(Drawn(planes=planes, view=f"slice {place + 1}"))
    return tuple(drawn), (*raw, *unused)


def _without_raw(headers: list[Header]) -> tuple[list[Header], tuple[Header, ...]]:
    """Return the images for presentation and those for processing; the latter are all there is, or unused."""
    raw = tuple(header for header in headers if header.is_raw)
    shown = [header for header in headers if not header.is_raw]
    return (shown, raw) if shown else (headers, ())


def _frames(header: Header, bag: Bag, most: int) -> Iterator[Drawn]:
    """Yield the images of a file that is no slice of a volume."""
    if header.frames == 1:
        yield Drawn(planes=((header, None),), view=header.view)
        return
    for frame in chosen_slices(header.frames, bag, most):
        view = " ".join(part for part in (header.view, f"frame {frame + 1}") if part)
        yield Drawn(planes=((header, frame),), view=view)
