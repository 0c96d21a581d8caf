"""huizhen site and huizhen federation: what they make, pass on and print."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from huizhen.federate.engines.local import LocalEngine
from huizhen.federate.outbox import Outbox
from huizhen.federate.policy import POLICY
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.signing import SigningKey

MODULES = (
    "huizhen.cli.commands.site_init",
    "huizhen.cli.commands.site_join",
    "huizhen.cli.commands.site_status",
    "huizhen.cli.commands.site_policy",
    "huizhen.cli.commands.site_approve",
    "huizhen.cli.commands.site_outbox",
    "huizhen.cli.commands.site_serve",
    "huizhen.cli.commands.federation_key",
    "huizhen.cli.commands.federation_lead",
    "huizhen.cli.commands.federation_provision",
    "huizhen.cli.commands.federation_start",
    "huizhen.cli.commands.federation_status",
    "huizhen.cli.commands.federation_stop",
)
LEAD = SigningKey.generate().public
STUDY = """\
name = "toy"
title = "Toy"
question = "Is it?"
seed = 1
[task]
outcome = "y"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "US"
kind = "image"
[[site]]
name = "north"
[[site.source]]
reader = "images"
modality = "US"
path = "north"
labels = "north.csv"
columns = { patient = "p", outcome = "y", image = "file" }
[federation]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SiteFolder.create(tmp_path / "north", name="north", data=tmp_path / "data", jurisdiction="DE")
    return tmp_path / "north"


@pytest.mark.parametrize("module", MODULES)
def test_each_command_explains_itself(invoke, module):
    assert callable(importlib.import_module(module).command)
    group, _, name = module.rpartition(".")[2].partition("_")
    result = invoke(group, name, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_init_makes_a_site_that_accepts_the_lead_that_it_is_told_of(invoke, as_json, tmp_path):
    arguments = ["--name", "north", "--data", tmp_path / "images"]
    made = as_json(invoke("--json", "site", "init", tmp_path / "a", *arguments, "--lead", LEAD.hex))
    site = SiteFolder.open(tmp_path / "a")
    assert made["public_key"] == site.key.public.hex
    assert site.policy().signers == (LEAD.hex,)
    assert site.data == tmp_path / "images"
    assert invoke("site", "init", tmp_path / "a", *arguments).exit_code == 80
    invoke("site", "init", tmp_path / "b", *arguments)
    assert SiteFolder.open(tmp_path / "b").policy().signers == ()


def test_join_accepts_a_lead_and_enters_the_site_with_it(invoke, as_json, folder, tmp_path):
    peers = tmp_path / "peers.json"
    for _ in range(2):
        as_json(invoke("--json", "site", "join", folder, "--lead", LEAD.hex, "--peers", peers))
    site = SiteFolder.open(folder)
    assert site.policy().signers == (LEAD.hex,)
    assert json.loads(peers.read_text()) == {"north": site.key.public.hex}
    assert invoke("site", "join", folder, "--lead", "short").exit_code != 0


def test_status_and_outbox_show_what_left(invoke, as_json, folder):
    assert "Nothing has left" in invoke("site", "outbox", folder).stdout
    for size in (100, 2000):
        Outbox(folder).note(kind="masked", study="a" * 64, digest="b" * 64, size=size)
    shown = as_json(invoke("--json", "site", "status", folder))
    assert (shown["name"], shown["frames"], shown["bytes"]) == ("north", 2, 2100)
    assert shown["policy"]["smallest_count"] == 5
    sent = as_json(invoke("--json", "site", "outbox", folder))["sent"]
    assert [item["size"] for item in sent] == [100, 2000]
    assert "masked" in invoke("site", "outbox", folder).stdout
    assert "2100 bytes" in invoke("site", "status", folder).stdout


def test_policy_is_checked_and_a_wrong_field_named(invoke, as_json, folder):
    assert as_json(invoke("--json", "site", "policy", folder))["policy"]["minimum_cohort"] == 10
    assert "minimum_cohort = 10" in invoke("site", "policy", folder).stdout
    (folder / POLICY).write_text("minimum_cohort = 0\n")
    wrong = invoke("--json", "site", "policy", folder)
    assert wrong.exit_code == 92
    assert as_json(wrong)["error"]["field"] == "minimum_cohort"


def test_approval_is_noted_for_the_study_as_it_stands(invoke, as_json, folder, tmp_path):
    study = tmp_path / "study.toml"
    study.write_text(STUDY)
    noted = as_json(invoke("--json", "site", "approve", folder, study, "--by", "officer"))
    assert SiteFolder.open(folder).approved(noted["digest"])
    assert invoke("site", "approve", tmp_path / "none", study, "--by", "officer").exit_code == 92


def test_serve_connects_and_proves_who_it_is(folder):
    site = SiteFolder.open(folder)
    with tempfile.TemporaryDirectory() as short:
        engine = LocalEngine(Path(short) / "s", {"north": site.key.public})
        command = [sys.executable, "-m", "huizhen.cli", "site", "serve", str(folder)]
        with subprocess.Popen(
            [*command, "--socket", str(Path(short) / "s")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                assert engine.wait_for(["north"], timeout_s=120) == {"north"}
                answer = engine.ask({"north": b"rubbish"}, timeout_s=60)["north"]
                assert answer.startswith(b"HZF1")
            finally:
                process.send_signal(signal.SIGKILL)
                engine.close()


def test_the_leads_key_is_made_once_and_printed(invoke, as_json, tmp_path, monkeypatch):
    monkeypatch.setenv("HUIZHEN_HOME", str(tmp_path))
    first = as_json(invoke("--json", "federation", "key"))
    assert invoke("federation", "key").stdout.strip() == first["public_key"]
    assert SigningKey.load(tmp_path / "signing_key.pem").key_id == first["key_id"]


def test_lead_tells_of_a_list_of_peers_that_is_none(invoke, tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "peers.json").write_text("[]")
    options = ["--out", tmp_path / "run", "--peers", tmp_path / "peers.json", "--socket", tmp_path / "s"]
    result = invoke("federation", "lead", tmp_path / "study.toml", *options)
    assert result.exit_code == 90
    assert "no file of sites' public keys" in result.stderr


def test_flare_commands_pass_on_what_they_are_given(invoke, as_json, tmp_path, monkeypatch):
    flare = importlib.import_module("huizhen.federate.engines.flare")
    asked: list[object] = []

    def provision(folder, **more):
        asked.append(("provision", folder, more))
        return SimpleNamespace(server=folder / "server", site=lambda name: folder / "sites" / name)

    monkeypatch.setattr(flare, "provision", provision)
    monkeypatch.setattr(flare, "attach", lambda kit, *, site: asked.append(("attach", kit, site)))
    monkeypatch.setattr(flare, "start_server", lambda kit: asked.append(("server", kit)) or 11)
    monkeypatch.setattr(flare, "start_site", lambda kit: asked.append(("site", kit)) or 12)
    monkeypatch.setattr(flare, "stop", lambda kit: kit.name == "server")
    made = as_json(
        invoke(
            *("--json", "federation", "provision", tmp_path, "--lead", "lead@centre.org"),
            *("--site", "north", "--site", "south", "--host", "localhost"),
        )
    )
    assert set(made["sites"]) == {"north", "south"}
    assert as_json(invoke("--json", "federation", "start", tmp_path / "server"))["pid"] == 11
    kit = tmp_path / "kit"
    assert as_json(invoke("--json", "federation", "start", kit, "--site", tmp_path / "s"))["pid"] == 12
    assert asked[0] == (
        "provision",
        tmp_path,
        {"lead": "lead@centre.org", "sites": ["north", "south"], "host": "localhost", "port": 8002},
    )
    assert asked[1:] == [("server", tmp_path / "server"), ("attach", kit, tmp_path / "s"), ("site", kit)]
    assert as_json(invoke("--json", "federation", "stop", tmp_path / "server"))["stopped"] is True
    assert as_json(invoke("--json", "federation", "stop", kit))["stopped"] is False


def test_flare_status_shows_sites_and_jobs(invoke, as_json, tmp_path, monkeypatch):
    flare = importlib.import_module("huizhen.federate.engines.flare")
    found = SimpleNamespace(silent_s={"north": 1.5}, jobs={"north": "job"}, waiting=("south",))
    monkeypatch.setattr(flare, "status", lambda deployment: found)
    monkeypatch.setattr(flare.Deployment, "open", lambda folder: folder)
    shown = as_json(invoke("--json", "federation", "status", tmp_path))
    assert shown["silent_s"] == {"north": 1.5}
    assert shown["waiting"] == ["south"]
    assert "north" in invoke("federation", "status", tmp_path).stdout
