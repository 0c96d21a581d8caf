"""Which models a study fits: every variant, over its modalities, in every fold, as often as it asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from huizhen.core.study import Study, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedModel:
    """One model of a study: `name` as in reports ("cman", "single:MG", "specialist|MG+US")."""

    name: str
    variant: Variant
    modalities: tuple[str, ...]


def planned_models(study: Study) -> list[PlannedModel]:
    """Return the models of `study`, CMAN first.

    A study of one modality has no single-modality, late or concatenated baselines that differ from it.
    """
    names = tuple(m.name for m in study.modality)
    models: list[PlannedModel] = []
    for variant in sorted(study.network.variants, key=lambda v: v is not Variant.CMAN):
        models += _models(study, variant, names)
    return models


def _models(study: Study, variant: Variant, names: tuple[str, ...]) -> Iterator[PlannedModel]:
    """Yield the models of one variant."""
    several = len(names) > 1
    if variant is Variant.SINGLE:
        for name in names if several else ():
            yield PlannedModel(name=f"single:{name}", variant=variant, modalities=(name,))
    elif variant is Variant.SPECIALIST:
        for size in range(2, len(names)):
            for some in combinations(names, size):
                yield PlannedModel(name=f"specialist|{'+'.join(some)}", variant=variant, modalities=some)
    elif variant is Variant.TABLE_LR:
        tables = tuple(m.name for m in study.table_modalities)
        yield PlannedModel(name="table_lr", variant=variant, modalities=tables)
    elif variant is Variant.CMAN or several:
        yield PlannedModel(name=variant.value, variant=variant, modalities=names)


def subsets(study: Study) -> list[tuple[str, ...]]:
    """Return every non-empty proper subset of the study's modalities, small ones first."""
    names = [m.name for m in study.modality]
    return [some for size in range(1, len(names)) for some in combinations(names, size)]
