"""The study file's [[modality]]: bags of images, and rows of covariates."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from huizhen.core.study_base import Frozen, Name
from huizhen.core.study_image_steps import ImageStep

__all__ = ["AnyModality", "EncoderKind", "ImageModality", "Phases", "TableModality"]


class EncoderKind(StrEnum):
    """The network that turns one image into tokens."""

    RESNET50 = "resnet50"
    RESNET18 = "resnet18"
    EFFICIENTNET_LITE0 = "efficientnet-lite0"


class Phases(StrEnum):
    """How the channels of an image with contrast phases are given to the network."""

    AS_READ = "as_read"
    SUBTRACTION = "subtraction"
    """Three phases (before, early and late after contrast) become the early and the late enhancement and
    what changes between them, as in subtraction images."""
    ENHANCEMENT = "enhancement"
    """The same, relative to the tissue before contrast, so that a scanner's gain does not matter."""


class ImageModality(Frozen):
    """A modality whose payload is a bag of images: views, slices or frames, phases as channels."""

    name: Name
    kind: Literal["image"] = "image"
    title: str = ""
    encoder: EncoderKind = EncoderKind.EFFICIENTNET_LITE0
    pretrained: bool = True
    size: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] = 128
    """Side in pixels of the square that images are letterboxed into."""
    channels: Annotated[int, Field(ge=1, le=3)] = 1
    max_images: Annotated[int, Field(ge=1, le=64)] = 4
    phases: Phases = Phases.AS_READ
    harmonise: tuple[ImageStep, ...] = ()
    """What is done to each image, in this order, before it is scaled, against what machines put into it."""
    spacing_mm: Annotated[float, Field(gt=0, le=100)] | None = None
    """The distance between pixels that the step spacing brings all images to."""
    norm: Literal["batch", "group"] = "batch"

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out steps that aren't there, so that nothing of them is signed."""
        found: dict[str, Any] = handler(self)
        return {k: v for k, v in found.items() if k not in ("harmonise", "spacing_mm") or v}

    @model_validator(mode="after")
    def _steps_are_told(self) -> Self:
        if len(set(self.harmonise)) < len(self.harmonise):
            raise ValueError("harmonise names a step twice")
        if (ImageStep.SPACING in self.harmonise) != (self.spacing_mm is not None):
            raise ValueError("the step spacing needs spacing_mm, and spacing_mm the step: give both or none")
        after = self.harmonise[self.harmonise.index(ImageStep.SPACING) :] if self.spacing_mm else ()
        if {ImageStep.INSIDE_BORDERS, ImageStep.CENTRE_SQUARE} & set(after):
            raise ValueError("harmonise cuts an image after resampling it: put spacing behind those steps")
        return self

    @model_validator(mode="after")
    def _phases_are_three(self) -> Self:
        if self.phases is not Phases.AS_READ and self.channels != 3:
            raise ValueError(
                f"phases = {self.phases.value} needs channels = 3: before, early and late after contrast"
            )
        return self


class TableModality(Frozen):
    """A modality whose payload is one row of covariates. Missing values are normal."""

    name: Name
    kind: Literal["table"]
    title: str = ""
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    levels: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """A categorical column's levels, where they are known beforehand; of any other column they are found in
    the training patients."""
    missing_codes: tuple[str, ...] = ("", "NA", "NaN", "NP", "NC")
    leave_out: dict[str, str] = Field(default_factory=dict)
    """Columns that must not be used, each with its reason: known only afterwards, or the outcome itself."""

    @model_validator(mode="after")
    def _has_columns(self) -> Self:
        if not self.numeric and not self.categorical:
            raise ValueError("a table modality needs numeric or categorical columns")
        used = {*self.numeric, *self.categorical}
        if clash := used & set(self.leave_out):
            raise ValueError(f"columns both used and left out: {', '.join(sorted(clash))}")
        if other := set(self.levels) - set(self.categorical):
            raise ValueError(f"levels of columns that aren't categorical: {', '.join(sorted(other))}")
        if twice := [name for name, found in self.levels.items() if len(set(found)) < len(found)]:
            raise ValueError(f"a level is named twice: {', '.join(sorted(twice))}")
        return self


def _modality_kind(value: object) -> str:
    """Return which form of modality a part of the study file is; an image unless it says otherwise."""
    found = value.get("kind", "image") if isinstance(value, dict) else getattr(value, "kind", "image")
    return str(found)


AnyModality = Annotated[
    Annotated[ImageModality, Tag("image")] | Annotated[TableModality, Tag("table")],
    Discriminator(_modality_kind),
]
