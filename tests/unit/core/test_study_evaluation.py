"""The study file's [evaluation] and [[subgroup]]: defaults, what is refused, each with field and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.core.study_evaluation import EvaluationPlan, Subgroup
from huizhen.core.study_file import check_study_text
from huizhen.core.study_problems import parse_study
from huizhen.core.study_sources import source_problems

STUDY = """\
name = "a"
title = "t"
question = "q"
seed = 1
[task]
outcome = "y"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "US"
[[modality]]
name = "clinic"
kind = "table"
numeric = ["size"]
[[site]]
name = "north"
[[site.source]]
reader = "images"
modality = "US"
path = "us"
labels = "labels.csv"
columns = { patient = "p", outcome = "y", image = "file" }
[[site.source]]
reader = "table"
modality = "clinic"
path = "clinic.csv"
columns = { patient = "p" }
"""


def problems(rest: str) -> dict[str, tuple[str, str]]:
    """Return field -> reason and remedy of a study's problems."""
    return {p.field: (p.reason, p.remedy) for p in check_study_text(STUDY + rest)}


def test_a_study_without_them_has_a_decision_curve_and_no_more() -> None:
    study, _, found = parse_study(STUDY)
    assert found == []
    assert study is not None
    assert (study.evaluation, study.subgroup) == (EvaluationPlan(), [])
    assert study.evaluation.net_benefit_range == (0.05, 0.5)


def test_what_goes_together_is_taken() -> None:
    text = STUDY + (
        "[evaluation]\nnet_benefit_range = [0.01, 0.2]\nprevalence = 0.01\nat_specificity = 0.9\n"
        "partial_auc = { sensitivity = 0.9 }\ncosts = { false_negative = 20, false_positive = 1 }\n"
        '[[subgroup]]\ncolumn = "age"\nedges = [50, 70]\ncross = ["sex"]\n'
        '[[subgroup]]\ncolumn = "sex"\ngroups = { women = ["F", "f"], men = ["M"] }\n'
        '[[subgroup]]\ncolumn = "scanner:US"\n[[subgroup]]\ncolumn = "present:clinic"\n'
        '[[subgroup]]\ncolumn = "site"\n'
    )
    study, _, found = parse_study(text)
    assert found == []
    assert study is not None
    assert [s.source for s in study.subgroup] == ["table", "table", "scanner", "present", "site"]
    assert [s.modality for s in study.subgroup] == ["", "", "US", "clinic", ""]


@pytest.mark.parametrize(
    ("rest", "field", "says"),
    [
        ("[evaluation]\nnet_benefit_range = [0.5, 0.1]", "evaluation.net_benefit_range", "doesn't rise"),
        ("[evaluation]\nnet_benefit_range = [0.0, 0.1]", "evaluation.net_benefit_range[0]", "above 0"),
        ("[evaluation]\nprevalence = 1.0", "evaluation.prevalence", "below 1"),
        ("[evaluation]\nprevalance = 0.1", "evaluation.prevalance", "unknown key"),
        ("[evaluation]\npartial_auc = {}", "evaluation.partial_auc", "give one"),
        (
            "[evaluation]\ncosts = { false_negative = 1, false_positive = 0 }",
            "evaluation.costs",
            "must cost more",
        ),
        ("[evaluation]\nresamples = 10", "evaluation.resamples", "at least 200"),
        ('[[subgroup]]\ncolumn = "age"\nedges = [70, 50]', "subgroup[0]", "must rise"),
        ('[[subgroup]]\ncolumn = "age"\nedges = [5]\ngroups = { a = ["1"] }', "subgroup[0]", "one of them"),
        ('[[subgroup]]\ncolumn = "sex"\ngroups = { a = ["1"], b = ["1"] }', "subgroup[0]", "two groups"),
        ('[[subgroup]]\ncolumn = "sex"\ngroups = { a = ["b"], b = ["a"] }', "subgroup[0]", "called after"),
        ('[[subgroup]]\ncolumn = "sex"\ngroups = { a = [""] }', "subgroup[0]", "an empty cell"),
        ('[[subgroup]]\ncolum = "sex"', "subgroup[0].colum", "unknown key"),
        ('[[subgroup]]\ncolumn = "scanner:MG"', "subgroup[0].column", "no such modality"),
        ('[[subgroup]]\ncolumn = "scanner:clinic"', "subgroup[0].column", "no such modality"),
        ('[[subgroup]]\ncolumn = "sex"\ncross = ["age"]', "subgroup[0].cross", "no other subgroup"),
        ('[[subgroup]]\ncolumn = "sex"\n[[subgroup]]\ncolumn = "sex"', "subgroup[1].column", "before"),
    ],
)
def test_what_does_not_go_is_refused_by_name(rest: str, field: str, says: str) -> None:
    found = problems(rest)
    assert says in found[field][0] + found[field][1]


def test_a_column_that_no_table_has_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "us").mkdir()
    (tmp_path / "us" / "1.png").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text(
        "p,y,file,sex\n" + "".join(f"{i},{i % 2},1.png,F\n" for i in range(99))
    )
    (tmp_path / "clinic.csv").write_text("p,size,age\n1,2,50\n")

    def found(column: str) -> list[tuple[str, str]]:
        _, raw, _ = parse_study(STUDY + f'[[subgroup]]\ncolumn = "{column}"')
        return [(p.field, p.remedy) for p in source_problems(raw, [tmp_path])]

    assert [found(name) for name in ("sex", "age", "site", "scanner:US")] == [[]] * 4
    assert found("aged") == [("subgroup[0].column", "did you mean age?")]


def test_a_subgroup_says_where_its_groups_come_from() -> None:
    assert Subgroup(column="present").source == "table"
    assert Subgroup(column="site:of:lesion").source == "table"
