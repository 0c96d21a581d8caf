"""From a patient's latent truth to pictures: one breast, drawn by every modality that is present."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PngImage

from huizhen.data.phantom import mammogram, mri, ultrasound
from huizhen.data.phantom.breast import Traits, grow
from huizhen.data.phantom.latent import Latent
from huizhen.data.phantom.picture import Picture
from huizhen.data.phantom.spec import MODALITIES, Hospital

_DRAWERS = {"MG": mammogram.mammograms, "MRI": mri.slices, "US": ultrasound.frames}


def render(
    latent: Latent, hospital: Hospital, streams: Callable[[str], np.random.Generator]
) -> dict[str, list[Picture]]:
    """Return modality -> pictures of one patient (`latent` with n = 1), for the modalities present.

    `streams` gives the patient's generator of a name; every modality has its own, so that its pictures don't
    depend on which others are present.
    """
    traits = Traits.of(latent)
    breast = grow(traits, streams("breast"))
    return {
        modality: _DRAWERS[modality](breast, traits, hospital.scanners[modality], streams(modality))
        for k, modality in enumerate(MODALITIES)
        if latent.present[0, k]
    }


def mask_png(mask: NDArray[np.bool_]) -> bytes:
    """Return a mask (rows, columns) as an 8-bit grey PNG: 255 in the lesion, 0 elsewhere."""
    buffer = BytesIO()
    PngImage.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()
