"""How a folder of images is laid out: which files are images, which are masks, who belongs to which class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from huizhen.data.readers.image_files import IMAGE_SUFFIXES
from huizhen.data.readers.labelled_files import Pairs, own_label

__all__ = ["ImageIndex", "by_class", "mask_owner", "without_suffix"]

_MASK = re.compile(r"(?P<owner>.+)_mask(_[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageIndex:
    """The files of a folder by role: `images`, `masks` by the image they belong to, `others`."""

    images: tuple[str, ...]
    masks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, files: Iterable[str]) -> ImageIndex:
        """Sort files into roles by their names: "x_mask.png" and "x_mask_1.png" are masks of "x"."""
        images: list[str] = []
        others: list[str] = []
        masks: dict[str, list[str]] = {}
        for file in files:
            owner = mask_owner(file)
            if PurePosixPath(file).suffix.lower() not in IMAGE_SUFFIXES:
                others.append(file)
            elif owner is not None:
                masks.setdefault(owner, []).append(file)
            else:
                images.append(file)
        return cls(
            images=tuple(images),
            masks={key: tuple(found) for key, found in masks.items()},
            others=tuple(others),
        )


def mask_owner(file: str) -> str | None:
    """Return the image, without suffix, that a mask file belongs to, or None if it is no mask.

    >>> mask_owner("benign/benign (1)_mask_1.png"), mask_owner("benign/benign (1).png")
    ('benign/benign (1)', None)
    """
    found = _MASK.fullmatch(without_suffix(file))
    return found["owner"] if found else None


def without_suffix(file: str) -> str:
    """Return a relative path without its suffix.

    >>> without_suffix("a/b.c.png")
    'a/b.c'
    """
    return str(PurePosixPath(file).with_suffix(""))


def by_class(images: Sequence[str]) -> Pairs:
    """Return each image with the label that its folders give: class/image, or class/patient/image.

    The first folder is the outcome. The patient is the second folder if there is one, else the path without
    suffix (so that "benign/1" and "malignant/1" are two patients). An image outside any folder has no
    outcome.

    >>> pairs = by_class(["benign/1.png", "benign/p7/a.png", "x.png"])
    >>> [(label.patient, label.outcome) for _, label in pairs]
    [('benign/1', 'benign'), ('p7', 'benign'), ('x', '')]
    """
    pairs: Pairs = []
    for position, file in enumerate(images):
        parts = PurePosixPath(file).parts
        patient = parts[1] if len(parts) > 2 else without_suffix(file)
        outcome = parts[0] if len(parts) > 1 else ""
        pairs.append((file, own_label(file, position, patient=patient, outcome=outcome)))
    return pairs
