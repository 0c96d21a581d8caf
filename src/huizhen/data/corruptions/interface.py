"""What a disturbance is: five fixed values of one stated parameter, and the setting that an image stands in.

Lengths are shares of the image's longer side, grey values shares of its display range. A kind draws the same
numbers at every step, so that the steps of one image are the same disturbance, only stronger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from huizhen.core.study_robustness import Disturbance
from huizhen.errors import InvalidInputError

__all__ = ["SCALES", "Image", "Scale", "Setting", "checked_image"]

Image = NDArray[np.float32]
"""(C, H, W) in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The `parameter` of a kind (a word key), its `values` at steps 1 to 5; `still` leaves all as it is."""

    parameter: str
    values: tuple[float, float, float, float, float]
    still: float = 0.0

    def at(self, step: int) -> float:
        """Return the parameter at a step from 0 (undisturbed) to 5. Raises `InvalidInputError` on another.

        >>> SCALES[Disturbance.NOISE].at(0), SCALES[Disturbance.NOISE].at(5)
        (0.0, 0.32)
        """
        if not 0 <= step <= len(self.values):
            raise InvalidInputError(f"there is no step {step}", remedy="use 0 to 5", field="step")
        return self.values[step - 1] if step else self.still


SCALES: Final[Mapping[Disturbance, Scale]] = {
    Disturbance.NOISE: Scale(parameter="noise_sd", values=(0.02, 0.04, 0.08, 0.16, 0.32)),
    Disturbance.BLUR: Scale(parameter="blur_sd", values=(0.0025, 0.005, 0.01, 0.02, 0.04)),
    Disturbance.MOTION: Scale(parameter="motion_length", values=(0.01, 0.02, 0.04, 0.08, 0.16)),
    Disturbance.CONTRAST: Scale(parameter="gamma", values=(1.15, 1.35, 1.6, 2.0, 2.8), still=1.0),
    Disturbance.DOWNSAMPLING: Scale(parameter="factor", values=(1.5, 2.0, 3.0, 4.0, 6.0), still=1.0),
    Disturbance.SCANNER: Scale(parameter="share_of_way", values=(0.2, 0.4, 0.6, 0.8, 1.0)),
    Disturbance.MISSING: Scale(parameter="share_missing", values=(0.05, 0.1, 0.2, 0.4, 0.6)),
    Disturbance.MEASUREMENT_ERROR: Scale(parameter="error_sd", values=(0.1, 0.25, 0.5, 1.0, 2.0)),
}
"""The steps of each kind, the same in every study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How an image was made: its DICOM Modality where its name tells it, and another scanner's grey values.

    `side`: pixels that a length of 1 covers (the longer side). `transfer` (256,) in [0, 1]: what the other
    scanner shows at each of 256 grey levels; None where there is no other one.
    """

    side: int
    imaging: str | None = None
    transfer: NDArray[np.float32] | None = None


def checked_image(pixels: Image) -> Image:
    """Return `pixels` as float32. Raises `InvalidInputError` unless they are finite (C, H, W) in [0, 1]."""
    found = np.asarray(pixels, dtype=np.float32)
    if found.ndim != 3 or not found.size or not np.isfinite(found).all():
        raise InvalidInputError(f"pixels of shape {found.shape} are no finite image", remedy="give (C, H, W)")
    if found.min() < 0 or found.max() > 1:
        raise InvalidInputError("grey values leave [0, 1]", remedy="scale them to the display range")
    return found
