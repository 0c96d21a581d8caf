"""The study file's [robustness] and [conformal]: defaults, what is refused, what silence leaves unsigned."""

from __future__ import annotations

import pytest

from huizhen.core.study import Study
from huizhen.core.study_file import check_study_text
from huizhen.core.study_problems import parse_study
from huizhen.core.study_robustness import Conformal, Disturbance, Robustness

TABLES = """\
name = "a"
title = "t"
question = "q"
seed = 1
[task]
outcome = "y"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "clinic"
kind = "table"
numeric = ["size"]
[[site]]
name = "north"
[[site.source]]
reader = "table"
modality = "clinic"
path = "clinic.csv"
columns = { patient = "p", outcome = "y" }
"""

GIVEN = """\
name = "a"
title = "t"
question = "q"
seed = 1
[task]
outcome = "y"
positive = ["1"]
negative = ["0"]
[predictions]
table = "scores.csv"
outcome = "y"
score = "s"
"""


def problems_of(text: str) -> list[str]:
    return [problem.field for problem in check_study_text(text)]


def study_of(text: str) -> Study:
    study, _, problems = parse_study(text)
    assert problems == []
    assert study is not None
    return study


def test_a_study_that_says_nothing_signs_nothing_of_it() -> None:
    assert not {"robustness", "conformal"} & set(study_of(TABLES).model_dump(mode="json"))


def test_the_defaults_are_signed_once_asked_for() -> None:
    study = study_of(TABLES + "[robustness]\n[conformal]\n")
    assert study.robustness is not None
    assert study.robustness == Robustness()
    assert study.conformal == Conformal(level=0.9)
    assert study.model_dump(mode="json")["robustness"]["patients"] == 200
    assert study.robustness.kinds == tuple(Disturbance)


@pytest.mark.parametrize(
    ("keys", "field", "said"),
    [
        ('kinds = ["noise"]', "robustness.kinds[0]", "noise is for images, and the study has none"),
        ('kinds = ["missing", "missing"]', "robustness", "kinds names one twice"),
        ("steps = [3, 1]", "robustness", "must rise"),
        ("steps = [1, 6]", "robustness.steps[1]", ""),
        ("steps = []", "robustness.steps", ""),
        ("label_flips = [0.5]", "robustness.label_flips[0]", ""),
        ("patients = 5", "robustness.patients", ""),
        ("shortcut = false", "robustness.shortcut", "shortcuts"),
    ],
)
def test_what_cannot_be_tried_is_named(keys: str, field: str, said: str) -> None:
    [problem] = check_study_text(f"{TABLES}[robustness]\n{keys}\n")
    assert problem.field == field
    assert said in f"{problem.reason} {problem.remedy}"


@pytest.mark.parametrize("text", [TABLES, GIVEN])
def test_a_signed_study_is_read_again(text: str) -> None:
    more = "[robustness]\nlabel_flips = [0.03]\n" + ("[conformal]\n" if text == TABLES else "")
    study = study_of(text + more)
    again = Study.model_validate(study.model_dump(mode="json"))
    assert again == study
    assert again.digest == study.digest


def test_of_a_given_table_only_its_labels_can_be_doubted() -> None:
    assert problems_of(GIVEN + "[robustness]\nlabel_flips = [0.05]\n") == []
    assert problems_of(GIVEN + "[robustness]\npatients = 100\n") == ["robustness.patients"]
    assert problems_of(GIVEN + "[conformal]\n") == ["conformal"]
