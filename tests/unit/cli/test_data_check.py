"""huizhen data check: what is printed, where things lie, and studies that have nothing to check here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from huizhen.cli.commands.data_check import PRIVATE, STATE
from huizhen.core.streams import stream
from huizhen.federate.site.folder import SiteFolder

STUDY = """
schema_version = 1
name = "checked"
title = "Checked"
question = "Is it malignant?"
seed = 3
[task]
outcome = "found"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "clinic"
kind = "table"
numeric = ["age", "chol"]
[[site]]
name = "north"
[[site.source]]
reader = "table"
modality = "clinic"
path = "clinic.csv"
columns = { patient = "id", outcome = "found" }
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    draw = stream(1, "cli", "check")
    rows = [
        f"MRN{k},{k % 2},{draw.normal(60, 9):.0f},{0 if k < 9 else draw.normal(240, 30):.0f}"
        for k in range(90)
    ]
    (tmp_path / "clinic.csv").write_text("\n".join(["id,found,age,chol", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path / "study.toml"


def test_a_check_in_both_languages(invoke: Any, study: Path) -> None:
    result = invoke("data", "check", study)
    assert result.exit_code == 0, result.output
    assert "Odd values in tables: 9" in result.output
    assert "MRN" not in result.output
    folder = study.with_suffix(".check")
    assert "MRN3" in (folder / PRIVATE / "values.csv").read_text()
    assert "MRN" not in (folder / "report.en.html").read_text() + (folder / "evidence.json").read_text()
    again = invoke("--lang", "zh", "data", "check", study)
    assert "9 个异常数值" in again.output


def test_the_site_keeps_the_lists(
    invoke: Any, as_json: Callable[..., Any], study: Path, tmp_path: Path
) -> None:
    SiteFolder.create(tmp_path / "site", name="north", data=tmp_path)
    found = as_json(invoke("--json", "data", "check", study, "--site", tmp_path / "site", "--pictures"))
    assert Path(found["stays"]) == tmp_path / "site" / STATE / "study"
    assert (found["patients"], found["odd_values"], found["images"]) == (90, 9, 0)
    assert not (study.with_suffix(".check") / PRIVATE).exists()


def test_a_study_of_a_table_has_no_data(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,y,p\n" + "".join(f"{k},{k % 2},0.{k}\n" for k in range(10, 40)))
    plan = invoke(
        "validate", tmp_path / "p.csv", "--outcome", "y", "--score", "p", "--positive", "1", "--plan-only"
    )
    assert plan.exit_code == 0, plan.output
    result = invoke("data", "check", tmp_path / "p.plan.toml")
    assert result.exit_code == 20
    assert "judges a table" in result.output
