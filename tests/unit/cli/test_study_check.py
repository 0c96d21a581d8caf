"""`study check`: problems as lines an editor can follow, or as a list for a machine."""

from __future__ import annotations

from huizhen.core.study_file import load_study


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def good(folder):
    """Write a study with its one table: 80 patients, half of them positive."""
    rows = "".join(f"p{i},{i % 2},{40 + i}\n" for i in range(80))
    write(folder / "table.csv", "patient,outcome,age\n" + rows)
    return write(
        folder / "study.toml",
        """\
name = "tiny"
title = "Tiny"
question = "?"
seed = 1
[task]
outcome = "event"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "clinical"
kind = "table"
numeric = ["age"]
[[site]]
name = "north"
[[site.source]]
reader = "table"
modality = "clinical"
path = "table.csv"
columns = { patient = "patient", outcome = "outcome" }
""",
    )


def test_a_good_study_exits_0_with_its_digest(invoke, as_json, tmp_path):
    study = good(tmp_path)
    result = invoke("study", "check", study)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "no problems" in result.stdout
    digest = load_study(study).digest
    assert as_json(invoke("study", "check", study, "--json")) == {
        "ok": True,
        "problems": [],
        "notes": [],
        "digest": digest,
    }


def test_problems_come_as_file_line_field_reason_remedy(invoke, tmp_path):
    study = good(tmp_path)
    write(study, study.read_text().replace("seed = 1", "sead = 1").replace('"table.csv"', '"tabel.csv"'))
    result = invoke("study", "check", study)
    assert result.exit_code == 20
    assert f"{study}:4: sead: is an unknown key\n    What to do: did you mean seed?" in result.stdout
    assert f"{study}:18: site[0].source[0].path: tabel.csv does not exist" in result.stdout
    assert "did you mean table.csv?" in result.stdout
    assert result.stdout.endswith("3 problems.\n")


def test_json_lists_every_problem(invoke, as_json, tmp_path):
    study = good(tmp_path)
    write(study, study.read_text().replace("seed = 1", "sead = 1"))
    result = invoke("study", "check", study, "--json")
    assert result.exit_code == 20
    record = as_json(result)
    assert record["ok"] is False
    assert [problem["field"] for problem in record["problems"]] == ["seed", "sead"]
    assert set(record["problems"][0]) == {"field", "reason", "remedy", "line"}


def test_data_folder_from_flag_and_environment(invoke, tmp_path, monkeypatch):
    study = good(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "table.csv").rename(elsewhere / "table.csv")
    assert invoke("study", "check", study).exit_code == 20
    assert invoke("study", "check", study, "--data", elsewhere).exit_code == 0
    monkeypatch.setenv("HUIZHEN_DATA", str(elsewhere))
    assert invoke("study", "check", study).exit_code == 0
    monkeypatch.setenv("HUIZHEN_DATA", str(tmp_path / "nowhere"))
    result = invoke("study", "check", study)
    assert result.exit_code == 10
    assert "$HUIZHEN_DATA" in result.stderr


def test_missing_file_is_a_study_error(invoke, tmp_path):
    result = invoke("study", "check", tmp_path / "none.toml")
    assert result.exit_code == 20
    assert "huizhen study new" in result.stderr


def test_a_form_with_blanks_is_told_before_a_run(invoke, as_json, tmp_path):
    study = good(tmp_path)
    text = study.read_text(encoding="utf-8") + '[dossier]\nform = "form.toml"\n'
    write(study, text)
    assert "can't be read" in invoke("study", "check", study).stdout
    assert invoke("form", "new", study, "--out", tmp_path / "form.toml").exit_code == 0
    result = invoke("study", "check", study, "--json")
    assert result.exit_code == 20
    (problem,) = as_json(result)["problems"]
    assert problem["field"] == "dossier.form"
    assert "EV01: is blank" in problem["reason"]
