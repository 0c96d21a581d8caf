"""What may be done to a modality's images before they are scaled: the steps of [[modality]] harmonise."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ImageStep"]


class ImageStep(StrEnum):
    """One step; each goes by the image alone, so that a new hospital's images get the same."""

    INSIDE_BORDERS = "inside-borders"
    """Black borders are cut off."""
    CENTRE_SQUARE = "centre-square"
    """The middle square is kept, so that the aspect tells no site."""
    WITHOUT_OVERLAYS = "without-overlays"
    """Bright strokes (writing, callipers) take the level around them."""
    FLAT_GAIN = "flat-gain"
    """Ultrasound: every depth has the image's mean."""
    BIAS_FIELD = "bias-field"
    """MR: the coil's shading is divided out (N4)."""
    SPACING = "spacing"
    """Images are resampled to the modality's spacing_mm."""
    MAMMOGRAM = "mammogram"
    """All but the breast is 0, and grey levels are windowed by its percentiles."""
    GREY_LEVELS = "grey-levels"
    """Deciles of the image are spread evenly."""
