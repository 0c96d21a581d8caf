"""Which models a study fits, by number of modalities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from huizhen.core.study import Study, Variant
from huizhen.pipeline.plan import planned_models, subsets

MG, US = {"name": "MG"}, {"name": "US"}
CLINIC = {"name": "clinic", "kind": "table", "numeric": ["age"]}
BLOOD = {"name": "blood", "kind": "table", "numeric": ["marker"]}
ALL = {"network": {"variants": [variant.value for variant in reversed(Variant)]}}
SOME = {"network": {"variants": [v.value for v in Variant if v is not Variant.TABLE_LR]}}
MakeStudy = Callable[..., Study]


def names(study: Study) -> list[str]:
    return [model.name for model in planned_models(study)]


def test_one_modality_has_no_baseline_that_differs(make_study: MakeStudy) -> None:
    assert names(make_study(MG, **SOME)) == ["cman"]
    assert names(make_study(CLINIC, **ALL)) == ["cman", "table_lr"]
    assert subsets(make_study(MG)) == []


def test_two_modalities(make_study: MakeStudy) -> None:
    study = make_study(MG, CLINIC, **ALL)
    assert names(study)[0] == "cman"
    assert sorted(names(study)) == [
        "cman",
        "concatenation",
        "late_average",
        "single:MG",
        "single:clinic",
        "table_lr",
    ]
    assert subsets(study) == [("MG",), ("clinic",)]


def test_three_modalities(make_study: MakeStudy) -> None:
    study = make_study(MG, US, CLINIC, **ALL)
    assert sorted(names(study)) == [
        "cman",
        "concatenation",
        "late_average",
        "single:MG",
        "single:US",
        "single:clinic",
        "specialist|MG+US",
        "specialist|MG+clinic",
        "specialist|US+clinic",
        "table_lr",
    ]
    assert len(subsets(study)) == 6
    assert [len(some) for some in subsets(study)] == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("modalities", [(MG,), (CLINIC,), (MG, CLINIC), (MG, US, CLINIC, BLOOD)])
def test_models_know_their_modalities(make_study: MakeStudy, modalities: tuple[dict[str, Any], ...]) -> None:
    study = make_study(*modalities, **(ALL if CLINIC in modalities else SOME))
    every = tuple(m["name"] for m in modalities)
    for model in planned_models(study):
        prefix, _, rest = model.name.replace(":", "|").partition("|")
        if model.variant is Variant.TABLE_LR:
            assert model.modalities == tuple(n for n in every if n in ("clinic", "blood"))
        elif rest:
            assert model.modalities == tuple(rest.split("+"))
        else:
            assert (prefix, model.modalities) == (model.variant.value, every)
    assert len(set(names(study))) == len(names(study))


def test_a_study_that_asks_for_the_model_alone_gets_it(make_study: MakeStudy) -> None:
    assert names(make_study(MG, US, network={"variants": ["cman"]})) == ["cman"]
