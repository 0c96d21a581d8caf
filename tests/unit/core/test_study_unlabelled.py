"""A study file over new patients: outcomes may be missing, everything else is still checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.core.study import Study
from huizhen.core.study_file import load_study
from huizhen.core.study_unlabelled import load_unlabelled
from huizhen.errors import StudyError

HEAD = """\
name = "new"
title = "New patients"
question = "?"
seed = 1
[task]
outcome = "o"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "US"
[[modality]]
name = "clinic"
kind = "table"
numeric = ["age"]
"""


def write(folder: Path, *sources: str) -> Path:
    sites = "".join(f'[[site]]\nname = "s{k}"\n{source}' for k, source in enumerate(sources))
    (folder / "study.toml").write_text(HEAD + sites, encoding="utf-8")
    return folder / "study.toml"


def source(**keys: str) -> str:
    return "[[site.source]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


DICOM = source(reader='"dicom"', modality='"US"', path='"d"')
TABLE = source(reader='"table"', modality='"clinic"', path='"t.csv"', columns='{ patient = "p" }')
LABELLED = source(
    reader='"table"', modality='"clinic"', path='"t.csv"', columns='{ patient = "p", outcome = "o" }'
)


def asked(study: Study) -> list[str | None]:
    return [s.columns.outcome if s.columns else None for site in study.site for s in site.source]


def test_sites_need_no_outcomes_and_none_is_asked_for(tmp_path: Path) -> None:
    file = write(tmp_path, DICOM, TABLE, LABELLED, DICOM + LABELLED)
    with pytest.raises(StudyError, match="no source has columns"):
        load_study(file)
    study = load_unlabelled(file)
    assert asked(study) == [None] * 5
    assert study.site[0].source[0].columns is None
    patients = [s.columns.patient for site in study.site[1:] for s in site.source if s.columns]
    assert patients == ["p", "p", "p"]


def test_a_file_with_outcomes_is_otherwise_the_same(tmp_path: Path) -> None:
    file = write(tmp_path, LABELLED + DICOM)
    plain = load_study(file).model_dump(mode="json")
    plain["site"][0]["source"][0]["columns"]["outcome"] = None
    assert load_unlabelled(file).model_dump(mode="json") == plain


def test_outcomes_stay_where_they_say_who_is_listed(tmp_path: Path) -> None:
    shared = source(
        reader='"table"',
        modality='"clinic"',
        path='"all.csv"',
        patients='"listed"',
        columns='{ patient = "p" }',
    )
    assert asked(load_unlabelled(write(tmp_path, LABELLED + shared + DICOM))) == ["o", None, None]


def test_all_other_problems_are_told(tmp_path: Path) -> None:
    file = write(tmp_path, DICOM.replace("path", "paht"), "source = 3\n", 'source = ["x"]\n')
    file.write_text(file.read_text().replace("seed = 1", "sead = 1"))
    with pytest.raises(StudyError) as caught:
        load_unlabelled(file)
    message = str(caught.value)
    assert "did you mean seed?" in message
    assert "did you mean path?" in message
    assert "site[1].source: must be a list" in message
    assert "outcome" not in message
    assert "unknown)" not in message
