"""The parts of a report beyond the table: asked for by the policy, told without a cell of anybody."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.words import Language
from huizhen.data.disclosure.assess import assess
from huizhen.data.disclosure.beyond import beyond
from huizhen.data.disclosure.policy import load_policy
from huizhen.data.disclosure.report import write_report
from huizhen.errors import DataError

POLICY = """
[quasi.age]
kind = "numeric"
bands = [10, 20]
[quasi.town]
[sensitive.dx]
distinct = 2
[bounds]
k = 4
[outcome]
column = "dx"
positive = ["E75"]
[rare_disease]
column = "dx"
prevalence = "prevalence.csv"
catchment = 500000
fewest = 300
[genotypes]
prefix = "rs"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(8)
    ages, towns = rng.integers(20, 80, 400), rng.choice(["Nord", "Sued"], 400)
    found = np.where(rng.random(400) < (ages - 10) / 100, "E75", "C50")
    doses = rng.binomial(2, 0.4, (400, 12))
    head = "age,town,dx," + ",".join(f"rs{k}" for k in range(12))
    rows = [
        f"{age},{town},{dx}," + ",".join(map(str, row))
        for age, town, dx, row in zip(ages, towns, found, doses, strict=True)
    ]
    (tmp_path / "t.csv").write_text(head + "\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "prevalence.csv").write_text("code,per_million\nE75,10\nC50,4000\n", encoding="utf-8")
    everybody = [f"{age},{town}" for age in range(20, 80) for town in ("Nord", "Sued") for _ in range(20)]
    (tmp_path / "people.csv").write_text("age,town\n" + "\n".join(everybody) + "\n", encoding="utf-8")
    return tmp_path


def parts(folder: Path, more: str = "") -> dict:
    (folder / "policy.toml").write_text(POLICY + more, encoding="utf-8")
    found = assess(folder / "t.csv", load_policy(folder / "policy.toml"))
    made = beyond(found, folder / "t.csv", folder)
    for language in Language:
        page = write_report(found, folder / language.value, language, made).read_text(encoding="utf-8")
        assert not [word for word in ("Nord", "Sued", "E75", "C50") if word in page]
    return json.loads((folder / "en/report.json").read_text(encoding="utf-8"))


def test_what_the_policy_asks_for_is_told(folder: Path) -> None:
    found = parts(folder, "[population]\nsize = 20000\n")
    assert found["rare_disease"]["diseases"] == 1
    assert found["rare_disease"]["max_risk"] < 0.01  # one over the table's own patients with it
    assert found["genotypes"]["snps"] == 12
    assert (
        found["model"]["low"] <= found["model"]["after"] - found["model"]["before"] <= found["model"]["high"]
    )
    risk = found["population"]["before"]["average_risk"]
    assert 0 < risk["low"] <= risk["value"] <= risk["high"] <= 1
    assert found["population"]["log_linear"]["terms"] == "pairs"


def test_a_table_of_the_population_gives_the_journalists_risk(folder: Path) -> None:
    found = parts(folder, '[population]\ntable = "people.csv"\n')
    told = found["population"]
    assert told["people"] == 2400
    assert told["max_risk"] == pytest.approx(1 / 20)
    assert told["max_risk"] < found["before"]["max_risk"]
    assert (told["uniques"], told["not_in_it"]) == (0, 0)


def test_tables_that_cannot_be_used_say_so(folder: Path) -> None:
    (folder / "prevalence.csv").write_text("code,per_million\nE75,often\n", encoding="utf-8")
    with pytest.raises(DataError, match="no number"):
        parts(folder)
    (folder / "prevalence.csv").write_text("code,per_million\nE75,1\n", encoding="utf-8")
    (folder / "t.csv").write_text((folder / "t.csv").read_text().replace("rs", "snp"), encoding="utf-8")
    with pytest.raises(DataError, match="no column begins with rs"):
        parts(folder)
