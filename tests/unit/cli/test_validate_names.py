"""`huizhen validate`: names that can't stand in keys are refused at the flag, not in a plan nobody wrote."""

from __future__ import annotations


def test_a_model_s_name_with_spaces_is_refused_at_its_flag(invoke, tmp_path):
    table = tmp_path / "p.csv"
    table.write_text("patient,outcome,score\na,1,0.9\nb,0,0.2\n", encoding="utf-8")
    result = invoke("validate", str(table), "--model", "five features")
    assert result.exit_code != 0
    assert "--model" in result.output
    assert "line" not in result.output


def test_endpoints_of_a_given_table_need_no_external_site(invoke, tmp_path):
    plan = tmp_path / "plan.toml"
    table = tmp_path / "p.csv"
    table.write_text("patient,outcome,score\na,1,0.9\nb,0,0.2\n", encoding="utf-8")
    result = invoke(
        "validate", str(table), "--at-least", "auc=0.8", "--site", "nosuch", "--plan-only", "--out", str(plan)
    )
    assert "role external" not in result.output


def test_flags_that_would_be_dropped_are_refused(invoke, tmp_path):
    table = tmp_path / "p.csv"
    table.write_text("patient,outcome,score\na,1,0.9\nb,0,0.2\n", encoding="utf-8")
    for flags, said in (
        (["--threshold", "0.3", "--threshold", "0.5"], "two thresholds"),
        (["--rule", "youden"], "--tune"),
        (["--at-least", "auc=80"], "at most 1"),
        (["--at-least", "auc=.8.1"], "as a number"),
    ):
        result = invoke("validate", str(table), *flags)
        assert result.exit_code != 0, flags
        assert said in result.output.replace("\n", " "), flags


def test_a_bound_on_a_reader_study_is_not_dropped(invoke, tmp_path):
    table = tmp_path / "reads.csv"
    table.write_text("patient,outcome,reader,rating,arm\na,1,r1,4,x\nb,0,r1,1,x\n", encoding="utf-8")
    result = invoke(
        "validate", str(table), "--reader", "reader", "--rating", "rating", "--at-least", "auc=0.7"
    )
    assert result.exit_code != 0
    assert "--at-least" in result.output


def test_an_internal_table_is_called_so(invoke, tmp_path):
    plan = tmp_path / "plan.toml"
    table = tmp_path / "p.csv"
    table.write_text("patient,outcome,score\na,1,0.9\nb,0,0.2\n", encoding="utf-8")
    flags = ("--cohort", "internal", "--at-least", "auc=0.8", "--plan-only", "--out", str(plan))
    assert invoke("validate", str(table), *flags).exit_code == 0
    assert plan.read_text(encoding="utf-8").count('cohort = "internal"') == 2


def test_a_plan_elsewhere_says_where_its_table_is(invoke, tmp_path):
    kept, plan = tmp_path / "kept", tmp_path / "plans" / "plan.toml"
    kept.mkdir()
    plan.parent.mkdir()
    rows = "".join(f"p{k},{k % 2},{0.3 + 0.4 * (k % 2) + 0.01 * (k % 7)}\n" for k in range(60))
    (kept / "p.csv").write_text(f"patient,outcome,score\n{rows}", encoding="utf-8")
    planned = invoke("validate", str(kept / "p.csv"), "--plan-only", "--out", str(plan))
    assert f"--data {kept}" in planned.output.replace("\n", "")
    assert invoke("validate", "--study", str(plan), "--out", str(tmp_path / "a")).exit_code != 0
    assert invoke("study", "check", str(plan), "--data", str(kept)).exit_code == 0
    told = invoke("validate", "--study", str(plan), "--data", str(kept), "--out", str(tmp_path / "b"))
    assert told.exit_code == 0, told.output
    assert "--study" in invoke("validate", str(kept / "p.csv"), "--data", str(kept)).output


def test_a_plan_s_problems_are_told_without_those_of_studies_with_images(invoke, tmp_path):
    (tmp_path / "p.csv").write_text("patient,outcome,score\na,1,0.9\nb,0,0.2\n", encoding="utf-8")
    plan = tmp_path / "plan.toml"
    assert invoke("validate", str(tmp_path / "p.csv"), "--plan-only", "--out", str(plan)).exit_code == 0
    text = plan.read_text(encoding="utf-8")
    plan.write_text(text + "threshold = 7\nsite = 'nowhere'\n", encoding="utf-8")
    found = invoke("--json", "study", "check", str(plan))
    assert "between 0 and 1" in found.output
    assert "modality" not in found.output
    assert "nowhere" in found.output
    plan.write_text(text.partition("[predictions]")[0] + "predictions = 5\n", encoding="utf-8")
    assert invoke("study", "check", str(plan)).exit_code == 20
    plan.write_text(text.replace('"p.csv"', '"/p.csv"'), encoding="utf-8")
    assert "leads out of the data folder" in invoke("study", "check", str(plan)).output.replace("\n", " ")
