"""huizhen data audit-labels: from a table to the sheet at the site, its answers, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from huizhen.cli.commands.data_audit_labels import PRIVATE, STATE
from huizhen.core.streams import stream
from huizhen.federate.site.folder import SiteFolder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of 200 labels, 12 of them wrong, with risks."""
    draw = stream(1, "cli", "audit")
    truth = draw.integers(0, 2, 200)
    risk = 1 / (1 + np.exp(-4 * (draw.normal(size=200) * 0.7 + 2 * (truth - 0.5))))
    label = truth.copy()
    label[:12] ^= 1
    lines = [f"S{k:03d},{'ab'[label[k]]},{risk[k]:.4f}" for k in range(200)]
    path = tmp_path / "risks.csv"
    path.write_text("\n".join(["id,label,p_b", *lines]) + "\n", encoding="utf-8")
    return path


def test_an_audit_and_its_answers(invoke: Any, table: Path) -> None:
    result = invoke("data", "audit-labels", table)
    assert result.exit_code == 0, result.output
    assert "Labels: 200" in result.output
    assert "S0" not in result.output
    folder = table.with_suffix(".labels")
    sheet = (folder / PRIVATE / "review.csv").read_text().splitlines()[1:]
    names = [line.partition(",")[0] for line in sheet]
    right = {f"S{k:03d}" for k in range(12)}
    labels = dict(line.split(",")[:2] for line in table.read_text().splitlines()[1:])
    done = [f"{n},{labels[n] if n not in right else 'ab'[labels[n] == 'a']}" for n in names]
    (folder / "done.csv").write_text("\n".join(["case,decision", *done]) + "\n")
    again = invoke("data", "audit-labels", table, "--reviewed", folder / "done.csv")
    assert again.exit_code == 0, again.output
    assert "Share of wrong labels" in again.output
    assert (folder / PRIVATE / "labels.corrected.csv").stat().st_mode & 0o777 == 0o600


def test_the_list_lies_in_the_sites_folder(invoke: Any, as_json: Callable[..., Any], table: Path) -> None:
    home = table.parent / "site"
    SiteFolder.create(home, name="north", data=table.parent)
    out = table.parent / "leaves"
    result = as_json(invoke("--json", "data", "audit-labels", table, "--site", home, "--out", out))
    assert Path(result["stays"]) == home / STATE / "risks"
    assert sorted(path.name for path in out.iterdir()) == [
        "evidence.json",
        "report.en.html",
        "report.zh.html",
    ]
    assert not [path for path in out.iterdir() if "S0" in path.read_text(encoding="utf-8")]


def test_probabilities_of_the_training_are_doubted_in_chinese(invoke: Any, tmp_path: Path) -> None:
    path = tmp_path / "seen.csv"
    path.write_text("id,label,p_b\n" + "".join(f"{k},{'ab'[k % 2]},{k % 2}\n" for k in range(40)))
    result = invoke("--lang", "zh", "data", "audit-labels", path)
    assert result.exit_code == 0, result.output
    assert "恰为 0 或 1" in result.output
    assert "几乎每个标签" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--probability", "b"], 10, "names no class and column"),
        (["--label", "truth"], 30, "no column truth"),
        (["--reviewed", "absent.csv"], 30, "holds no sheet"),
        (["--site", "."], 92, "is no site's file"),
    ],
)
def test_refusals(invoke: Any, table: Path, arguments: list[str], code: int, says: str) -> None:
    result = invoke("data", "audit-labels", table, *arguments)
    assert result.exit_code == code, result.output
    assert says in result.output


def test_a_study_of_a_table_is_sent_to_the_table(invoke: Any, table: Path) -> None:
    plan = invoke("validate", table, "--outcome", "label", "--score", "p_b", "--positive", "b", "--plan-only")
    assert plan.exit_code == 0, plan.output
    result = invoke("data", "audit-labels", table.with_suffix(".plan.toml"))
    assert result.exit_code == 20, result.output
    assert "audit the table itself" in result.output


def test_the_evidence_stands_in_a_dossier_that_verifies(
    invoke: Any, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUIZHEN_HOME", str(tmp_path / "home"))
    assert invoke("data", "audit-labels", table).exit_code == 0
    evidence = table.with_suffix(".labels") / "evidence.json"
    columns = [
        "--patient",
        "id",
        "--outcome",
        "label",
        "--score",
        "p_b",
        "--positive",
        "b",
        "--negative",
        "a",
    ]
    made = invoke("--json", "validate", table, *columns, "--evidence", evidence, "--out", tmp_path / "run")
    assert made.exit_code == 0, made.output
    dossier = Path(json.loads(made.stdout)["dossier"])
    assert "Suspect labels" in (dossier / "index.html").read_text(encoding="utf-8")
    assert invoke("verify", dossier, "--recompute").exit_code == 0
    evidence.write_text(
        '[{"key": "auc/model/external/all", "metric": "auc", "stage": "x", "descriptive": true}]'
    )
    refused = invoke("validate", table, *columns, "--evidence", evidence, "--out", tmp_path / "two")
    assert refused.exit_code == 20


def test_a_folder_is_no_table(invoke, tmp_path: Path) -> None:
    for folder in (tmp_path, "."):
        asked = invoke("data", "audit-labels", folder)
        assert asked.exit_code == 10
        assert "is a folder" in asked.stderr
