"""huizhen site risk and site recode: a report without a cell of the table, and a recoding that is applied."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

POLICY = """
[quasi.age]
kind = "numeric"
bands = [10, 20]
[quasi.town]
[sensitive.dx]
distinct = 2
[bounds]
k = 5
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    towns = rng.choice(["Oberdorf", "Unterdorf", "Winzigdorf"], 300, p=[0.6, 0.39, 0.01])
    ages, found = rng.integers(20, 80, 300), rng.choice(["Morbus", "Sanus"], 300)
    rows = [f"{age},{town},{dx}" for age, town, dx in zip(ages, towns, found, strict=True)]
    (tmp_path / "t.csv").write_text("age,town,dx\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "policy.toml").write_text(POLICY, encoding="utf-8")
    return tmp_path / "t.csv"


def test_risk_reports_and_recode_applies(invoke, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = invoke("site", "risk", table, "--policy", tmp_path / "policy.toml", "--out", out)
    assert result.exit_code == 0, result.output
    assert "recoding.toml" in result.output
    page = (out / "report.html").read_text(encoding="utf-8")
    assert not [
        word for word in ("dorf", "Morbus", "Sanus") if word in page + (out / "report.json").read_text()
    ]
    report = json.loads((out / "report.json").read_text())
    (evidence,) = json.loads((out / "evidence.json").read_text())
    assert evidence["key"] == f"disclosure/table-{report['table'][:8]}"
    assert report["before"]["k"] == 1
    assert report["after"]["k"] >= 5
    applied = invoke(
        "site", "recode", table, "--recoding", out / "recoding.toml", "--out", tmp_path / "r.csv"
    )
    assert applied.exit_code == 0, applied.output
    assert len((tmp_path / "r.csv").read_text().splitlines()) == report["after"]["patients"] + 1


def test_recode_does_not_write_over_its_table_or_recoding(invoke, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    invoke("site", "risk", table, "--policy", tmp_path / "policy.toml", "--out", out)
    recoding = out / "recoding.toml"
    for one in (table, recoding):
        before = one.read_bytes()
        result = invoke("site", "recode", table, "--recoding", recoding, "--out", one)
        assert result.exit_code == 30
        assert "it would be lost" in result.output
        assert one.read_bytes() == before


def test_risk_in_chinese_and_in_json(invoke, table: Path, tmp_path: Path) -> None:
    flags = ("site", "risk", table, "--policy", tmp_path / "policy.toml", "--out", tmp_path / "out")
    assert "最小等价类" in invoke("--lang", "zh", *flags).output
    assert "重编码" in (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert json.loads(invoke("--json", *flags).stdout)["patients"] == 300


def test_nothing_is_suggested_where_nothing_keeps_the_bounds(invoke, table: Path, tmp_path: Path) -> None:
    flags = ("site", "risk", table, "--policy", tmp_path / "policy.toml", "--out", tmp_path / "out")
    assert invoke(*flags).exit_code == 0
    assert (tmp_path / "out/recoding.toml").exists()
    (tmp_path / "policy.toml").write_text(POLICY.replace("k = 5", "k = 301"), encoding="utf-8")
    result = invoke("site", "risk", table, "--policy", tmp_path / "policy.toml", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "No recoding" in result.output
    assert not (tmp_path / "out/recoding.toml").exists()


@pytest.mark.parametrize("name", ["huizhen.cli.commands.site_risk", "huizhen.cli.commands.site_recode"])
def test_naming_the_commands_loads_nothing_heavy(name: str) -> None:
    code = f"import sys, {name}; print([m for m in ('numpy', 'pandas', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wrong_policy_and_table_say_so(invoke, table: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("[quasi.height]\n", encoding="utf-8")
    absent = invoke("site", "risk", table, "--policy", tmp_path / "policy.toml", "--out", tmp_path / "out")
    assert absent.exit_code == 30
    assert "height" in absent.output
    wrong = invoke(
        "site", "recode", table, "--recoding", tmp_path / "policy.toml", "--out", tmp_path / "r.csv"
    )
    assert wrong.exit_code == 92
    assert not (tmp_path / "r.csv").exists()


def test_link_counts_who_is_rightly_found(invoke, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    ages, towns = rng.integers(20, 80, 300), rng.choice(["a", "b", "c"], 300)
    rows = [f"p{n},{age},{town}" for n, (age, town) in enumerate(zip(ages, towns, strict=True))]
    (tmp_path / "t.csv").write_text("who,age,town\n" + "\n".join(rows) + "\n", encoding="utf-8")
    near = [f"p{n},{age + n % 3 - 1},{town}" for n, (age, town) in enumerate(zip(ages, towns, strict=True))]
    (tmp_path / "known.csv").write_text("who,age,town\n" + "\n".join(near[:100]) + "\n", encoding="utf-8")
    (tmp_path / "policy.toml").write_text(
        'patient = "who"\n[quasi.age]\nkind = "numeric"\nbands = [10, 20]\n[quasi.town]\n[bounds]\nk = 5\n',
        encoding="utf-8",
    )
    table, out = tmp_path / "t.csv", tmp_path / "out"
    assert invoke("site", "risk", table, "--policy", tmp_path / "policy.toml", "--out", out).exit_code == 0
    link = ("--json", "site", "link", table, "--key", "who")
    exact = json.loads(invoke(*link, "--attacker", table).stdout)
    noisy = json.loads(invoke(*link, "--attacker", tmp_path / "known.csv", "--near", "age=1").stdout)
    recoded = ("--recoding", out / "recoding.toml")
    safe = json.loads(invoke(*link, "--attacker", table, *recoded).stdout)
    earlier = json.loads(
        invoke(*link, "--attacker", table, "--attacker-recoding", out / "recoding.toml", *recoded).stdout
    )
    assert exact["right"] > 30
    assert noisy["known"] == 100
    assert noisy["share"] < exact["share"]
    assert (safe["right"], earlier["right"]) == (0, 0)
    assert safe["low"] == 0.0 < safe["high"]
    said = invoke("site", "link", table, "--key", "who", "--attacker", table)
    assert "are rightly found" in said.output
    assert invoke("site", "link", table, "--key", "name", "--attacker", table).exit_code == 30
    assert invoke(*link[1:], "--attacker", table, "--near", "age").exit_code == 10


@pytest.mark.parametrize("name", ["huizhen.cli.commands.site_link"])
def test_naming_link_loads_nothing_heavy(name: str) -> None:
    test_naming_the_commands_loads_nothing_heavy(name)
