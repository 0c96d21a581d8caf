"""huizhen catalogue: what it writes, prints and refuses."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "federate_catalogue"))
from site_at_work import make_site
from typer.testing import Result

from huizhen.cli.catalogue_question import question_from
from huizhen.errors import HuizhenError
from huizhen.federate.site.folder import SiteFolder, accept_lead
from huizhen.ledger.signing import PublicKey

Invoke = Callable[..., Result]
MODULES = (
    "huizhen.cli.commands.catalogue_new",
    "huizhen.cli.commands.catalogue_publish",
    "huizhen.cli.commands.catalogue_check",
    "huizhen.cli.commands.catalogue_search",
    "huizhen.cli.commands.catalogue_answer",
    "huizhen.cli.commands.catalogue_serve",
)


@pytest.mark.parametrize("name", MODULES)
def test_each_command_is_there(name: str) -> None:
    assert callable(importlib.import_module(name).command)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> SiteFolder:
    """A site that accepts this person as a lead."""
    monkeypatch.setenv("HUIZHEN_HOME", str(tmp_path / "home"))
    made = make_site(tmp_path / "north", "north", patients=300)
    key = invoke("federation", "key").stdout.strip()
    accept_lead(made, PublicKey(hex=key))
    return made


def test_from_publishing_to_counting(
    site: SiteFolder, tmp_path: Path, invoke: Invoke, as_json: Callable[[Result], dict[str, Any]]
) -> None:
    record = tmp_path / "r.jsonld"
    said = as_json(invoke("--json", "catalogue", "publish", site.path, "--out", record))
    assert said["facts"]["subjects"] == 300
    checked = as_json(invoke("--json", "catalogue", "check", record, "--key", site.key.public.hex))
    assert checked["site"] == "north"
    assert "whole" in invoke("catalogue", "check", record).stdout
    question = tmp_path / "q.json"
    question.write_text(json.dumps({"operand": "OR", "children": []}))
    found = as_json(invoke("--json", "catalogue", "search", question, "--site", site.path))
    assert found["total"]["subjects"]["value"] == 300
    lines = invoke("catalogue", "search", "--with", "sex=F", "--site", site.path).stdout
    assert "north: subjects" in lines
    assert "Between" in lines
    few = invoke("catalogue", "search", "--with", "modality=PT", "--site", site.path).stdout
    assert "north: subjects few" in few
    assert "not in the sum: north" in few
    refused = invoke("catalogue", "search", "--with", "age=41-42", "--site", site.path).stdout
    assert "bands of 5" in refused
    chinese = invoke("--lang", "zh", "catalogue", "search", "--with", "age=41-42", "--site", site.path).stdout
    assert "须按 5 岁一段" in chinese


def test_a_site_that_knows_nobody_is_named_as_silent(
    tmp_path: Path, invoke: Invoke, site: SiteFolder
) -> None:
    other = make_site(tmp_path / "south", "south", patients=40)
    asked = ("catalogue", "search", "--with", "sex=F", "--site", other.path)
    said = invoke(*asked)
    assert "south: no answer" in said.stdout
    assert "know the lead" in said.stdout, "its officer sits at this machine, and is told why"
    assert "Sum over" not in said.stdout, "a sum over nobody is none"
    assert said.exit_code == 91
    assert "south：未应答" in invoke("--lang", "zh", *asked).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("catalogue", "search", "--site", "x"),
        ("catalogue", "search", "--with", "sex"),
        ("catalogue", "search", "--with", "sex=F"),
        ("catalogue", "search", "--with", "sex=F", "--portal", "http://portal.example", "--peers", "absent"),
        ("catalogue", "serve", "--config", "absent.toml"),
        ("catalogue", "check", "absent.jsonld"),
    ],
    ids=" ".join,
)
def test_what_is_missing_is_an_error_with_a_remedy(
    arguments: tuple[str, ...], invoke: Invoke, site: SiteFolder
) -> None:
    done = invoke(*arguments)
    assert done.exit_code in (10, 31, 92)
    assert "What to do" in done.stderr


def test_a_value_that_no_list_has_is_told_with_what_may_be_meant(
    site: SiteFolder, tmp_path: Path, invoke: Invoke, as_json: Callable[[Result], dict[str, Any]]
) -> None:
    invoke("catalogue", "publish", site.path, "--out", tmp_path / "r.jsonld")
    ask = ("catalogue", "search", "--site", site.path, "--with")
    shown = invoke(*ask, "modality=XX")
    assert "XX is no modality" in shown.stdout + shown.stderr
    shown = invoke(*ask, "modality=MRI")
    assert "did you mean MR?" in shown.stdout + shown.stderr
    assert as_json(invoke("--json", *ask, "modality=XX"))["doubts"] == [
        {"key": "modality", "value": "XX", "meant": None}
    ]
    assert "is no modality" not in invoke(*ask, "modality=MR").stdout


def test_publishing_without_noise_is_said(
    site: SiteFolder, tmp_path: Path, invoke: Invoke, as_json: Callable[[Result], dict[str, Any]]
) -> None:
    publish_ = ("catalogue", "publish", site.path, "--out", tmp_path / "r.jsonld")
    assert "told without noise" in invoke(*publish_).stdout
    text = (site.path / "catalogue.toml").read_text("utf-8")
    (site.path / "catalogue.toml").write_text(f"{text}\nnoise = 20.0\n", "utf-8")
    shown = invoke(*publish_).stdout
    assert "told without noise" not in shown
    assert "studies: not told" in shown
    assert as_json(invoke("--json", *publish_))["noise"] is True
    assert "studies: not told" in invoke("catalogue", "check", tmp_path / "r.jsonld").stdout
    found = invoke("catalogue", "search", "--site", site.path, "--with", "modality=MR").stdout
    assert "studies not told, series not told" in found.splitlines()[-1]


def test_a_template_is_written_once(tmp_path: Path, invoke: Invoke) -> None:
    SiteFolder.create(tmp_path / "s", name="s", data=tmp_path)
    assert invoke("catalogue", "new", tmp_path / "s").exit_code == 0
    assert invoke("catalogue", "new", tmp_path / "s").exit_code == 80


def test_flags_are_a_question() -> None:
    query = question_from(None, ["modality=MR,CT", "!sex=M", "age=50-59", "year>2015", "year<2020"], "study")
    assert {leaf.key for leaf in query.criteria()} == {"modality", "sex", "age", "year"}
    for wrong in ([], ["modality"], ["age>x"], ["name=Li"]):
        with pytest.raises(HuizhenError):
            question_from(None, wrong, "series")
