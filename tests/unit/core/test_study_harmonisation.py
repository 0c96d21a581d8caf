"""[harmonisation]: what goes with it, and that a study without it is signed as before."""

from __future__ import annotations

import pytest

from huizhen.core.study import Study
from huizhen.core.study_harmonisation import Harmonisation, harmonisation_problems

SOURCE = {"reader": "npz", "modality": "US", "path": "x.npz", "labels": "x.csv"}
COLUMNS = {"patient": "p", "outcome": "o"}
PLAIN = {
    "name": "s",
    "title": "A study",
    "question": "Is it?",
    "seed": 7,
    "task": {"outcome": "o", "positive": ["1"], "negative": ["0"]},
    "modality": [{"name": "US"}, {"name": "clinic", "kind": "table", "numeric": ["age"]}],
    "site": [{"name": name, "source": [{**SOURCE, "columns": COLUMNS}]} for name in ("a", "b")],
}


def test_a_study_without_it_signs_nothing_of_it() -> None:
    plain = Study.model_validate(PLAIN)
    assert "harmonisation" not in plain.model_dump(mode="json")
    assert harmonisation_problems(plain) == []
    assert Study.model_validate({**PLAIN, "harmonisation": {}}).digest != plain.digest


def test_defaults() -> None:
    found = Study.model_validate({**PLAIN, "harmonisation": {"keep": ["clinic.age", "outcome"]}})
    assert found.harmonisation == Harmonisation(keep=("clinic.age", "outcome"))


def test_a_study_without_components_is_signed_as_before_there_were_any() -> None:
    plain = Study.model_validate({**PLAIN, "harmonisation": {"keep": ["outcome"]}})
    assert "components" not in plain.model_dump(mode="json")["harmonisation"]
    few = Study.model_validate({**PLAIN, "harmonisation": {"keep": ["outcome"], "components": 3}})
    assert few.model_dump(mode="json")["harmonisation"]["components"] == 3
    assert few.digest != plain.digest


@pytest.mark.parametrize("wrong", [0, -1, 21, 2.5])
def test_components_are_a_few(wrong: float) -> None:
    with pytest.raises(ValueError, match="components"):
        Study.model_validate({**PLAIN, "harmonisation": {"components": wrong}})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"training": {"mode": "finetune"}}, "set training.mode = frozen"),
        ({"harmonisation": {"keep": ["clinic.sex"]}}, "no column of a table: clinic.sex"),
        ({"harmonisation": {"reference": "z"}}, "no development site: z"),
        ({"federation": {}, "harmonisation": {"keep": ["clinic.age"]}}, "outcome alone in a federation"),
        ({"federation": {}, "harmonisation": {"reference": "a"}}, "a site's own means"),
        ({"federation": {}, "privacy": {"epsilon": 3}}, "sums features without noise"),
    ],
    ids=["finetune", "column", "reference", "federated-column", "federated-reference", "privacy"],
)
def test_what_does_not_go_together_is_said(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Study.model_validate({**PLAIN, "harmonisation": {}, **changes})
