"""The study file's [privacy]: differential privacy of the patients whom the sites train on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from huizhen.core.study_base import Frozen

if TYPE_CHECKING:
    from huizhen.core.study import Study


class Privacy(Frozen):
    """Differential privacy of training patients by DP-SGD at each site. Without it updates carry no noise.

    What is promised: with or without any one patient, the trained weights and all that was sent on the way
    are almost as likely. It covers training; counts and distributions of scores leave without noise.
    """

    epsilon: Annotated[float, Field(gt=0, le=100)]
    """The most that any patient may lose in this study, over all its rounds and models."""
    delta: Annotated[float, Field(gt=0, le=1e-3)] = 1e-5
    """The probability with which the promise may fail; well below one by a site's patients."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Each patient's gradient is shortened to this Euclidean norm."""
    sampling: Annotated[float, Field(ge=1)] = 32.0
    """Patients that a step is expected to draw at a site, each by itself; takes the place of batch_size."""
    unit: Literal["patient"] = "patient"
    """Who is protected: a patient with all images."""
    unlearning_epsilon: Annotated[float, Field(gt=0, le=100)] | None = None
    """How far models may be from ones that none of a site's withdrawn patients trained, for that to count
    as approximate unlearning; without it, models are made anew where patients ask to be unlearnt."""


def privacy_problems(study: Study) -> list[str]:
    """Return what in `study` doesn't go with its [privacy], each with the fix; nothing without one."""
    if study.privacy is None:
        return []
    problems: list[str] = []
    if study.federation is None:
        problems.append("privacy is kept at sites that train together: add [federation], or drop [privacy]")
    if study.network.alignment_weight:
        problems.append(
            "privacy needs a loss of each patient alone, and alignment compares patients: "
            "set network.alignment_weight = 0"
        )
    if study.training.lesion_weight:
        problems.append("privacy covers the loss of the answer alone: set training.lesion_weight = 0")
    mixing = [m.name for m in study.image_modalities if m.norm == "batch"]
    if study.training.mode == "finetune" and mixing:
        problems.append(
            "privacy can't be kept where patients of a batch are normalised together: set norm = group for "
            f"{', '.join(mixing)}, or training.mode = frozen"
        )
    if study.table_modalities:
        problems.append(
            "privacy covers images: a table is standardised by its patients' own values without noise: "
            f"leave {', '.join(m.name for m in study.table_modalities)} out of a study with [privacy]"
        )
    return problems
