"""`study new`: a file that loads, from flags or answers; never over another file."""

from __future__ import annotations

import pytest

from huizhen.core.study_file import load_study

FLAGS = (
    *("--name", "us", "--title", 'Two "hospitals"', "--question", "Malignant?"),
    *("--positive", "malignant", "--negative", "benign", "--negative", "normal"),
    *("--modality", "US", "--modality", "clinical=age,her2:category"),
    *("--site", "north", "--site", "south:external:far/south"),
)


def test_flags_give_a_study_that_loads(invoke, tmp_path):
    result = invoke("study", "new", tmp_path / "study.toml", *FLAGS, "--seed", 5)
    assert result.exit_code == 0, result.output
    study = load_study(tmp_path / "study.toml")
    assert (study.name, study.title, study.seed) == ("us", 'Two "hospitals"', 5)
    assert study.task.negative == ("benign", "normal")
    assert study.table_modalities[0].categorical == ("her2",)
    assert [(site.name, site.role.value) for site in study.site] == [
        ("north", "development"),
        ("south", "external"),
    ]
    assert study.site[1].source[0].path == "far/south/US"
    assert {endpoint.cohort for endpoint in study.endpoint} == {"internal", "external"}


def test_json_names_the_file(invoke, as_json, tmp_path):
    result = invoke("study", "new", tmp_path / "study.toml", *FLAGS, "--json")
    assert as_json(result) == {"ok": True, "study": str(tmp_path / "study.toml")}


def test_never_overwrites(invoke, tmp_path):
    (tmp_path / "study.toml").write_text("mine")
    result = invoke("study", "new", tmp_path / "study.toml", *FLAGS)
    assert result.exit_code == 20
    assert (tmp_path / "study.toml").read_text() == "mine"


def test_missing_flags_are_all_named_when_nobody_can_be_asked(invoke, tmp_path):
    result = invoke("study", "new", tmp_path / "study.toml", "--name", "us")
    assert result.exit_code == 10
    assert "--title, --question, --positive, --negative, --modality, --site" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_questions_fill_what_flags_leave_open(invoke, tmp_path, monkeypatch):
    monkeypatch.setattr("huizhen.cli.commands.study_new.in_terminal", lambda: True)
    answers = "us\nA title\nMalignant?\nmalignant\nbenign, normal\nUS; clinical=age\nnorth, south:external\n"
    result = invoke("study", "new", tmp_path / "study.toml", answers=answers)
    assert result.exit_code == 0, result.output
    study = load_study(tmp_path / "study.toml")
    assert [modality.name for modality in study.modality] == ["US", "clinical"]
    assert study.task.negative == ("benign", "normal")


def test_questions_broken_off_write_nothing(invoke, tmp_path, monkeypatch):
    monkeypatch.setattr("huizhen.cli.commands.study_new.in_terminal", lambda: True)
    assert invoke("study", "new", tmp_path / "study.toml", answers="us\n").exit_code == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("--name", "no spaces", "plain name"),
        ("--site", "a:elsewhere", "development or external"),
        ("--reader", "npz", "images, dicom, nifti"),
    ],
)
def test_bad_flags_are_refused(invoke, tmp_path, flag, value, says):
    result = invoke("study", "new", tmp_path / "study.toml", *FLAGS, flag, value)
    assert result.exit_code == 10
    assert says in result.stderr


def test_a_study_of_tables_alone_loads(invoke, tmp_path):
    flags = [item for item in FLAGS if item not in ("US",)]
    flags.remove("--modality")
    assert invoke("study", "new", tmp_path / "study.toml", *flags).exit_code == 0
    assert load_study(tmp_path / "study.toml").site[0].source[0].columns.outcome == "outcome"
