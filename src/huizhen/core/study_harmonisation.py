"""The study file's [harmonisation]: what hospitals' machines leave in features, taken out before learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from huizhen.core.study_base import Frozen, Name

if TYPE_CHECKING:
    from huizhen.core.study import Study

__all__ = ["OUTCOME", "Harmonisation", "harmonisation_problems"]

OUTCOME = "outcome"
"""The covariate that `keep` calls the study's outcome: of training patients alone, never at use."""


class Harmonisation(Frozen):
    """ComBat: each site's image features are shifted and scaled to those of all sites, before networks learn.

    Fitted on training patients; in a federation by secure sums. A site that comes later is moved by its own
    features, without outcomes. It needs features that stay as they are: training.mode = "frozen".
    """

    features: Literal["combat"] = "combat"
    """How. combat: means and variances, by empirical Bayes."""
    keep: tuple[str, ...] = ()
    """Covariates whose differences between sites are kept: TABLE.COLUMN, or outcome, which is looked at of
    training patients only."""
    reference: Name | None = None
    """A development site that all others are moved to, instead of to the mean of all. Not in a federation,
    where its features' means would become known."""
    prior: Literal["parametric", "non-parametric", "none"] = "parametric"
    """What a site's own means and variances are drawn towards: none takes them as they are."""
    mean_only: bool = False
    """Whether features are shifted only, and not scaled."""
    components: Annotated[int, Field(ge=1, le=20)] | None = None
    """To how many components features are reduced after ComBat: those that go with the training patients'
    outcomes (partial least squares), aligned between sites once more. None keeps all features."""

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave components out where there are none, so that older studies' signatures hold."""
        found: dict[str, Any] = handler(self)
        return {k: v for k, v in found.items() if k != "components" or v is not None}


def harmonisation_problems(study: Study) -> list[str]:
    """Return what in `study` doesn't go with its [harmonisation], each with the fix; nothing without one."""
    plan = study.harmonisation
    if plan is None:
        return []
    problems: list[str] = []
    if study.training.mode != "frozen":
        problems.append("harmonisation moves features, and finetune changes them: set training.mode = frozen")
    if not study.image_modalities:
        problems.append("harmonisation is of image features: add an image modality, or drop [harmonisation]")
    if study.privacy is not None:
        problems.append("harmonisation sums features without noise: drop [harmonisation] or [privacy]")
    known = {f"{m.name}.{c}" for m in study.table_modalities for c in (*m.numeric, *m.categorical)}
    if unknown := sorted(set(plan.keep) - known - {OUTCOME}):
        problems.append(f"harmonisation.keep names no column of a table: {', '.join(unknown)}")
    if len(set(plan.keep)) < len(plan.keep):
        problems.append("harmonisation.keep names one twice")
    if plan.reference is not None and plan.reference not in _development(study):
        problems.append(f"harmonisation.reference is no development site: {plan.reference}")
    if study.federation is not None and plan.reference is not None:
        problems.append("harmonisation.reference would show a site's own means in a federation: leave it out")
    if study.federation is not None and set(plan.keep) - {OUTCOME}:
        problems.append("harmonisation.keep can be outcome alone in a federation")
    if study.active is not None:
        problems.append("harmonisation is fitted before the first round, and [active] asks for labels later")
    return problems


def _development(study: Study) -> set[str]:
    return {site.name for site in study.site if site.role.value == "development"}
