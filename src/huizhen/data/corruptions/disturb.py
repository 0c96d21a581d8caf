"""One door to all disturbances: by kind and step, the same draws for the same patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from huizhen.core.streams import stream
from huizhen.core.study_robustness import Disturbance
from huizhen.data.corruptions.cells import Row, mismeasured, without_cells
from huizhen.data.corruptions.interface import SCALES, Image, Setting, checked_image
from huizhen.data.corruptions.optics import blurred, downsampled, moved, noisy
from huizhen.data.corruptions.scanner import gamma_changed, rescanned
from huizhen.data.tables import TableEncoding
from huizhen.errors import InvalidInputError

__all__ = ["disturbed_image", "disturbed_row"]

OF_IMAGES: Mapping[Disturbance, Callable[[Image, float, np.random.Generator, Setting], Image]] = {
    Disturbance.NOISE: noisy,
    Disturbance.BLUR: blurred,
    Disturbance.MOTION: moved,
    Disturbance.CONTRAST: gamma_changed,
    Disturbance.DOWNSAMPLING: downsampled,
    Disturbance.SCANNER: rescanned,
}
OF_ROWS: Mapping[Disturbance, Callable[[Row, float, np.random.Generator, TableEncoding], Row]] = {
    Disturbance.MISSING: without_cells,
    Disturbance.MEASUREMENT_ERROR: mismeasured,
}
BY_PATIENT = (Disturbance.CONTRAST,)
"""Kinds whose draw is the patient's, not the image's: a display is set once."""


def disturbed_image(
    pixels: Image, kind: Disturbance, step: int, setting: Setting, *, seed: int, patient: str, image: int = 0
) -> Image:
    """Return `pixels` (C, H, W) in [0, 1] disturbed by `kind` at `step` 0 (as they are) to 5.

    `patient` and `image` (its number in the patient's bag) name the draw under the study's `seed`. Raises
    `InvalidInputError` on a kind for tables, another step, or pixels that are no image.

    >>> grey = np.full((1, 4, 4), 0.5, np.float32)
    >>> same = disturbed_image(grey, Disturbance.NOISE, 0, Setting(side=4), seed=1, patient="P-1")
    >>> same.tolist() == grey.tolist()
    True
    """
    pixels, value = checked_image(pixels), SCALES[kind].at(step)
    if kind not in OF_IMAGES:
        raise InvalidInputError(f"{kind.value} is for tables", remedy="give a kind for images", field="kind")
    if step == 0:
        return pixels.copy()
    rng = stream(seed, "robustness", kind.value, patient, 0 if kind in BY_PATIENT else image)
    return OF_IMAGES[kind](pixels, value, rng, setting)


def disturbed_row(
    row: Row, kind: Disturbance, step: int, encoding: TableEncoding, *, seed: int, patient: str
) -> Row:
    """Return an encoded `row` of `encoding`'s table disturbed by `kind` at `step` 0 to 5, drawn by name.

    Raises `InvalidInputError` on a kind for images, or another step.
    """
    value = SCALES[kind].at(step)
    if kind not in OF_ROWS:
        raise InvalidInputError(f"{kind.value} is for images", remedy="give a kind for tables", field="kind")
    if step == 0:
        return row[0].copy(), row[1].copy()
    rng = stream(seed, "robustness", kind.value, patient, encoding.modality)
    return OF_ROWS[kind](row, value, rng, encoding)
