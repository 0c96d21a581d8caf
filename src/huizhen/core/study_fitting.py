"""The study file's [split], [network] and [training]: how a model is made of the development patients."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from huizhen.core.study_base import Frozen
from huizhen.core.study_endpoints import Variant

__all__ = ["Network", "Split", "Training"]


class Split(Frozen):
    """How development patients are divided, by patient and stratified by site and outcome.

    holdout: `test` and `tune` are shares of the patients. folds: every patient is tested once, by a model
    that never saw them; `tune` is the share of the remaining patients.
    """

    method: Literal["holdout", "folds"] = "holdout"
    test: Annotated[float, Field(gt=0, lt=0.9)] = 0.25
    tune: Annotated[float, Field(gt=0, lt=0.9)] = 0.15
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    near_duplicate_distance: Annotated[int, Field(ge=0, le=64)] = 32
    """Perceptual-hash Hamming distance (of 256 bits) up to which two images count as near-duplicates."""


class Network(Frozen):
    """CMAN's settings, shared by the baselines where they apply."""

    variants: tuple[Variant, ...] = (
        Variant.CMAN,
        Variant.CONCATENATION,
        Variant.LATE_AVERAGE,
        Variant.SINGLE,
    )
    width: Annotated[int, Field(ge=16, le=1024)] = 96
    heads: Annotated[int, Field(ge=1, le=16)] = 4
    layers: Annotated[int, Field(ge=1, le=8)] = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    modality_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    alignment_weight: Annotated[float, Field(ge=0)] = 0.1
    alignment_temperature: Annotated[float, Field(gt=0)] = 0.1
    unimodal_weight: Annotated[float, Field(ge=0)] = 0.5
    zooms: Annotated[tuple[Annotated[float, Field(ge=0.5, le=2)], ...], Field(min_length=1, max_length=5)] = (
        1.0,
    )
    """How large a fine-tuned network is shown each image when it answers, each also mirrored; the log-odds
    are averaged. 1.33 shows the middle three quarters enlarged, 0.75 the whole smaller."""

    @model_validator(mode="after")
    def _has_cman(self) -> Self:
        if Variant.CMAN not in self.variants:
            raise ValueError("variants must hold cman: it is the model, the others are baselines")
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        return self


class Training(Frozen):
    """How networks are fitted. frozen: the encoders stay as they are and their features are cached."""

    mode: Literal["frozen", "finetune"] = "frozen"
    epochs: Annotated[int, Field(ge=1, le=1000)] = 40
    batch_size: Annotated[int, Field(ge=2, le=1024)] = 64
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    encoder_learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    optimiser: Literal["adamw", "sgd"] = "adamw"
    members: Annotated[int, Field(ge=1, le=20)] = 1
    """Networks per fold, differing in seed; their logits are averaged."""
    augment: bool = True
    """Fine-tuning only: flips, shifts, scale, gain, contrast, noise."""
    view_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance that an image is left out of a patient's bag in one training step; one always stays."""
    view_augment: Annotated[int, Field(ge=1, le=8)] = 1
    """Frozen only: how many augmented copies of each training image have their features cached."""
    lesion_weight: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Fine-tuning only: weight of the loss of finding the lesion, where training images have masks (0: none).
    Images without a mask add nothing to it; masks are no input, neither in training nor after it."""
    average_weights: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the exponential moving average of weights that is kept (0: none)."""
    keep: Literal["last", "best"] = "last"
    """last: the weights after the last epoch; best: those with the lowest loss on tuning patients, before the
    first step included."""

    @model_validator(mode="after")
    def _finds_lesions_by_pixels(self) -> Self:
        if self.lesion_weight and self.mode != "finetune":
            raise ValueError('lesion_weight trains the encoders: set mode = "finetune", or leave it 0')
        return self
