"""The study file: good ones load, bad ones are refused with every problem named at once."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.study import Study
from huizhen.core.study_file import check_study, check_study_text, load_study, study_roots
from huizhen.errors import StudyError

GOOD = """\
name = "tiny"
title = "Tiny"
question = "Is it malignant?"
seed = 7

[task]
outcome = "malignancy"
positive = ["malignant"]
negative = ["benign"]

[[modality]]
name = "US"
kind = "image"

[[modality]]
name = "clinical"
kind = "table"
numeric = ["age"]

[[site]]
name = "north"

[[site.source]]
reader = "images"
modality = "US"
path = "north/images"
labels = "north/labels.csv"
columns = { patient = "case", outcome = "pathology", image = "file" }
where = { device = "A" }

[[site.source]]
reader = "table"
modality = "clinical"
path = "north/clinical.csv"
columns = { patient = "case" }

[[site]]
name = "south"
role = "external"

[[site.source]]
reader = "npz"
modality = "US"
path = "south.npz"
array = "images"
labels = "north/labels.csv"
columns = { patient = "case", outcome = "pathology" }

[[endpoint]]
cohort = "external"
at_least = 0.7
"""


def problems_of(text: str) -> dict[str, str]:
    """Return field -> "reason (remedy)" of a text's problems."""
    return {problem.field: f"{problem.reason} ({problem.remedy})" for problem in check_study_text(text)}


def changed(old: str, new: str) -> dict[str, str]:
    assert GOOD.count(old) >= 1
    return problems_of(GOOD.replace(old, new, 1))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file with the files that it names: 60 patients, half of them malignant."""
    (tmp_path / "north" / "images").mkdir(parents=True)
    (tmp_path / "north" / "images" / "0.png").write_bytes(b"x")
    write_table(
        tmp_path / "north" / "labels.csv",
        ["case", "pathology", "file", "device"],
        [[f"p{i}", ("malignant", "benign")[i % 2], f"{i}.png", "A"] for i in range(80)],
    )
    write_table(tmp_path / "north" / "clinical.csv", ["case", "age"], [[f"p{i}", 50 + i] for i in range(60)])
    np.savez(tmp_path / "south.npz", images=np.zeros((2, 4, 4), np.uint8))
    (tmp_path / "study.toml").write_text(GOOD, encoding="utf-8")
    return tmp_path / "study.toml"


def write_table(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


def test_good_study_loads_without_problems(study: Path) -> None:
    assert isinstance(load_study(study), Study)
    assert check_study(study, data_root=None) == []


def test_digest_is_of_the_content_not_of_comments_or_order(study: Path) -> None:
    before = load_study(study).digest
    study.write_text("# a comment\n" + GOOD.replace("seed = 7\n", "").replace("title", "seed = 7\ntitle", 1))
    assert load_study(study).digest == before


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("question =", "qestion =", "qestion", "did you mean question?"),
        ("question =", "qestion =", "question", "is missing"),
        ("seed = 7", "seed = 7\nepochs = 3", "epochs", "it belongs in [training]"),
        ("seed = 7", "seed = 7\nzzzz = 3", "zzzz", "known keys here: active,"),
        ('patient = "case"', 'pateint = "case"', "site[0].source[0].columns.pateint",
         "did you mean patient?"),
        ('kind = "image"', 'kind = "image"\nencodr = "x"', "modality[0].encodr", "did you mean encoder?"),
        ('kind = "table"', 'kind = "table"\nencoder = "x"', "modality[1].encoder",
         "it belongs in [[modality]]"),
        ('kind = "image"\n', 'kind = "sound"\n', "modality[0]", "unknown kind"),
        ('reader = "npz"', 'reader = "npzz"', "site[1].source[0].reader", "did you mean npz?"),
        ('role = "external"', 'role = "development2"', "site[1].role", "did you mean development?"),
        ("seed = 7", 'seed = "7"', "seed", "must be a whole number"),
        ("seed = 7", "seed = 7.5", "seed", "must be a whole number"),
        ("seed = 7", "seed = -1", "seed", "must be at least 0"),
        ("seed = 7", "seed = 7\nphantom = 1", "phantom", "must be true or false"),
        ("[[endpoint]]", '[transfer]\nlead = "DEU"\n[[endpoint]]', "transfer.lead", "two capital letters"),
        (
            "[[endpoint]]",
            "[transfer]\nlead = 'DE'\nuntil = '1.3.2027'\n[[endpoint]]",
            "transfer.until",
            "is no day",
        ),
        ("seed = 7", "seed = nan", "seed", "not a finite number"),
        ('title = "Tiny"', "title = 1979-05-27", "title", "date or time"),
        ('title = "Tiny"', "title = 3", "title", "must be text"),
        ('positive = ["malignant"]', 'positive = "malignant"', "task.positive", "must be a list"),
        ('positive = ["malignant"]', "positive = []", "task.positive", "needs at least 1"),
        ('positive = ["malignant"]', 'positive = ["benign"]', "task", "both positive and negative: benign"),
        ("at_least = 0.7", 'at_least = "high"', "endpoint[0].at_least", "must be a number"),
        ("at_least = 0.7", 'at_least = 0.7\nmetric = "auc_difference"', "endpoint[0]", "against"),
        ('name = "north"', 'name = "north clinic"', "site[0].name", "not a plain name"),
        ('name = "south"', 'name = "north"', "(study)", "site names used twice: north"),
        ('modality = "clinical"', 'modality = "clinics"', "(study)", "unknown modality clinics"),
        ('role = "external"', 'role = "development"', "endpoint[0].cohort", "no site has role external"),
        ("at_least = 0.7", 'at_least = 0.7\nmodel = "table_lr"', "endpoint[0].model", "network.variants"),
        ('[[site]]\nname = "north"', '[[modality]]\nname = "MG"\nkind = "image"\n[[site]]\nname = "north"',
         "modality[2]", "no site has a source for MG"),
        ("[[endpoint]]", "[split]\ntest = 1.5\n[[endpoint]]", "split.test", "must be below 0.9"),
        ("[[endpoint]]", "[network]\nwidth = 30\n[[endpoint]]", "network", "multiple of heads"),
        ('where = { device = "A" }', "where = { device = [true] }", "site[0].source[0].where.device[0]",
         "must be"),
        ("[[endpoint]]", "[endpoint]", "endpoint", "must be a list"),
    ],
)  # fmt: skip
def test_each_fault_is_named_with_its_field(old: str, new: str, field: str, says: str) -> None:
    problems = changed(old, new)
    assert field in problems, problems
    assert says in problems[field]


def test_syntax_error_gives_its_line() -> None:
    (problem,) = check_study_text("name = 'a'\ntitle = \n")
    assert problem.line == 2
    assert "not valid TOML" in problem.reason


def test_every_problem_is_reported_at_once_with_lines() -> None:
    text = GOOD.replace("seed = 7", "sead = 7").replace('name = "south"', 'name = "north"')
    text = text.replace("at_least = 0.7", "at_least = 0.7\nmodel = 'cmann'")
    text = text.replace('path = "south.npz"', "").replace('kind = "image"', 'kind = "image"\nsize = 33')
    found = check_study_text(text)
    fields = {problem.field for problem in found}
    assert {"sead", "seed", "modality[0].size", "site[1].source[0].path", "endpoint[0].model"} <= fields
    lines = {problem.field: problem.line for problem in found}
    assert lines["sead"] == 4
    assert lines["modality[0].size"] == text.splitlines().index("size = 33") + 1
    assert lines["site[1].source[0].path"] == text.splitlines().index('reader = "npz"')


def test_rules_across_fields_do_not_wait_for_a_missing_title() -> None:
    text = GOOD.replace('title = "Tiny"\n', "").replace('modality = "clinical"', 'modality = "clinics"')
    assert {problem.field for problem in check_study_text(text)} == {"title", "(study)"}


def test_broken_source_does_not_bring_problems_that_follow_from_it() -> None:
    text = GOOD.replace('path = "south.npz"\n', "")
    assert [problem.field for problem in check_study_text(text)] == ["site[1].source[0].path"]


def test_load_lists_all_problems_in_one_error(study: Path) -> None:
    study.write_text(GOOD.replace("seed = 7", "sead = 7"), encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        load_study(study)
    assert "2 problems" in caught.value.message
    assert "line 4: sead: is an unknown key (did you mean seed?)" in caught.value.message
    assert caught.value.file == str(study)


def test_missing_file_and_wrong_encoding_are_study_errors(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="can't be read"):
        load_study(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes("title = 'é'".encode("latin-1"))
    with pytest.raises(StudyError, match="UTF-8"):
        check_study(tmp_path / "latin.toml", data_root=None)


def on_disk(study: Path, old: str, new: str) -> dict[str, str]:
    assert old in GOOD
    study.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    found = check_study(study, data_root=None)
    return {problem.field: f"{problem.reason} ({problem.remedy})" for problem in found}


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("north/images", "north/imgaes", "site[0].source[0].path", "did you mean north/images?"),
        ("north/images", "zzz/q", "site[0].source[0].path", "--data or $HUIZHEN_DATA"),
        ("north/labels.csv", "north/label.csv", "site[0].source[0].labels", "did you mean north/labels.csv?"),
        ('outcome = "pathology"', 'outcome = "patology"', "site[0].source[0].columns.outcome",
         "did you mean pathology?"),
        ('outcome = "pathology"', 'outcome = "device"', "site[0].source[0].columns.outcome",
         "no row of column"),
        ('device = "A"', 'device = "B"', "site[0].source[0].where", "matches no row"),
        ('device = "A"', 'devise = "A"', "site[0].source[0].where.devise", "did you mean device?"),
        ('numeric = ["age"]', 'numeric = ["agee"]', "modality[1].numeric", "did you mean age?"),
        ('array = "images"', 'array = "image"', "site[1].source[0].array", "did you mean images?"),
        ('"south.npz"', '"north"', "site[1].source[0].path", "is a folder"),
        ('"south.npz"', '"study.toml"', "site[1].source[0].path", "not a readable npz"),
        ("[[endpoint]]", "[split]\ntest = 0.1\n[[endpoint]]", "split.test", "at least 5 are needed"),
        ("[[endpoint]]", '[split]\nmethod = "folds"\nfolds = 10\n[[endpoint]]', "split.folds",
         "4.0 patients"),
    ],
)  # fmt: skip
def test_each_fault_against_the_files_is_named(
    study: Path, old: str, new: str, field: str, says: str
) -> None:
    problems = on_disk(study, old, new)
    assert field in problems, problems
    assert says in problems[field]


def test_files_are_checked_even_when_the_text_has_problems(study: Path) -> None:
    assert set(on_disk(study, "seed = 7", "sead = 7").keys()) == {"sead", "seed"}
    study.write_text(study.read_text().replace("north/images", "north/imgaes"), encoding="utf-8")
    fields = {problem.field for problem in check_study(study, data_root=None)}
    assert fields == {"sead", "seed", "site[0].source[0].path"}


def test_data_root_comes_before_the_study_folder(study: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    (other / "north" / "images").mkdir(parents=True)
    assert study_roots(study, other) == [other, tmp_path]
    found = check_study(study, data_root=other)
    assert [problem.field for problem in found] == ["site[0].source[0].path"]
    assert "empty folder" in found[0].reason


def test_a_broken_labels_table_is_a_problem_not_a_crash(study: Path) -> None:
    (study.parent / "north" / "labels.csv").write_bytes(b"\xff\xfe\x00case")
    fields = [problem.field for problem in check_study(study, data_root=None)]
    assert "site[0].source[0].labels" in fields


def test_no_patient_value_stands_in_a_message(study: Path) -> None:
    text = GOOD.replace('outcome = "pathology"', 'outcome = "case"').replace('device = "A"', 'device = "Q"')
    study.write_text(text, encoding="utf-8")
    assert not any("p17" in str(problem) for problem in check_study(study, data_root=None))
