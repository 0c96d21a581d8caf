"""[privacy] in the study file: what doesn't go with it is named with its fix."""

from __future__ import annotations

from typing import Any

import pytest

from huizhen.core.study import Study


def raw(**more: Any) -> dict[str, Any]:
    columns = {"patient": "p", "outcome": "o"}
    source = {"modality": "US", "reader": "images", "path": "a", "labels": "a.csv", "columns": columns}
    return {
        "name": "s",
        "title": "A study",
        "question": "Is it?",
        "seed": 7,
        "task": {"outcome": "o", "positive": ["1"], "negative": ["0"]},
        "modality": [{"name": "US"}],
        "site": [{"name": name, "source": [source]} for name in ("a", "b")],
        "network": {"alignment_weight": 0},
        "federation": {},
        "privacy": {"epsilon": 8},
    } | more


def test_defaults():
    found = Study.model_validate(raw()).privacy
    assert found is not None
    assert (found.epsilon, found.delta, found.clip_norm, found.unit) == (8, 1e-5, 1, "patient")


def test_it_is_part_of_what_is_signed():
    one, other = (Study.model_validate(raw(privacy={"epsilon": e})).digest for e in (8, 4))
    assert one != other


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"federation": None}, r"add \[federation\], or drop \[privacy\]"),
        ({"network": {}}, "set network.alignment_weight = 0"),
        ({"training": {"mode": "finetune"}}, "set norm = group for US, or training.mode = frozen"),
        ({"training": {"mode": "finetune", "lesion_weight": 1}}, "set training.lesion_weight = 0"),
        ({"training": {"keep": "best"}}, "set training.keep = last"),
        ({"privacy": {"epsilon": 0}}, "greater than 0"),
        ({"privacy": {"epsilon": 8, "delta": 0.1}}, "less than or equal to 0.001"),
        ({"privacy": {"epsilon": 8, "unit": "image"}}, "patient"),
        ({"privacy": {}}, "required"),
        (
            {"modality": [{"name": "US"}, {"name": "T", "kind": "table", "numeric": ["age"]}]},
            "leave T out of a study with",
        ),
    ],
)
def test_what_does_not_go_with_it_is_named_with_its_fix(change, reason):
    with pytest.raises(ValueError, match=reason):
        Study.model_validate(raw(**change))


def test_group_normalisation_may_be_fine_tuned():
    modality = [{"name": "US", "norm": "group"}]
    Study.model_validate(raw(modality=modality, training={"mode": "finetune"}))
