"""huizhen site queue and site label: what waits, for whom, and how it is filled."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path

import pytest

from huizhen.federate.site.folder import SiteFolder
from huizhen.pipeline.site_questions import QUEUE
from huizhen.train.active.queue import Queue
from huizhen.train.active.queue_records import Request


def make_study(site: Path, name: str, cases: list[str]) -> None:
    """Have a study ask about `cases` at a site, as its worker would."""
    folder = site / "studies" / name.ljust(16, "0")
    (folder / "labels").mkdir(parents=True)
    invitation = {"definition": json.dumps({"name": name})}
    (folder / "invitation.json").write_text(json.dumps(invitation), encoding="utf-8")
    asked = [
        {
            "case": case,
            "patient": f"patient of {case}",
            "images": {"US": [f"{case}.png"]},
            "rank": rank,
            "score": 0.5,
            "reason": "takes 3 % of the model's uncertainty",
        }
        for rank, case in enumerate(cases, start=1)
    ]
    record = json.dumps({"query": 1, "cases": asked})
    (folder / "labels" / "asked-00001.json").write_text(record, encoding="utf-8")
    with Queue.create(
        folder / "labels" / QUEUE, site="north", labels=["benign", "malignant"], readers=2
    ) as queue:
        requests = [Request(case=c, rank=i, rule="fahl", score=0.5, reason="r") for i, c in enumerate(cases)]
        queue.ask(requests, round_number=1)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    SiteFolder.create(tmp_path / "north", name="north", data=tmp_path)
    make_study(tmp_path / "north", "breast", ["P-1", "P-2"])
    return tmp_path / "north"


@pytest.mark.parametrize("module", ["huizhen.cli.commands.site_queue", "huizhen.cli.commands.site_label"])
def test_each_command_explains_itself(invoke, module):
    assert callable(importlib.import_module(module).command)
    name = module.rpartition("_")[2]
    result = invoke("site", name, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_the_queue_shows_pseudonyms_and_the_file_what_readers_need(invoke, as_json, site, tmp_path):
    found = as_json(invoke("--json", "site", "queue", site))["questions"]
    assert [(one["case"], one["query"], one["state"]) for one in found] == [
        ("P-1", 1, "open"),
        ("P-2", 1, "open"),
    ]
    shown = invoke("site", "queue", site, "--csv", tmp_path / "open.csv")
    assert "patient of" not in shown.stdout + json.dumps(found)
    assert "2 cases wait" in shown.stdout
    with (tmp_path / "open.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0] == {"case": "P-1", "patient": "patient of P-1", "images": "US: P-1.png", "label": ""}
    assert "等待标注" in invoke("--lang", "zh", "site", "queue", site).stdout


def test_labels_go_in_by_reader_until_nothing_waits(invoke, as_json, site, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("case,label\nP-1,benign\nP-2,malignant\n", encoding="utf-8")
    done = as_json(invoke("--json", "site", "label", site, path, "--reader", "ann"))
    assert (done["new"], done["known"], done["open"]) == (2, 0, 2)
    assert "No case waits" in invoke("site", "queue", site, "--reader", "ann").stdout
    path.write_text("case,label\nP-1,malignant\nP-2,malignant\n", encoding="utf-8")
    assert as_json(invoke("--json", "site", "label", site, path, "--reader", "bo"))["open"] == 1
    (left,) = as_json(invoke("--json", "site", "queue", site))["questions"]
    assert (left["case"], left["state"], left["answers"]) == ("P-1", "disputed", 2)
    path.write_text("case,label\nP-1,benign\n", encoding="utf-8")
    ruled = invoke("--json", "site", "label", site, path, "--reader", "chief", "--adjudicate")
    assert as_json(ruled)["open"] == 0


def test_what_is_wrong_is_said_with_its_code(invoke, as_json, site, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("case,label\nP-9,benign\n", encoding="utf-8")
    wrong = invoke("--json", "site", "label", site, path, "--reader", "ann")
    assert wrong.exit_code == 30
    assert "row 1" in as_json(wrong)["error"]["message"]
    assert invoke("site", "label", site, path).exit_code == 2
    assert invoke("site", "label", site, path, "--reader", "a", "--adjudicate", "--withdraw").exit_code == 2
    SiteFolder.create(tmp_path / "idle", name="idle", data=tmp_path)
    none = invoke("--json", "site", "queue", tmp_path / "idle")
    assert none.exit_code == 30
    assert "no study has asked for labels here" in as_json(none)["error"]["message"]


def test_of_two_studies_one_must_be_named(invoke, as_json, site, tmp_path):
    make_study(site, "thyroid", ["P-1"])
    path = tmp_path / "labels.csv"
    path.write_text("case,label\nP-1,benign\n", encoding="utf-8")
    assert invoke("site", "label", site, path, "--reader", "ann").exit_code == 30
    named = invoke("--json", "site", "label", site, path, "--reader", "ann", "--study", "thyroid")
    assert as_json(named)["new"] == 1
    assert len(as_json(invoke("--json", "site", "queue", site))["questions"]) == 3
