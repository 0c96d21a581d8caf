"""Columns of subgroups: read from any labels table of a site, empty where nothing or several things stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from huizhen.core.cohort import Case, ImageRecord
from huizhen.core.digests import Digest
from huizhen.core.study import Study
from huizhen.data.group_columns import with_groups
from huizhen.errors import DataError


def a_study(*columns: str) -> Study:
    images = {"reader": "images", "modality": "MG", "path": "mg", "labels": "labels.csv"}
    clinic = {"reader": "table", "modality": "clinic", "path": "clinic.csv"}
    kept: dict[str, Any] = {"where": {"use": "yes"}}
    return Study.model_validate(
        {
            "name": "small",
            "title": "t",
            "question": "q",
            "seed": 1,
            "task": {"outcome": "y", "positive": ("1",), "negative": ("0",)},
            "modality": [
                {"name": "MG", "kind": "image"},
                {"name": "clinic", "kind": "table", "numeric": ("size",), "missing_codes": ("NP",)},
            ],
            "site": [
                {
                    "name": "north",
                    "source": [
                        {**images, "columns": {"patient": "id", "outcome": "y"}, **kept},
                        {**clinic, "columns": {"patient": "id"}},
                    ],
                }
            ],
            "subgroup": [{"column": column} for column in columns],
        }
    )


def image(scanner: str) -> ImageRecord:
    return ImageRecord(
        patient_id="7", modality="MG", source=0, key=scanner, digest=Digest("0" * 64), scanner=scanner
    )


CASES = tuple(
    Case(pseudonym=f"P-{i}", patient_id=i, site="north", outcome=1, images={"MG": (image("A"), image(s))})
    for i, s in (("7", "A"), ("8", "B"), ("9", ""))
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.csv").write_text(
        "id,y,use,sex,twice\n7.0,1,yes,F,a\n7,1,yes,F,b\n8,0,yes, M ,a\n8,0,no,F,a\n9,1,yes,NA,a\n"
    )
    (tmp_path / "clinic.csv").write_text("id,size,menopause\n7,1,post\n8,2,NP\n")
    return tmp_path


def test_a_column_comes_from_whichever_table_has_it(folder: Path) -> None:
    found = with_groups(a_study("sex", "menopause", "twice"), CASES, [folder])
    assert [dict(case.groups) for case in found] == [
        {"sex": "F", "menopause": "post", "twice": ""},
        {"sex": "M", "menopause": "", "twice": "a"},
        {"sex": "", "menopause": "", "twice": "a"},
    ]
    assert [case.covariates for case in found] == [{}, {}, {}]


def test_scanners_are_those_of_the_images(folder: Path) -> None:
    found = with_groups(a_study("scanner:MG", "site", "present:MG"), CASES, [folder])
    assert [dict(case.groups) for case in found] == [
        {"scanner:MG": "A"},
        {"scanner:MG": "A + B"},
        {"scanner:MG": "A"},
    ]
    assert with_groups(a_study(), CASES, [folder]) == CASES


def test_a_column_that_no_table_has_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(DataError, match="site north has the column sexe") as refused:
        with_groups(a_study("sexe"), CASES, [folder])
    assert refused.value.field == "subgroup.column"


def test_a_federations_site_may_lack_a_column_that_others_have(folder: Path) -> None:
    found = with_groups(a_study("sexe", "sex"), CASES, [folder], lenient=True)
    assert [dict(case.groups) for case in found] == [{"sex": "F"}, {"sex": "M"}, {"sex": ""}]
