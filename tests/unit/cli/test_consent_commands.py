"""`huizhen site consents`: in and out of FHIR, checked, and from a withdrawal to the model made anew."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "pipeline"))
from consent_hospitals import register, withdraw, write_hospitals

from huizhen.cli.app import root_command
from huizhen.cli.commands import consents_check, consents_export, consents_import, consents_withdrawn
from huizhen.cli.lazy import COMMANDS
from huizhen.data.consent.barred import read_barred
from huizhen.federate.site.folder import SiteFolder
from huizhen.pipeline.consent_lists import people_secret

SITES = ("east", "north")


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, object], str]:
    """Run a command with --json; return its exit code, what it says to a machine, and errors."""
    with pytest.raises(SystemExit) as ended:
        root_command().main(["--json", *map(str, words)])
    shown = capsys.readouterr()
    return int(ended.value.code or 0), json.loads(shown.out.splitlines()[-1]), shown.err


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that works, and return what it prints for people."""
    with pytest.raises(SystemExit) as ended:
        root_command().main([str(word) for word in words])
    assert not ended.value.code
    return capsys.readouterr().out


def test_every_command_of_the_group_is_there() -> None:
    modules = (consents_import, consents_export, consents_check, consents_withdrawn)
    assert [module.__name__.rpartition("_")[2] for module in modules] == list(COMMANDS["consents"])


def test_from_fhir_to_a_register_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = register(tmp_path, "north", {3: {"withdrawn": "2026-02-01"}, 4: {"partners": "south"}})
    for release in ("R4B", "R5"):
        out = tmp_path / release
        _, found, _ = call(capsys, "site", "consents", "export", path, "--fhir", release, "--out", out)
        assert found["resources"] == 40
        again = tmp_path / f"{release}.csv"
        code, found, _ = call(capsys, "site", "consents", "import", out, "--out", again)
        assert (code, found["patients"], found["rows"], found["unclear"]) == (0, 40, 40, [])
        _, first, _ = call(capsys, "site", "consents", "check", path)
        _, second, _ = call(capsys, "site", "consents", "check", again)
        assert first == second


def test_what_is_not_understood_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = register(tmp_path, "north")
    call(capsys, "site", "consents", "export", path, "--fhir", "R4B", "--out", tmp_path)
    lines = (tmp_path / "Consent.ndjson").read_text(encoding="utf-8").splitlines()
    odd = json.loads(lines[6])
    odd["provision"]["provision"][0]["securityLabel"] = [{"code": "R"}]
    (tmp_path / "Consent.ndjson").write_text("\n".join([*lines[:6], json.dumps(odd), *lines[7:]]))
    out = tmp_path / "out.csv"
    command = ["site", "consents", "import", tmp_path / "Consent.ndjson", "--out", out]
    code, found, _ = call(capsys, *command, "--strict")
    assert code == 30
    assert not out.exists()
    code, found, _ = call(capsys, *command)
    place = "line 7: provision.provision[0].securityLabel"
    assert (code, found["unclear"][0]["path"]) == (0, place)  # type: ignore[index]  # JSON
    printed = said(capsys, *command)
    assert place in printed
    assert "north-" not in printed, "no patient is named"
    assert "按拒绝处理" in said(capsys, "--lang", "zh", *command)


def test_a_register_is_checked_row_by_row_and_against_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_hospitals(tmp_path, sites=SITES)
    path = register(tmp_path / "data", "north", {1: {"terms": "CC"}, 2: {"given": "2031-01-01"}})
    _, found, _ = call(capsys, "site", "consents", "check", path, "--study", file)
    assert found["study"] == {"permitted": 38, "not_yet_given": 1, "purpose": 1}
    assert found["odd"] == {"ahead": 1}
    assert found["unknown_names"] == 0
    deny = {1: {"partners": "EAST", "decision": "deny"}, 2: {"partners": "East Hospital", "decision": "deny"}}
    register(tmp_path / "data", "north", {0: {"decision": "permit"}, **deny})
    _, found, _ = call(capsys, "site", "consents", "check", path, "--study", file)
    assert found["study"] == {"permitted": 38, "denied": 2}
    assert found["unknown_names"] == 1
    assert "these deny everything. Patients: 1." in said(
        capsys, "site", "consents", "check", path, "--study", file
    )
    register(tmp_path / "data", "north", {1: {"terms": "CC"}, 2: {"given": "2031-01-01"}})
    register(tmp_path / "data", "north", {1: {"terms": "HMX"}, 2: {"given": "yesterday"}})
    code, found, _ = call(capsys, "site", "consents", "check", path)
    assert code == 30
    assert found["error"]["field"] == "terms"  # type: ignore[index]  # JSON


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A finished run over two hospitals; returns its folder."""
    monkeypatch.setenv("HUIZHEN_HOME", str(tmp_path / "home"))
    file = write_hospitals(tmp_path, sites=SITES)
    text = file.read_text(encoding="utf-8").partition("[federation]")[0]
    file.write_text(text, encoding="utf-8")
    call(capsys, "run", file)
    return tmp_path


def test_from_a_withdrawal_to_the_model_made_anew(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = finished / "data"
    path = register(data, "north")
    rows = path.read_text(encoding="utf-8").splitlines()
    head, body = rows[0] + ",withdrawal", [row + "," for row in rows[1:]]
    for place, choice in ((5, "approximate"), (6, "next_version"), (7, "")):
        cells = body[place].split(",")
        cells[4], cells[-1] = "2026-02-01", choice
        body[place] = ",".join(cells)
    path.write_text("\n".join([head, *body]) + "\n", encoding="utf-8")
    command = ["site", "consents", "withdrawn", path, "--name", "north"]
    _, found, _ = call(capsys, *command)
    assert (found["withdrawn"], found["unfound"]) == (3, 0)
    affected = found["affected"]
    assert isinstance(affected, list)
    assert {one["study"] for one in affected} == {"asked"}
    assert {one["choice"] for one in affected} == {"approximate", "next_version", "no_new_use"}
    (unlearning,) = found["unlearning"]  # type: ignore[misc]  # JSON
    assert (unlearning["holds"], unlearning["why"]) == (False, "no_privacy"), "so it is made anew"
    assert "made anew instead" in said(capsys, *command)
    assert "重新制作" in said(capsys, "--lang", "zh", *command)
    assert not (finished / "home" / "withdrawn.jsonl").exists(), "a list begins nothing"
    code, found, _ = call(capsys, *command, "--begin", "--csv", finished / "list.csv")
    assert (code, found["listed"]) == (0, 3)
    assert found["next"] == [str(data / "study-v2.toml")]
    assert "north-5" in (finished / "list.csv").read_text(encoding="utf-8")
    _, again, _ = call(capsys, *command, "--begin")
    assert (again["listed"], again["next"]) == (0, found["next"])
    path.write_text("\n".join([head, *(row for i, row in enumerate(body) if i != 5)]) + "\n")
    code, _, _ = call(capsys, "run", data / "study-v2.toml")
    assert code == 0
    ledger = (data / "study-v2.run" / "ledger" / "entries.jsonl").read_text(encoding="utf-8")
    entries = [json.loads(line) for line in ledger.splitlines()]
    (read,) = [e["body"] for e in entries if e["kind"] == "intake"]
    assert read["patients"] == 77
    (model,) = [e["body"]["card"] for e in entries if e["kind"] == "model"]
    assert model["version"] == "2"
    first = (data / "study.run" / "ledger" / "entries.jsonl").read_text(encoding="utf-8")
    noted = [json.loads(line)["body"] for line in first.splitlines() if "consent_withdrawn" in line]
    assert len(noted) == 1
    told = noted[0]["detail"]
    assert (noted[0]["n"], told["approximate"], told["next_version"], told["no_new_use"]) == (3, 1, 1, 1)
    (refused,) = [json.loads(o)["body"] for o in first.splitlines() if '"consent_unlearned/north"' in o]
    assert (refused["verdict"], refused["detail"]["why"]) == ("not assessed", "no_privacy")
    assert told["trained"] + told["tuned"] + told["tested"] == 3


def test_who_withdrew_is_on_the_list_whatever_fails_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = SiteFolder.create(tmp_path / "north", name="north", data=tmp_path)
    (site.path / "learned").mkdir()
    (site.path / "learned" / "x.jsonl").write_text("damaged\n", encoding="utf-8")
    path = tmp_path / "consents.csv"
    path.write_text("patient,version,given,terms,withdrawn\np1,1,2026-01-01,GRU,2026-02-01\n")
    command = ["site", "consents", "withdrawn", path, "--site", site.path, "--begin"]
    code, found, _ = call(capsys, *command)
    assert (code != 0, found["error"]["code"]) == (True, "HZ50")  # type: ignore[index]  # JSON
    assert read_barred(site.path, people_secret(site.key)).since("north", "p1") is not None


def test_whose_register_it_is_must_be_said_where_it_isnt_clear(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    withdraw(finished / "data", "north", 1)
    code, found, _ = call(capsys, "site", "consents", "withdrawn", finished / "data" / "north-consents.csv")
    assert code == 10
    assert "2 sites" in found["error"]["message"]  # type: ignore[index]  # JSON
    path = register(finished / "data", "north", {2: {"patient": "North_2", "withdrawn": "2026-02-01"}})
    command = ["site", "consents", "withdrawn", path, "--name", "north"]
    _, found, _ = call(capsys, *command)
    assert (found["withdrawn"], found["unfound"], found["affected"]) == (1, 1, []), "an id spelt otherwise"
    assert "Of them in no index, as the register writes their ids: 1." in said(capsys, *command)
    for words in (("withdrawn", path), ("check", path, "--study", finished / "data" / "study.toml")):
        code, found, _ = call(capsys, "site", "consents", *words, "--name", "nroth")
        assert (code, found["error"]["remedy"]) == (10, "did you mean north?")  # type: ignore[index]  # JSON
