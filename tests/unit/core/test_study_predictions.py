"""[predictions] and [reads]: what a study of a given table says, and what doesn't go together."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from huizhen.core.study import Study
from huizhen.core.study_file import check_study, check_study_text
from huizhen.core.study_fitting import Network, Split, Training
from huizhen.core.study_predictions import LEFT_OUT, key_name
from huizhen.core.study_problems import parse_study

HEAD = """\
name = "x"
title = "x"
question = "x"
seed = 1
[task]
outcome = "label"
positive = ["1"]
negative = ["0"]
"""
GIVEN = '[predictions]\ntable = "t.csv"\noutcome = "label"\nscore = "p"\n'
READS = '[reads]\ntable = "t.csv"\npatient = "c"\noutcome = "t"\nreader = "r"\nrating = "g"\n'
BOUND = '[[endpoint]]\nat_least = 0.8\ncohort = "external"\n'


def problems(text: str) -> list[str]:
    return [str(problem) for problem in check_study_text(HEAD + text)]


def test_a_table_needs_neither_sites_nor_modalities() -> None:
    study, _, found = parse_study(HEAD + GIVEN)
    assert found == []
    assert study is not None
    assert (study.is_given, study.main) == (True, "model")
    assert parse_study(HEAD + READS)[2] == []


def test_nothing_about_a_models_making_is_signed() -> None:
    study, _, _ = parse_study(HEAD + GIVEN + BOUND)
    assert study is not None
    signed = study.model_dump(mode="json")
    assert not {*LEFT_OUT, "threshold", "reads", "protocol"} & set(signed)
    assert "model" not in signed["endpoint"][0]
    tuned, _, _ = parse_study(HEAD + GIVEN + 'tune = "o.csv"\n')
    assert tuned is not None
    assert tuned.model_dump(mode="json")["threshold"]["target"] == 0.9


def test_a_study_of_sites_signs_no_table() -> None:
    assert {type(part()).__name__ for part in (Network, Split, Training)} == {"Network", "Split", "Training"}
    assert [p for p in problems("") if "site" in p and "missing" in p]
    assert [p for p in problems("") if "modality" in p and "missing" in p]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GIVEN + READS, "two studies"),
        (GIVEN + "[split]\ntest = 0.2\n", "split: doesn't go with [predictions]"),
        (GIVEN + 'tune = "o.csv"\nthreshold = 0.5\n', "not both"),
        (GIVEN + 'tune = "t.csv"\n', "tune is the tested table"),
        (GIVEN + 'compare = ["label"]\n', "one column can't be"),
        (GIVEN + 'compare = ["a/b", "a|b"]\n', "same name in reports"),
        (GIVEN + "compare_thresholds = { q = 1.0 }\n", "compare doesn't name"),
        (GIVEN + '[[endpoint]]\nat_least = 0.8\ncohort = "internal"\n', "differs from predictions.cohort"),
        (GIVEN + BOUND + 'metric = "auc_difference"\ncomparator = "q"\n', "no column of predictions.compare"),
        (GIVEN + BOUND + 'metric = "sensitivity"\n', "needs decisions"),
        (READS + BOUND, "doesn't go with [reads]"),
        (GIVEN + '[[subgroup]]\ncolumn = "scanner:MG"\n', "no such modality"),
    ],
)
def test_what_does_not_go_together_is_said(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text)), problems(text)


def test_the_table_is_checked_against_the_file_that_is_there(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    more = 'compare = ["rival"]\n[[subgroup]]\ncolumn = "sexx"\n[[subgroup]]\ncolumn = "site"\n'
    plan.write_text(HEAD + GIVEN + more, encoding="utf-8")
    assert [p.field for p in check_study(plan, data_root=None)] == ["predictions.table"]
    (tmp_path / "t.csv").write_text("id,label,p,sex\n1,1,0.5,F\n", encoding="utf-8")
    found = {p.field: (p.line, p.remedy) for p in check_study(plan, data_root=None)}
    assert set(found) == {"predictions.compare[0]", "subgroup[0].column"}
    assert found["subgroup[0].column"][1] == "did you mean sex?"
    plan.write_text(HEAD + GIVEN, encoding="utf-8")
    assert check_study(plan, data_root=None) == []
    (tmp_path / "t.csv").write_bytes(b"PK\x03\x04")
    assert "Excel workbook" in str(check_study(plan, data_root=None)[0])


def test_names_in_keys_hold_none_of_their_separators() -> None:
    assert not set("/|~") & set(key_name("a/b|c~d"))


def test_protocol_is_signed_where_it_stands() -> None:
    study, _, _ = parse_study(HEAD + GIVEN + "[protocol]\nlock = true\n")
    assert study is not None
    assert study.model_dump(mode="json")["protocol"] == {"lock": True}


@pytest.mark.parametrize("place", ["site", "subgroup"])
def test_the_outcome_is_no_group_and_no_hospital(place: str) -> None:
    own = {"table": "t.csv", "outcome": "label", "score": "risk"}
    study = {
        "name": "s",
        "title": "S",
        "question": "?",
        "seed": 1,
        "task": {"outcome": "label", "positive": ["1"], "negative": ["0"]},
        "predictions": own | ({"site": "label"} if place == "site" else {}),
        "subgroup": [{"column": "label"}] if place == "subgroup" else [],
    }
    with pytest.raises(ValidationError, match="outcome"):
        Study.model_validate(study)
