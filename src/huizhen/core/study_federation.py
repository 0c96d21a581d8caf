"""The study file's [federation]: how hospitals train together."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from huizhen.core.study_base import Frozen

if TYPE_CHECKING:
    from huizhen.core.study import Study


class StrategyKind(StrEnum):
    """What the lead makes of a round's updates, and what the sites add to their own steps."""

    FEDAVG = "fedavg"
    FEDPROX = "fedprox"
    SCAFFOLD = "scaffold"
    FEDADAM = "fedadam"
    FEDYOGI = "fedyogi"


class Aggregation(StrEnum):
    """How the sites' updates become one."""

    MEAN = "mean"
    """Weighted by training patients."""
    MEDIAN = "median"
    """Of each coordinate."""
    TRIMMED_MEAN = "trimmed_mean"
    KRUM = "krum"
    GROUPED_MEDIAN = "grouped_median"
    """Secure sums over groups of sites, then the median of the groups' means."""


NEEDS_EVERY_UPDATE = frozenset({Aggregation.MEDIAN, Aggregation.TRIMMED_MEAN, Aggregation.KRUM})


class Federation(Frozen):
    """How hospitals train together. Without it one process, which may read all data, trains the models."""

    rounds: Annotated[int, Field(ge=1, le=10_000)] = 20
    local_epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    """Passes over a site's training patients between two rounds."""
    strategy: StrategyKind = StrategyKind.FEDAVG
    proximal: Annotated[float, Field(ge=0)] = 0.01
    """FedProx: the pull towards the round's weights."""
    server_rate: Annotated[float, Field(gt=0)] = 1.0
    """The share of the mean change that is made; with fedadam and fedyogi the lead's learning rate."""
    secure: bool = True
    """Secure aggregation: the lead learns sums over sites, never one site's update."""
    aggregation: Aggregation = Aggregation.MEAN
    untrusted: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """The share of sites whose updates may be wrong on purpose; robust aggregation is built for it."""
    maximum_norm: Annotated[float, Field(gt=0)] | None = None
    """Each site shortens its change of the weights to this Euclidean norm, so that none can move the model
    far; it works under secure aggregation."""
    client_noise: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Hides whether a hospital took part: the noise on each secure sum of changes, as a multiple of
    maximum_norm. Each site adds its share before masking, and all sites count alike."""
    groups: Annotated[int, Field(ge=1, le=100)] = 1
    """With grouped_median: how many groups the sites are divided into, anew in every round."""
    quorum: Annotated[float, Field(gt=0, le=1)] = 0.66
    """The share of the accepted sites that must answer a round."""
    round_timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 600
    site_specific: tuple[str, ...] = ()
    """Weights that stay at their site, by name, as shell patterns ("*norm*": site-specific normalisation)."""
    smallest_count: Annotated[int, Field(ge=1)] = 5
    """A level of a table's column that fewer training patients have, over all sites, is pooled with other
    such levels and its name leaves no site; measures over fewer patients are not assessed."""

    def stays(self, name: str) -> bool:
        """Tell whether the weight `name` stays at its site.

        >>> Federation(site_specific=("*norm*",)).stays("encoder.norm1.weight")
        True
        """
        return any(fnmatchcase(name, pattern) for pattern in self.site_specific)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.secure and self.aggregation in NEEDS_EVERY_UPDATE:
            raise ValueError(
                f"secure aggregation hides single updates, which {self.aggregation.value} must see: with "
                "trustworthy leads set secure = false, with untrusted sites keep secure = true and use "
                'maximum_norm, or aggregation = "grouped_median" with groups'
            )
        if (self.aggregation is Aggregation.GROUPED_MEDIAN) != (self.groups > 1):
            raise ValueError("groups (3 or more) go with grouped_median, and grouped_median needs them")
        if self.client_noise is not None and (
            self.maximum_norm is None or not self.secure or self.aggregation is not Aggregation.MEAN
        ):
            raise ValueError(
                "client_noise is a share of maximum_norm in a secure mean: "
                'set maximum_norm, secure = true and aggregation = "mean"'
            )
        if self.groups == 2:
            raise ValueError("the median of two groups is their mean: use 3 or more groups")
        return self


def federation_problems(study: Study) -> list[str]:
    """Return what in `study` doesn't go with training over sites; nothing without [federation]."""
    if study.federation is None:
        return []
    problems: list[str] = []
    if study.federation.strategy is StrategyKind.SCAFFOLD and study.training.optimiser != "sgd":
        problems.append("strategy scaffold corrects plain gradient steps: set training.optimiser = sgd")
    if study.active is not None and "table_lr" in study.network.variants:
        problems.append("table_lr learns from every label at once: leave it out, or drop [active]")
    if study.privacy is not None and study.split.method != "holdout":
        problems.append(
            "folds train on every patient several times, which privacy is not reckoned for: "
            "set split.method = holdout"
        )
    if study.training.keep != "last" or study.training.average_weights:
        problems.append("federation keeps the last round: set training.keep = last, average_weights = 0")
    if study.training.mode == "finetune" and any(
        m.norm == "batch" and not study.federation.site_specific for m in study.image_modalities
    ):
        problems.append("batch statistics are each site's own: set norm = group, or federation.site_specific")
    return problems
