"""From flags and column names to a plan: what is guessed, what is said, and what is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from huizhen.cli.screen import Screen
from huizhen.cli.settings import Settings
from huizhen.cli.validation_plan import Flags, chosen_columns, plan_text
from huizhen.core.study_file import check_study_text
from huizhen.core.words import Language
from huizhen.errors import DataError, InvalidInputError

SCREEN = Screen(settings=Settings())


def table(folder: Path, header: str) -> Path:
    path = folder / "preds.csv"
    path.write_text(f"{header}\n{','.join('1' for _ in header.split(','))}\n", encoding="utf-8")
    return path


def plan(path: Path, **flags: Any) -> dict[str, Any]:
    given = Flags(**flags)
    text = plan_text(path, given, chosen_columns(path, given), beside=path.parent, screen=SCREEN)
    assert check_study_text(text) == []
    return tomllib.loads(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("patient_id,label,prob", {"patient": "patient_id", "outcome": "label", "score": "prob"}),
        ("ID,y_true,y_score", {"patient": "ID", "outcome": "y_true", "score": "y_score"}),
        ("患者编号,病理,概率", {"patient": "患者编号", "outcome": "病理", "score": "概率"}),
        ("Subject ID,Ground Truth,AI score", {"patient": "Subject ID", "outcome": "Ground Truth"}),
        ("y,p", {"outcome": "y", "score": "p"}),
    ],
)
def test_common_names_are_found(tmp_path: Path, header: str, expected: dict[str, str]) -> None:
    found = plan(table(tmp_path, header))["predictions"]
    assert {key: found[key] for key in expected} == expected


def test_flags_win_and_their_columns_are_taken_from_nothing_else(tmp_path: Path) -> None:
    path = table(tmp_path, "id,label,score,risk")
    chosen = chosen_columns(path, Flags(score="risk", outcome="label"))
    assert [(one.key, one.column, one.why) for one in chosen] == [
        ("patient", "id", "name"),
        ("outcome", "label", "given"),
        ("score", "risk", "given"),
    ]


def test_what_cannot_be_found_is_asked_for(tmp_path: Path) -> None:
    path = table(tmp_path, "a,b,c")
    with pytest.raises(DataError, match="name it with --outcome"):
        chosen_columns(path, Flags())
    with pytest.raises(DataError, match="did you mean a"):
        chosen_columns(table(tmp_path, "id,label,prob,aa"), Flags(score="aaa"))


def test_every_flag_stands_in_the_plan(tmp_path: Path) -> None:
    path = table(tmp_path, "id,label,prob,rival,sex,age,hospital")
    tune = tmp_path / "other" / "tune.csv"
    found = plan(
        path,
        compare=("rival",),
        tune=tune,
        rule="specificity=0.8",
        group=("sex", "age:50,70"),
        site="hospital",
        at_least=("auc=0.8", "auc:rival=-0.05", "sensitivity=.85"),
        prevalence=0.02,
        cluster=True,
        model="acme-2",
        scale="probability",
        positive=("M",),
        negative=("B",),
        phantom=True,
        title='A "quoted" title',
    )
    given = found["predictions"]
    assert given["compare"] == ["rival"]
    assert given["tune"] == "other/tune.csv"
    assert (given["clustered"], given["model"], given["other_outcomes"]) == (True, "acme-2", "exclude")
    assert found["threshold"] == {"rule": "specificity", "target": 0.8}
    assert found["subgroup"] == [{"column": "sex"}, {"column": "age", "edges": [50.0, 70.0]}]
    assert [e.get("comparator") for e in found["endpoint"]] == [None, "rival", None]
    assert [e["metric"] for e in found["endpoint"]] == ["auc", "auc_difference", "sensitivity"]
    assert found["evaluation"] == {"prevalence": 0.02}
    assert found["task"] == {"outcome": "label", "positive": ["M"], "negative": ["B"]}
    assert (found["phantom"], found["title"]) == (True, 'A "quoted" title')


def test_thresholds_of_the_model_and_of_others(tmp_path: Path) -> None:
    path = table(tmp_path, "id,label,prob,rival")
    given = plan(path, threshold=("0.5", "rival=3"), compare=("rival",))["predictions"]
    assert (given["threshold"], given["compare_thresholds"]) == (0.5, {"rival": 3.0})


def test_a_reader_study(tmp_path: Path) -> None:
    path = table(tmp_path, "case,truth,reader,arm,rating")
    found = plan(path, reader="reader", rating="rating", reference="none", margin=0.05, threshold=("3",))
    assert found["reads"] == {
        "table": "preds.csv",
        "patient": "case",
        "outcome": "truth",
        "reader": "reader",
        "rating": "rating",
        "arm": "arm",
        "reference": "none",
        "threshold": 3.0,
        "margin": 0.05,
    }


@pytest.mark.parametrize(
    "flags",
    [
        {"threshold": ("half",)},
        {"group": ("age:young,old",)},
        {"group": ("size",)},
        {"at_least": ("accuracy=0.9",)},
        {"tune": Path("t.csv"), "rule": "best"},
        {"tune": Path("t.csv"), "rule": "sensitivity=1.5"},
    ],
    ids=lambda flags: "-".join(flags),
)
def test_what_a_flag_cannot_be_is_said(tmp_path: Path, flags: dict[str, Any]) -> None:
    path = table(tmp_path, "id,label,prob,age")
    given = Flags(**flags)
    with pytest.raises(InvalidInputError) as refused:
        plan_text(path, given, chosen_columns(path, given), beside=tmp_path, screen=SCREEN)
    assert str(refused.value.field).startswith("--")
    assert refused.value.remedy


def test_the_question_is_in_the_users_language_and_titles_in_both(tmp_path: Path) -> None:
    path = table(tmp_path, "id,label,prob")
    screen = Screen(settings=Settings(language=Language.ZH))
    text = plan_text(path, Flags(), chosen_columns(path, Flags()), beside=tmp_path, screen=screen)
    found = tomllib.loads(text)
    assert found["title"] == "Validation of the predictions in preds.csv"
    assert "验证" in found["title_zh"]
    assert "效果" in found["question"]


def test_flags_that_were_given() -> None:
    assert Flags(cluster=True, group=("sex",)).given() == ["group", "cluster"]
    assert not Flags().of_readers
