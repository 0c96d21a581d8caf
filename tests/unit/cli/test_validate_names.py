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
