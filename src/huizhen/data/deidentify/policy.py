"""A site's policy of de-identification: which options of the profile it takes, and what it releases.

>>> DeidPolicy(options=("full_dates", "modified_dates"))
Traceback (most recent call last):
pydantic_core._pydantic_core.ValidationError: ...
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from huizhen.core.toml_file import read_toml, refused
from huizhen.data.deidentify.options import Option
from huizhen.errors import PolicyError

__all__ = ["DeidPolicy", "PixelPolicy", "SafePrivate", "load_policy"]

_STRICT = ConfigDict(extra="forbid", frozen=True)


class SafePrivate(BaseModel):
    """A private element that the site knows to be safe: it holds numbers or a code, nobody's text."""

    model_config = _STRICT
    creator: Annotated[str, Field(min_length=1, max_length=64)]
    group: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{3}[13579BDFbdf]$")]
    element: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{2}$")]
    """The last two digits; the first two are the block, which differs between files."""
    vr: Annotated[str, Field(pattern=r"^(CS|DS|IS|FL|FD|SS|US|SL|UL)$")]


class PixelPolicy(BaseModel):
    """What is done about text and faces in pixels, and which of them leave although nobody has looked."""

    model_config = _STRICT
    inspect: Literal["none", "ocr"] = "none"
    """Whether pixels are looked at, by OCR and by the layouts of devices (`pip install 'huizhen[deid]'`)."""
    look_at: Literal["all", "risky"] = "all"
    """All images, or only the risky kinds; OCR takes about a second an image."""
    layouts: bool = True
    """Whether all outside ultrasound's regions, and the known banners of devices, are blackened unread."""
    text_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    """From this sureness of its reading a box counts as text; below it is a doubt."""
    leave_marks: bool = False
    """Whether marks of side, view and position, and figures of a scale stay, where they are read surely."""
    mark_score: Annotated[float, Field(ge=0.5, le=1)] = 0.9
    """How sure a reading must be for a mark to stay."""
    most_masked_percent: Annotated[float, Field(gt=0, le=100)] = 30.0
    """An image of which more is text waits: it is a report or a screen, not a picture."""
    heads: Literal["refuse", "review", "release"] = "review"
    """What becomes of head CT, MR and PET, from which a face can be drawn: nothing here removes it."""
    release: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2,16}$")], ...] = ()
    """Risky modalities (0008,0060) that a person at the site judged free of burned-in text.

    SC stands for secondary captures and screen saves of whatever modality: a captured CT needs SC here.
    """
    trust_flag: bool = False
    """Whether Burned In Annotation (0028,0301) NO is believed for risky modalities."""
    release_annotated: bool = False
    """Whether even images that say Burned In Annotation YES leave."""


class DeidPolicy(BaseModel):
    """The content of `deid.toml`. Nothing is retained that it doesn't name."""

    model_config = _STRICT
    options: tuple[Option, ...] = (
        Option.CLEAN_DESCRIPTORS,
        Option.CLEAN_STRUCTURED_CONTENT,
        Option.CLEAN_GRAPHICS,
        Option.MODIFIED_DATES,
    )
    most_shift_days: Annotated[int, Field(ge=30, le=36500)] = 3650
    """Dates go back by one number of days a patient, drawn between 1 and this by the site's key."""
    most_age_years: Annotated[int, Field(ge=1, le=999)] = 89
    """Ages above it are written as one year more: "90 years" is then 90 or over; 999 leaves all ages."""
    largest_mib: Annotated[int, Field(ge=1, le=1 << 20)] = 4096
    """Larger files are refused."""
    seconds_per_file: Annotated[int, Field(ge=1, le=86400)] = 600
    """A file that takes longer is refused."""
    pixels: PixelPolicy = PixelPolicy()
    private: tuple[SafePrivate, ...] = ()
    """Taken with the option safe_private, beside those of PS3.15 Table E.3.10-1."""

    @model_validator(mode="after")
    def _fits_together(self) -> DeidPolicy:
        if {Option.FULL_DATES, Option.MODIFIED_DATES} <= set(self.options):
            raise ValueError("full_dates and modified_dates exclude each other")
        if Option.CLEAN_PIXELS in self.options:
            raise ValueError("clean_pixels is claimed of a file whose pixels were inspected, not chosen")
        return self

    def has(self, option: Option) -> bool:
        """Tell whether the policy takes an option."""
        return option in self.options


def load_policy(path: Path) -> DeidPolicy:
    """Return the policy in a TOML file. Raises `PolicyError` that names all that is wrong with it."""
    return read_toml(
        path,
        DeidPolicy,
        wrong=lambda error: refused(
            error,
            DeidPolicy,
            PolicyError,
            remedy="correct it; docs/explanation/de-identification.md names every key",
            file=path.name,
        ),
    )
