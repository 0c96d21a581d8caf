"""huizhen transfer check and transfer rules, and what study check says of transfers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

STUDY = """
name = "abroad"
title = "Abroad"
question = "?"
seed = 1
[task]
outcome = "what"
positive = ["bad"]
negative = ["good"]
[[modality]]
name = "US"
size = 32
[[site]]
name = "north"
jurisdiction = "DE"
[[site.source]]
reader = "npz"
modality = "US"
path = "scans.npz"
labels = "labels.csv"
columns = { patient = "who", outcome = "what" }
[federation]
[transfer]
lead = "GB"
until = "2027-12-31"
[transfer.facts]
consent_explicit = true
[transfer.site.lead]
weights_anonymous = true
"""
PAPER = """
[[transfer.document]]
kind = "impact_assessment"
id = "DPIA-2026-3"
site = "north"
issued = "2026-01-01"
expires = "2027-06-30"
"""
RULES = """
[law]
id = "GB-OWN"
title = { en = "United Kingdom", zh = "英国" }
places = ["GB"]
checked = 2026-11-01
[[gate]]
id = "route"
title = { en = "Route", zh = "途径" }
[[rule]]
id = "OWN-1"
gate = "route"
source = "counsel"
since = 2026-01-01
when = ["kind in [weights]", "anonymous is true"]
decision = "exempt"
basis = { en = "Anonymous.", zh = "匿名。" }
verified = "source"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    images = np.random.default_rng(0).integers(0, 255, (200, 40, 40)).astype(np.uint8)
    np.savez(tmp_path / "scans.npz", images=images)
    rows = "".join(f"p{n},{'bad' if n % 2 else 'good'}\n" for n in range(200))
    (tmp_path / "labels.csv").write_text("who,what\n" + rows, encoding="utf-8")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/gb.toml").write_text(RULES, encoding="utf-8")
    (tmp_path / "study.toml").write_text(
        STUDY.replace('lead = "GB"', 'lead = "GB"\nrules = "rules"') + PAPER, encoding="utf-8"
    )
    return tmp_path / "study.toml"


def test_check_says_what_is_permitted_and_until_when(invoke, file: Path) -> None:
    result = invoke("transfer", "check", file, "--as-of", "2026-11-23")
    assert result.exit_code == 0, result.output
    assert "north (DE) → lead (GB), model updates: permitted" in result.output
    assert "GDPR-45-UK" in result.output
    assert "From 2027-07-01: north>lead/updates: documents are missing" in result.output
    assert "No legal advice" in result.output


def test_check_says_what_is_missing_and_exits_so(invoke, file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace(PAPER, ""), encoding="utf-8")
    result = invoke("transfer", "check", file, "--as-of", "2026-11-23")
    assert result.exit_code == 92
    assert "needs a document: impact_assessment" in result.output
    chinese = invoke("--lang", "zh", "transfer", "check", file, "--as-of", "2026-11-23")
    assert "需要文件：impact_assessment" in chinese.output
    told = json.loads(invoke("--json", "transfer", "check", file, "--as-of", "2026-11-23").stdout)
    assert {one["outcome"] for one in told["flows"]} == {"permitted", "needs_documents"}
    assert told["flows"][1]["missing"] == ["impact_assessment"]


def test_study_check_names_the_flows_that_stop_a_run(invoke, file: Path) -> None:
    good = invoke("study", "check", file)
    assert good.exit_code == 0, good.output
    assert "flows are permitted" in good.output
    assert "not permitted any more" in good.output
    file.write_text(file.read_text(encoding="utf-8").replace(PAPER, ""), encoding="utf-8")
    bad = invoke("study", "check", file)
    assert bad.exit_code == 20
    assert "north>lead/updates is not permitted by the rules: impact_assessment" in bad.output
    file.write_text(file.read_text(encoding="utf-8").replace("consent_explicit", "consent_implied"))
    assert "consent_implied is no fact" in invoke("study", "check", file).output


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[transfer.site.lead]", "[transfer.site.south]", "is no site of the study"),
        ('jurisdiction = "DE"', 'jurisdiction = "Germany"', "ISO 3166"),
        ('lead = "GB"', 'lead = "gb"', "transfer.lead"),
        ("2027-06-30", "2025-06-30", "expires before it is issued"),
        ('site = "north"', 'site = "south"', "is no site of the study"),
    ],
    ids=["site", "jurisdiction", "lead", "dates", "document"],
)
def test_study_check_says_what_is_wrong_in_transfer(invoke, file: Path, old: str, new: str, why: str) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    result = invoke("study", "check", file)
    assert result.exit_code == 20
    assert why in result.output


def test_a_federation_over_jurisdictions_must_say_something_of_transfers(invoke, file: Path) -> None:
    text = file.read_text(encoding="utf-8").partition("[transfer]")[0]
    file.write_text(text, encoding="utf-8")
    assert invoke("study", "check", file).exit_code == 0
    site = text[text.index("[[site]]") : text.index("[federation]")]
    again = site.replace('"north"', '"south"').replace('"DE"', '"CN"')
    file.write_text(text.replace("[federation]", again + "[federation]"), encoding="utf-8")
    result = invoke("study", "check", file)
    assert result.exit_code == 20
    assert "stand in 2 jurisdictions" in result.output


def test_rules_are_listed_with_sources_and_dates(invoke, file: Path) -> None:
    result = invoke("transfer", "rules", "--place", "cn", "--as-of", "2024-03-21")
    assert result.exit_code == 0, result.output
    assert "CB-7-sensitive" in result.output
    assert "[security_assessment]" in result.output
    assert "not in force" in result.output
    assert "GDPR" not in result.output
    assert "sensitive_persons (number)" in invoke("transfer", "rules", "--facts").output
    assert "OWN-1" in invoke("transfer", "rules", "--rules", file.parent / "rules").output
    found = json.loads(invoke("--json", "transfer", "rules").stdout)
    assert {law["id"] for law in found["laws"]} >= {"CN-PIPL", "EU-GDPR", "US-HIPAA", "EU-EHDS", "CN-HGR"}


@pytest.mark.parametrize(
    "name", ["huizhen.cli.commands.transfer_check", "huizhen.cli.commands.transfer_rules"]
)
def test_naming_the_commands_loads_nothing_heavy(name: str) -> None:
    code = f"import sys, {name}; print([m for m in ('numpy', 'pandas', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_place_names_those_that_have_rules(invoke) -> None:
    for place in ("XX", "KE"):
        found = invoke("transfer", "rules", "--place", place)
        assert found.exit_code == 10
        assert place in found.output
        assert "there are rules for: AT" in " ".join(found.output.split())
    assert "did you mean GB?" in invoke("transfer", "rules", "--place", "uk").output


def test_rules_are_told_in_chinese(invoke) -> None:
    found = invoke("--lang", "zh", "transfer", "rules", "--place", "CN").output
    assert "国家网信办《促进和规范数据跨境流动规定》（2024年3月22日）第七条" in found
    assert "当年累计敏感个人信息人数（sensitive_persons）≥ 10,000" in found
    assert "Provisions" not in found


def test_a_misspelt_document_is_refused_with_file_and_field(invoke, file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace('"impact_assessment"', '"impact_assesment"'))
    found = invoke("transfer", "check", file)
    assert found.exit_code == 92
    told = " ".join(found.output.split())
    assert f"{file.name}: transfer.document[0].kind" in told
    assert "did you mean impact_assessment?" in told
    assert "impact_assesment" in invoke("study", "check", file).output


def test_a_day_in_a_local_form_is_refused_in_words_of_both_languages(invoke, file: Path) -> None:
    command = ("transfer", "check", file, "--as-of", "1.3.2027")
    result = invoke(*command)
    assert result.exit_code == 2
    assert "'1.3.2027' does not match the formats 'YYYY-MM-DD'" in result.output
    assert "Value error" not in result.output
    assert "不符合格式 'YYYY-MM-DD'" in invoke("--lang", "zh", *command).output
